"""experiments/speed/loader.py runs, and prints what the page of figures reads."""

import json
import os
import subprocess
import sys

import pytest

from irodori.config import PROJECT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads processes' clocks")


@pytest.mark.long
def test_the_loader_is_measured_beside_decoding_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, PROJECT / "experiments" / "speed" / "loader.py", "--quick"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    plain, ours = result["loader"]["plain"], result["loader"]["ours"]
    assert result["jpeg_decode"]["images_per_core_second"] == pytest.approx(1 / plain, rel=1e-3)
    # Decoding is a part of what a loader does, whose processes have to be counted for that.
    assert 0.5 * plain < ours < 10 * plain
