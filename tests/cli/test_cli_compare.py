"""`irodori compare` as it is typed."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from irodori.cli.app import app
from made_runs import run, study


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.mark.long
def test_a_sweep_becomes_a_report(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    out = tmp_path / "out"
    sweep = study(tmp_path / "sweep")
    done = compare(sweep, "--output", out, "--title", "Spaces", "--wandb")
    assert (done.exit_code, done.stderr) == (0, "")
    *said, logged, last = done.stdout.splitlines()
    assert logged == "W&B: offline (WANDB_MODE)"
    media = {path.name.split("_")[0] for path in out.glob("wandb/offline-run-*/files/media/*/*")}
    assert media == {"estimates", "differences", "scenes", "training", "errors", "trade", "curves"}
    assert last == f"report: {tmp_path / 'out' / 'report.html'}"
    assert any("chrominance RMSE" in line for line in said)
    assert "lab has the lowest chrominance RMSE" in done.stdout
    assert "<title>Spaces</title>" in (tmp_path / "out" / "report.html").read_text()


def test_mistakes_are_one_line_and_nothing_is_written(tmp_path):
    folder = run(tmp_path / "run")
    for arguments in ((tmp_path / "none",), (folder, "--row", "worst")):
        done = compare(*arguments, "--output", tmp_path / "out")
        assert done.exit_code == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_mistakes_and_help_dont_wait_for_torch():
    code = (
        "import sys, irodori.evaluation.comparison.compare\n"
        "from irodori.cli.app import app\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False\n", done.stderr
