import csv
import json

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import OmegaConf

from irodori.training.launching.job import Job, Record, note
from irodori.training.launching.summary import SweepSummary, exit_status, summarize


def job(sweep, number, status, varied=(), exit_status=None, error=None, best=None, begun=False):
    folder = sweep / str(number)
    folder.mkdir(parents=True)
    own = Job(number, ("data=sample", *varied), tuple(varied), folder, 1, 1, "cpu")
    note(own, status, exit_status, error)
    if begun:
        (folder / "config.yaml").write_text("alpha: 1\n")
    if best is not None:
        rows = {name: {"chroma_rmse": best + 1} for name in ("last", "mean_color", "gray")}
        rows["best"] = {"chroma_rmse": best, "accuracy": 25.0}
        rows["last"]["accuracy"] = None
        (folder / "metrics.json").write_text(json.dumps({"rows": rows}))


def test_a_line_and_a_row_for_each_job(tmp_path, capsys):
    sweep = tmp_path / "my sweep"
    job(sweep, 0, "done", ["alpha=0", "seed=1"], 0, best=10.123456)
    # A figure from before the job failed is none of a job that is done.
    job(sweep, 1, "failed", ["alpha=0", "seed=2"], 1, "ValueError: no", best=5.0)
    job(sweep, 2, "stopped", ["alpha=1", "seed=1"], 75, begun=True)
    job(sweep, 3, "stopped", ["alpha=1", "seed=2"], -15)
    job(sweep, 4, "waiting", ['name="a, b=c"'])
    assert summarize(sweep) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    (line,) = [line for line in lines if "0: alpha=0 seed=1" in line]
    assert [cell.strip() for cell in line.split("│")[2:-1]] == [
        "10.12",
        "11.12",
        "11.12",
        "11.12",
        "25%",
    ]
    for number, status in [(1, "failed"), (2, "stopped"), (3, "stopped"), (4, "waiting")]:
        (line,) = [line for line in lines if f"│ {number}: " in line]
        assert status in line
    assert f"job 1 failed: ValueError: no (see {sweep}/1/output.log)" in lines
    assert f"job 2 was stopped; resume with: irodori train 'resume=\"{sweep}/2\"'" in lines
    assert "job 3 was stopped; it had hardly started" in lines
    assert f"the command with 'hydra.sweep.dir=\"{sweep}\"'" in lines[-2]
    assert lines[-1] == f"sweep: {sweep}"
    rows = list(csv.DictReader((sweep / "summary.csv").open()))
    assert [row["job"] for row in rows] == list("01234")
    assert rows[0] == {
        "job": "0",
        "status": "done",
        "exit_status": "0",
        "alpha": "0",
        "seed": "1",
        "name": "",
        "best": "10.123456",
        "last": "11.123456",
        "mean_color": "11.123456",
        "gray": "11.123456",
        "accuracy": "25.0",
    }
    assert (rows[1]["status"], rows[1]["best"]) == ("failed", "")
    assert rows[4]["name"] == '"a, b=c"'


def test_a_search_does_not_try_again_what_failed(tmp_path, capsys):
    (tmp_path / "search.json").touch()
    job(tmp_path, 0, "failed", exit_status=1)
    assert summarize(tmp_path) == 1
    assert "hydra.sweep.dir" not in capsys.readouterr().out
    job(tmp_path, 1, "stopped", exit_status=1)
    assert summarize(tmp_path) == 1
    assert "hydra.sweep.dir" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("jobs", "status"),
    [
        ([("done", 0), ("done", 0)], 0),
        ([("done", 0), ("failed", 1)], 1),
        ([("stopped", 75), ("done", 0), ("waiting", None)], 75),
        ([("stopped", 75), ("stopped", -15)], 75),
        ([("stopped", 75), ("failed", 1)], 1),
        ([("stopped", 1), ("waiting", None)], 1),
        ([("stopped", 75), ("stopped", -9)], 1),
        ([("running", None)], 1),
        ([("waiting", None)], 1),
    ],
)
def test_the_exit_status_of_a_sweep(jobs, status):
    assert exit_status([Record(0, state, [], [], code) for state, code in jobs]) == status


def test_a_summary_that_fails_is_no_success(tmp_path, capsys):
    job(tmp_path, 0, "done", best=1.0)
    (tmp_path / "0" / "metrics.json").write_text("{")
    # Hydra makes a warning of a callback's exception.
    callbacks = Callbacks()
    callbacks.callbacks = [SweepSummary()]
    with pytest.raises(SystemExit) as ended:
        callbacks.on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    assert ended.value.code == 1
    assert "JSONDecodeError" in capsys.readouterr().err
