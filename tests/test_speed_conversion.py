"""experiments/speed/conversion.py runs, and ends with what the page reads."""

import json
import subprocess
import sys

from irodori.config import PROJECT


def test_conversion_is_measured(tmp_path):
    script = PROJECT / "experiments" / "speed" / "conversion.py"
    done = subprocess.run(
        [sys.executable, script, "--quick"],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    assert 0 < figures.pop("conversion_powers")["seconds"] < 1
    assert sorted(figures) == ["conversion_from_uint8", "conversion_lab", "conversion_to_rgb"]
    for figure in figures.values():
        assert sorted(figure) == ["ours", "plain"]
        assert all(0 < seconds < 1 for seconds in figure.values())
