"""The package as it is installed: a wheel, in an environment and a folder of their own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest
from PIL import Image

import irodori
from irodori.config import CONF, PACKAGE, PROJECT, SAMPLE

LARGEST = 16_000_000
"""Bytes that the bundled model may have."""
PHOTO = SAMPLE / "historical" / "castle_clinton.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an environment: irodori's wheel, and all other packages of this one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=False)
    # Of a folder that is named like this no .pth is read: irodori isn't in it.
    (site(folder) / "others.pth").write_text(sysconfig.get_path("purelib"))
    for name in ("src", "conf", "data"):
        shutil.copytree(PROJECT / name, folder / "source" / name, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--python", folder / "env" / "bin" / "python", "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, *options, folder / "source"], check=True)
    shutil.rmtree(folder / "source")
    return folder


def site(folder):
    (path,) = (folder / "env" / "lib").glob("python*/site-packages")
    return path


def run(folder, *command):
    """Run a command of the environment in the folder; its lines of output."""
    hidden = ("PYTHONPATH", "WANDB_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    done = subprocess.run(
        [folder / "env" / "bin" / command[0], *command[1:]],
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "1", "HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def files_in(root):
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path for path in paths if path.suffix != ".pyc"}


@pytest.mark.slow
def test_the_wheel_holds_code_configurations_and_the_sample(folder):
    package = site(folder) / "irodori"
    assert files_in(PACKAGE) - files_in(package) == set()
    assert files_in(CONF) == files_in(package / "conf")
    left_out = {path.suffix for path in files_in(SAMPLE) - files_in(package / "sample")}
    assert left_out == {".py", ".jpg"}
    starter = package / "inference" / "starter" / "starter.safetensors"
    assert starter.stat().st_size <= LARGEST
    assert run(folder, "irodori", "--version") == [f"irodori {irodori.__version__}"]


@pytest.mark.slow
def test_the_wheel_trains_evaluates_and_colorizes_in_any_folder(folder):
    *_, last = run(folder, "irodori", "train", "experiment=quick")
    trained = last.removeprefix("run: ")
    assert trained.startswith(f"{folder}/runs/quick/")
    *_, last = run(folder, "irodori", "evaluate", f"checkpoint={trained}", "perceptual=false")
    assert last.startswith(f"evaluation: {folder}/runs/evaluate/")
    for checkpoint in ([], ["--checkpoint", trained]):
        command = ["irodori", "colorize", PHOTO, "--output", "out", "--overwrite", *checkpoint]
        assert run(folder, *command) == ["out/castle_clinton.jpg"]
        with Image.open(folder / "out" / "castle_clinton.jpg") as made, Image.open(PHOTO) as old:
            assert made.size == old.size
            assert made.convert("HSV").getchannel("S").getextrema()[1] > 40


@pytest.mark.long
def test_the_wheel_sweeps_with_a_configuration_of_the_user(folder):
    own = folder / "own" / "experiment" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ndefaults: [quick]\nalpha: 0.5\n")
    command = ["irodori", "train", "--config-dir", "own", "-m", "experiment=mine", "seed=1,2"]
    *_, last = run(folder, *command, "trainer=ddp", "trainer.accelerator=cpu", "logger=csv")
    sweep = last.removeprefix("sweep: ")
    for job in (0, 1):
        assert (folder / sweep / str(job) / "metrics.json").exists()


def test_the_bundled_model_knows_its_classes():
    image = Image.new("L", (300, 200), 128)
    scenes = irodori.Colorizer.load().scenes(image)
    assert len(scenes) == 12
    assert {"people", "food", "landscape"} < set(scenes)
