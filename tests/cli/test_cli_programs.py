"""`irodori train` and `irodori evaluate`, which take Hydra's command line."""

import json

import pytest

from forked import Run


def irodori(folder, *arguments):
    run = Run(folder, *arguments, program="irodori")
    return run.end(), run.output.splitlines()


@pytest.mark.long  # the test of the wheel shows it in part
def test_the_command_trains_resumes_and_evaluates(data, tmp_path):
    own = tmp_path / "own" / "experiment" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\nalpha: 0.5\ntrainer:\n  max_steps: 1\n")
    on = ["--config-dir", "own", "experiment=mine", *data.on]
    status, lines = irodori(tmp_path, "train", *on)
    assert status == [0], lines
    folder = lines[-1].removeprefix("run: ")
    assert "/runs/mine/" in folder
    status, lines = irodori(tmp_path, "train", f"resume={folder}")
    assert status == [0], lines
    assert any("this run is already finished" in line for line in lines)
    status, lines = irodori(tmp_path, "evaluate", f"checkpoint={folder}", "perceptual=false")
    assert status == [0], lines
    metrics = f"{lines[-1].removeprefix('evaluation: ')}/metrics.json"
    with (tmp_path / metrics).open() as file:
        assert json.load(file)["rows"]["model"]["chroma_rmse"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["train", "trainer.max_epoch=3"], "max_epochs"),
        (["evaluate", "pictures=-1"], "pictures=-1"),
        (["evaluate", "-m", "checkpoint=a,b"], "leave out -m"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, arguments, part):
    status, lines = irodori(tmp_path, *arguments)
    assert status == [1]
    *progress, line = lines
    assert all("…" in text for text in progress)
    assert line.startswith("error: ")
    assert part in line


@pytest.mark.slow
@pytest.mark.parametrize("program", ["train", "evaluate"])
def test_help_is_that_of_hydra(tmp_path, program):
    status, lines = irodori(tmp_path, program, "--help")
    assert status == [0]
    assert "Configuration groups" in "\n".join(lines)
