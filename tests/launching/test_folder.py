import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from irodori.training.launching.sweep import begin
from irodori.utils.errors import IrodoriError

BEGIN = """
import sys
from omegaconf import OmegaConf
from irodori.training.launching.sweep import begin
held = []
for line in sys.stdin:
    sweep = {"sweep": {"dir": sys.argv[1]}, "overrides": {"hydra": sys.argv[2:]}}
    config = OmegaConf.create({"hydra": sweep})
    held.append(begin(config))
    print(config.hydra.sweep.dir, flush=True)
"""


def start(folder, *overrides):
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN, folder, *overrides],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_want_the_same_folder_get_one_each(tmp_path):
    wanted = tmp_path / "runs" / "same second"
    processes = [start(wanted) for _ in range(4)]
    # Each claims 25 when all have begun.
    for process in processes:
        process.stdin.write("now\n" * 25)
    found = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert len(found) == 100
    names = {str(wanted), *(f"{wanted}-{number}" for number in range(2, 101))}
    assert set(found) == names


def test_a_named_folder_is_this_one_while_no_other_sweep_runs_there(tmp_path):
    folder = tmp_path / "named"
    override = f"hydra.sweep.dir={folder}"
    holder = start(folder, override)
    holder.stdin.write("now\n")
    holder.stdin.flush()
    assert holder.stdout.readline().strip() == str(folder)
    sweep = {"sweep": {"dir": str(folder)}, "overrides": {"hydra": [override]}}
    config = OmegaConf.create({"hydra": sweep})
    with pytest.raises(IrodoriError, match=r"another sweep is running in .*named: give another"):
        begin(config)
    # SIGKILL: the lock doesn't outlive its process.
    holder.kill()
    holder.communicate()
    with begin(config):
        assert config.hydra.sweep.dir == str(folder)
