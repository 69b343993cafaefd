import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from irodori.freed_memory import give_back, give_back_at_once

def taken():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if sys.argv[1] == "at once":
    give_back_at_once()
# glibc keeps blocks of the size of one that was freed before.
del_me = np.ones(30 << 20, np.uint8)
del del_me
# What imports have left isn't counted.
give_back()
before = taken()
blocks = [np.ones(8 << 20, np.uint8) for _ in range(20)]
# A small one at the end, so that what is before it isn't given back by itself.
end = bytes(1 << 17)
del blocks[:-1]
if sys.argv[1] == "once":
    give_back()
print(taken() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
@pytest.mark.parametrize(
    ("how", "environment", "kept"),
    [
        ("at once", {}, False),
        ("once", {}, False),
        ("by default", {}, True),
        ("at once", {"MALLOC_MMAP_THRESHOLD_": "33554432"}, True),
    ],
)
def test_what_is_freed_goes_back(how, environment, kept):
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # One of 20 blocks of 8 MiB is left.
    assert (float(out) > 100) == kept, out
    assert float(out) > 7
