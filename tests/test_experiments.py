"""The scripts of experiments/ run."""

import csv
import json
import os
import subprocess
import sys

import pytest

from irodori.config import PROJECT


@pytest.mark.long
def test_backbones_are_measured(tmp_path):
    script = PROJECT / "experiments" / "backbones" / "presets.py"
    command = [sys.executable, script, tmp_path, "--output", tmp_path / "presets.csv"]
    subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    (paper,) = csv.DictReader((tmp_path / "presets.csv").open())
    assert paper["backbone"] == "paper"
    assert paper["parameters"] == "2.65 M"
    fast, slow = (float(paper[f"{kind} images/s"].split()[0]) for kind in ("inference", "training"))
    assert fast > slow > 0


@pytest.mark.long
def test_killed_runs_end_as_if_nothing_had_happened(tmp_path):
    output = tmp_path / "kills.json"
    script = PROJECT / "experiments" / "streaming" / "kills.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "3", "--seed", "3", "--output", output],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    series = json.loads(output.read_text())["series"]
    assert [(one["ranks"], one["kills"]) for one in series] == [(1, 3), (2, 3)]
    assert all(one["values that differ"] == [] for one in series)
