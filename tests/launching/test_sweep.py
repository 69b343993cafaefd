"""Sweeps from the command line: real processes that write down what they were given."""

import csv
import json
import signal
import subprocess

import pytest
from sweeps import jobs_below, seen

AWKWARD = [
    "two words",
    "a,b",
    "t-{000..003}.tar",
    'it\'s "so"',
    "back\\slash, $$ {seed} $HOME",
    "#%&*()[]!~;|<>=彩り",
]


@pytest.mark.long
def test_jobs_get_exactly_their_overrides_whatever_stands_in_them(start, tmp_path):
    from irodori.training.launching.job import quoted

    names = ",".join(quoted(text) for text in AWKWARD)
    folder = tmp_path / "my, sweep's =folder"
    sweep = start(
        f"experiment_name={names}",
        "++seed=3",
        f"hydra.sweep.dir={quoted(str(folder))}",
        "hydra.sweep.subdir=job_${hydra:job.num}",
        "hydra.launcher.jobs=4",
        behavior={},
    )
    assert sweep.wait() == 0, sweep.lines
    assert sweep.folder == folder
    for number, text in enumerate(AWKWARD):
        config = seen(folder / f"job_{number}")["config"]
        assert (config["experiment_name"], config["seed"]) == (text, 3)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_one_that_fails_is_marked_and_the_others_go_on(start, tmp_path):
    sweep = start("seed=0,1,2", behavior={"0": "refuse", "1": "kill"})
    assert sweep.wait() == 1
    folder = sweep.folder
    rows = list(csv.DictReader((folder / "summary.csv").open()))
    assert [row["status"] for row in rows] == ["failed", "failed", "done"]
    assert [row["exit_status"] for row in rows] == ["1", "-9", "0"]
    assert [row["seed"] for row in rows] == list("012")
    assert float(rows[2]["best"]) > 10
    assert rows[0]["best"] == ""
    assert f"job 0 failed: this seed can't be had (see {folder}/0/output.log)" in sweep.lines
    assert any(line.startswith("job 1 failed: killed by SIGKILL") for line in sweep.lines)
    # A job's output is shown, and kept.
    assert "error: this seed can't be had" in sweep.lines
    log = (folder / "0" / "output.log").read_text()
    assert log.splitlines()[-1] == "error: this seed can't be had"
    assert f"run: {folder}/2" in sweep.lines
    groups = {seen(folder / str(number))["group"] for number in range(3)}
    assert groups == {f"quick/{folder.name}"}


def test_a_mistake_that_composing_shows_is_told_before_anything_starts(start, tmp_path):
    sweep = start("seed=1,-1", behavior={})
    assert sweep.wait() == 1
    line = sweep.lines[-1]
    assert line.startswith("error: job 1 (seed=-1): seed=-1: ")
    assert not list(tmp_path.rglob("rank-0.json"))


def test_another_launcher_is_refused(start):
    sweep = start("seed=1,2", "hydra/launcher=basic", behavior={})
    assert sweep.wait() == 1
    assert "leave out hydra/launcher=basic" in sweep.lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_signal_reaches_all_jobs_and_nothing_is_left(start, tmp_path, signum):
    behavior = {"1": "wait", "2": "wait", "3": "wait"}
    sweep = start("seed=0,1,2,3", "hydra.launcher.jobs=2", behavior=behavior)
    sweep.until("runs/*/*/[12]/rank-0.json", 2)
    sweep.process.send_signal(signum)
    status = sweep.wait(30)
    folder = sweep.folder
    assert not jobs_below(tmp_path)
    states = [json.loads((folder / name / "job.json").read_text()) for name in "0123"]
    assert [state["status"] for state in states] == ["done", "stopped", "stopped", "waiting"]
    assert not (folder / "3" / "rank-0.json").exists()
    if signum == signal.SIGTERM:
        assert status == 75
        assert "job 1 was stopped; it had hardly started" in sweep.lines
    else:
        assert status == 1
    assert f"the command with 'hydra.sweep.dir=\"{folder}\"'" in sweep.lines[-2]
    # Lines of jobs side by side bear their number.
    assert f"0 | run: {folder}/0" in sweep.lines


@pytest.mark.long
def test_a_job_that_does_not_stop_is_killed_in_the_end(start, tmp_path):
    sweep = start("seed=1", "hydra.launcher.grace=1", behavior={"1": "wait"})
    sweep.until("runs/*/*/0/rank-0.json")
    pid = seen(next(tmp_path.glob("runs/*/*/0")))["pid"]
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    sweep.process.terminate()
    assert sweep.wait(30) == 1, sweep.lines
    assert not jobs_below(tmp_path)


@pytest.mark.long
def test_what_is_missing_of_a_sweep_is_made_up_for_and_nothing_else(start, tmp_path):
    folder = f"hydra.sweep.dir={tmp_path}/mine"
    first = start("seed=0,1,2", folder, behavior={"1": "wait"})
    first.until("mine/1/rank-0.json")
    first.process.terminate()
    assert first.wait() == 75
    pid = seen(tmp_path / "mine" / "0")["pid"]
    again = start("seed=0,1,2", folder, behavior={})
    assert again.wait() == 0, again.lines
    assert "1 of 3 jobs are already done" in again.lines
    assert seen(tmp_path / "mine" / "0")["pid"] == pid
    rows = list(csv.DictReader((tmp_path / "mine" / "summary.csv").open()))
    assert [(row["status"], row["seed"]) for row in rows] == [("done", x) for x in "012"]
