"""Sweeps in real processes."""

from collections.abc import Iterator

import psutil
import pytest
from sweeps import Sweep, jobs_below


@pytest.fixture
def start(tmp_path) -> Iterator[type]:
    """Starts sweeps below tmp_path, and sees that no process of theirs is left."""
    sweeps = []

    def begin(*overrides, **named):
        sweeps.append(Sweep(tmp_path, *overrides, **named))
        return sweeps[-1]

    yield begin
    for sweep in sweeps:
        if sweep.process.poll() is None:
            sweep.process.kill()
            sweep.process.wait()
    left = jobs_below(tmp_path)
    for pid in left:
        psutil.Process(pid).kill()
    assert not left
