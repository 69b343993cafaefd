import subprocess
import sys

import pytest

from irodori.training.launching.folder import create_sweep_folder
from irodori.utils.errors import IrodoriError

CLAIM = """
import sys
from pathlib import Path
from irodori.training.launching.folder import create_sweep_folder
for line in sys.stdin:
    print(create_sweep_folder(Path(sys.argv[1]), named=False), flush=True)
"""


def test_processes_that_want_the_same_folder_get_one_each(tmp_path):
    wanted = tmp_path / "runs" / "same second"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    # Each claims 25 when all have begun.
    for process in processes:
        process.stdin.write("now\n" * 25)
    found = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert len(found) == 100
    names = {str(wanted), *(f"{wanted}-{number}" for number in range(2, 101))}
    assert set(found) == names


def test_a_named_folder_is_this_one_while_no_other_sweep_runs_there(tmp_path):
    folder = tmp_path / "named"
    hold = CLAIM.replace("named=False", "named=True")
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    holder.stdin.write("now\n")
    holder.stdin.flush()
    assert holder.stdout.readline().strip() == str(folder)
    with pytest.raises(IrodoriError, match=r"another sweep is running in .*named: give another"):
        create_sweep_folder(folder, named=True)
    # SIGKILL: the lock doesn't outlive its process.
    holder.kill()
    holder.communicate()
    assert create_sweep_folder(folder, named=True) == folder
