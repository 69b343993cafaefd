"""The script that measures how fast shards are written runs."""

import json
import subprocess
import sys

import pytest

from irodori.config import PROJECT


@pytest.mark.long
def test_the_rates_are_measured_side_by_side(tmp_path):
    script = PROJECT / "experiments" / "streaming" / "write_rates.py"
    output = tmp_path / "rates.json"
    small = ["--copied", "40", "--encoded", "12", "--rounds", "1", "--output", str(output)]
    done = subprocess.run([sys.executable, script, *small], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    for part, ours, other in (
        ("copy", "shards write", "cp -r"),
        ("encode", "shards write", "cores x one core"),
    ):
        rates = result[part]["images/s"]
        ratio = result[part]["ratio"][f"{ours} / {other}"]
        assert ratio == pytest.approx(rates[ours][0] / rates[other][0], abs=0.1)
    assert {"date", "hardware", "versions", "megabytes"} <= result.keys()
