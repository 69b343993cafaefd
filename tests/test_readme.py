"""The commands of the README and of docs/, run as they stand there; trainings are made short."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import webdataset
from typer.testing import CliRunner

import tiny
from irodori.cli.app import app
from irodori.config.check import check
from irodori.evaluation.settings import EvaluateSettings
from made_runs import study

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.S)
    for line in block.splitlines()
]
SERVING = re.findall(r"^irodori (?:demo|study).*", TEXT, flags=re.M)
VARIANTS = [
    command
    for command in COMMANDS
    if command.startswith("python train.py experiment=") and not {'"', "$"} & set(command)
]
SOME = 6
"""Photographs of a class."""
SHORT = [
    "network.width=0.05",
    "data.batch_size=8",
    "data.workers=0",
    "data.size=64",
    "data.val_size=48",
    "augmentation.crop=56",
    "trainer.max_steps=1",
    "trainer.max_epochs=1",
    "callbacks.pictures.count=1",
    "logger=csv",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: a folder like a fresh checkout, with photographs of one's own."""
    folder = tmp_path_factory.mktemp("checkout")
    classes = json.loads((PROJECT / "data" / "sample" / "index.json").read_text())["classes"]
    for name in ("train.py", "evaluate.py", "conf", "data", "Makefile", "pyproject.toml", "src"):
        (folder / name).symlink_to(PROJECT / name)
    for number in range(5):
        for sample in webdataset.WebDataset(
            str(PROJECT / "data" / "sample" / f"sample-{number}.tar"), shardshuffle=False
        ):
            place = folder / "photos" / classes[int(sample["cls"])]
            place.mkdir(parents=True, exist_ok=True)
            # Some are enough, but for one that a command names.
            if len(list(place.iterdir())) >= SOME and sample["__key__"] not in TEXT:
                continue
            (place / f"{sample['__key__']}.jpg").write_bytes(sample["jpg"])
    return folder


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS + SERVING)
def test_commands_are_composed_or_parsed(command: str) -> None:
    program, *words = shlex.split(re.sub(r"\$\(.*?\)", "runs/there/", command))
    if program == "make":
        assert "python" in run([program, "-n", *words], PROJECT).stdout
    elif program == "irodori":
        # Unknown options are refused before the help is shown.
        parsed = CliRunner().invoke(app, [*words, "--help"])
        assert parsed.exit_code == 0, parsed.output
    elif words[0] == "evaluate.py":
        check(tiny.compose_evaluation(*words[1:]), EvaluateSettings)
    else:
        assert (program, words[0]) == ("python", "train.py")
        settings = [word for word in words[1:] if word != "-m" and not word.startswith("hydra.")]
        swept = [setting for setting in settings if "-m" in words and "," in setting]
        tiny.config(*(word.partition(",")[0] if word in swept else word for word in settings))


@pytest.mark.long
def test_commands_in_their_order(folder: Path) -> None:
    for command in COMMANDS:
        if command.startswith("make") or command in VARIANTS:
            continue
        if " -m " in command:
            # Other tests run sweeps; what comes of one is made up.
            (place,) = re.findall(r"hydra.sweep.dir=(\S+)", command)
            study(folder / place)
            continue
        short = SHORT if command.startswith("python train.py") else []
        if command.startswith("python evaluate.py"):
            command += " perceptual=false"  # which takes longest
        out = run(["bash", "-c", shlex.join(["eval", command, *short])], folder).stdout
        if short:
            kind, path = out.splitlines()[-1].split(": ", 1)
            assert kind == "run"
            assert (folder / path / "metrics.json").is_file()
        assert ("this run is finished" in out) == ("resume=" in command)
    assert list((folder / "colorized").glob("*.jpg"))
    assert len(list((folder / "styled").iterdir())) == SOME
    assert (folder / "model.safetensors").exists()
    (evaluated,) = (folder / "runs" / "evaluate").iterdir()
    assert (evaluated / "metrics.json").exists()
    assert (folder / "comparison" / "report.html").exists()


def test_files_and_experiments_that_are_named_exist() -> None:
    links = [
        page.parent / link.partition("#")[0]
        for page in PAGES
        for link in re.findall(r"\]\(((?!http)[^)]+)\)", page.read_text())
    ]
    assert links
    assert [link for link in links if not link.exists()] == []
    table = (PROJECT / "docs" / "train.md").read_text()
    experiments = re.findall(r"^\| `(\w+)`", table, flags=re.M)
    assert experiments
    missing = [n for n in experiments if not (PROJECT / f"conf/experiment/{n}.yaml").exists()]
    assert missing == []
