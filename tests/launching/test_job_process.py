import signal
import sys

import psutil

from irodori.training.launching import processes
from irodori.training.launching.job import Job
from irodori.training.launching.processes import JobProcess


def test_a_killed_job_is_not_taken_for_a_finished_one(tmp_path, monkeypatch):
    sleep = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
    process = JobProcess(sleep, Job(0, (), (), tmp_path, 1, 1, "cpu"), {})
    child = psutil.Process(process.process.pid)
    # Found among its folder's processes however fast it has ended.
    monkeypatch.setattr(processes, "marked", lambda *_, **__: [child])
    process.kill()
    assert process.ended() == -signal.SIGKILL
