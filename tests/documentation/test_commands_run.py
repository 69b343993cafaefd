"""The `bash` commands of each page are run as they stand, in their order; trainings are short."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import webdataset
from blocks import BLOCKS, COMMANDS, PROJECT, name_of, write_files

from made_runs import study

pytestmark = pytest.mark.long
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
RUN = {
    page: [
        line
        for block in BLOCKS
        if (name_of(block.page), block.language, block.title) == (page, "bash", "")
        for line in block.text.splitlines()
    ]
    for page, _ in COMMANDS
}
COMPOSED = re.compile(r"python train\.py experiment=[^\"'$]*")
"""Trainings that differ from others in settings alone, and that another test composes."""
TEXT = "\n".join(block.text for block in BLOCKS)


def run(command: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, command + "\n" + done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout, with photographs of a user's own, their shards, and runs."""
    folder = tmp_path_factory.mktemp("prepared")
    classes = json.loads((PROJECT / "data" / "sample" / "index.json").read_text())["classes"]
    for name in ("train.py", "evaluate.py", "conf", "data", "src"):
        (folder / name).symlink_to(PROJECT / name)
    write_files(folder)
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
    run("irodori shards write photos shards --val-share 0.2", folder)
    run(f"python train.py experiment=lab_alpha1 {shlex.join(SHORT)}", folder)
    shutil.copytree(folder / "runs" / "lab_alpha1", folder / "runs" / "starter")
    study(folder / "runs" / "spaces")
    return folder


@pytest.mark.parametrize("page", [page for page in RUN if RUN[page]])
def test_the_commands_of_a_page(page: str, prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "checkout", symlinks=True))
    for command in RUN[page]:
        if command.startswith("make") or " -m " in command or COMPOSED.fullmatch(command):
            continue
        own = "--config-dir" in command and "experiment=quick" in command
        short = SHORT if "train.py" in command and not own else []
        if "evaluate.py" in command:
            command += " perceptual=false"  # which takes longest
        out = run(f"{command} {shlex.join(short)}", folder)
        if "train.py" in command:
            kind, path = out.splitlines()[-1].split(": ", 1)
            assert kind == "run"
            assert (folder / path / "metrics.json").is_file()
