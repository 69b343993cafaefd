"""The scripts of experiments/ run, with as little as each can do with."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from irodori.config import PROJECT
from irodori.inference.colorizer import STARTER

pytestmark = pytest.mark.long
PHOTO = str(PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg")
SHARDS = str(PROJECT / "data" / "sample" / "sample-0.tar")
SCRIPTS = {
    "backbones/presets.py": ["nothing"],
    "colorize/bleeding.py": [PHOTO],
    "colorize/folder.py": ["--photos", "2", "--rounds", "1"],
    "colorize/jpeg_quality.py": ["--photos", "2"],
    "colorize/work_size.py": [PHOTO],
    "hints/measure_hints.py": [STARTER, "--photographs", SHARDS, "--quick"],
    "speed/gpu.py": ["--device", "cpu", "--quick"],
    "speed/loader.py": ["--quick"],
    "speed/roofline.py": ["--batch-sizes", "2"],
    "speed/startup.py": ["--quick"],
    "speed/training.py": ["--quick"],
    "starter/blind.py": ["--old", STARTER, "--new", STARTER, "--photographs", SHARDS, "--quick"],
    "starter/measure.py": ["--model", f"new={STARTER}", "--photographs", SHARDS, "--quick"],
    "streaming/kills.py": ["--kills", "3", "--seed", "3"],
    "streaming/read_rates.py": ["--images", "100", "--rounds", "1"],
    "streaming/write_rates.py": ["--copied", "40", "--encoded", "12", "--rounds", "1"],
}
if shutil.which("exiftool"):
    SCRIPTS["colorize/exiftool.py"] = []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_and_writes_its_results(tmp_path, script):
    # A copy, since scripts write beside themselves.
    place = tmp_path / "experiments" / script
    shutil.copytree((PROJECT / "experiments" / script).parent, place.parent)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "data").symlink_to(PROJECT / "data")
    before = {path: path.stat().st_mtime_ns for path in place.parent.iterdir()}
    done = subprocess.run(
        [sys.executable, place, *SCRIPTS[script]],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    changed = [p for p in place.parent.iterdir() if before.get(p) != p.stat().st_mtime_ns]
    assert done.stdout or changed
    if script == "speed/gpu.py":
        parts = json.loads((tmp_path / "runs" / "results_gpu.json").read_text())
        assert all(part["rows"] and part["problem"] is None for part in parts.values())
        page = (tmp_path / "runs" / "RESULTS_GPU.md").read_text()
        assert page.count("\n## ") == len(parts) == 8
    if script == "streaming/kills.py":
        series = json.loads((place.parent / "kills.json").read_text())["series"]
        assert [(runs["ranks"], runs["kills"]) for runs in series] == [(1, 3), (2, 3)]
        assert all(runs["values that differ"] == [] for runs in series)
