"""The scripts of experiments/speed that time the start and the framework run."""

import json
import os
import subprocess
import sys

import pytest

from irodori.config import PROJECT


def figures(script, folder):
    """The last line of a script's quick run."""
    done = subprocess.run(
        [sys.executable, PROJECT / "experiments" / "speed" / script, "--quick"],
        check=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_the_framework_is_measured_beside_a_bare_loop(tmp_path):
    found = figures("framework.py", tmp_path)
    assert set(found) == {"framework"}
    assert 0 < found["framework"]["ours"] < 100 * found["framework"]["plain"]


@pytest.mark.long
def test_the_start_is_measured(tmp_path):
    found = figures("startup.py", tmp_path)
    assert set(found) == {"import_irodori", "help", "first_step"}
    assert 0 < found["import_irodori"]["ours"] < found["first_step"]["ours"]
