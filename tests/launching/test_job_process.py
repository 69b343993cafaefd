import signal
import sys

import psutil

from irodori.training.launching import processes
from irodori.training.launching.processes import JobProcess


def test_a_killed_job_is_not_taken_for_a_finished_one(tmp_path, monkeypatch):
    sleep = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
    shown = []
    job = JobProcess(sleep, tmp_path, tmp_path / "log", {}, shown.append)
    child = psutil.Process(job.process.pid)
    # Found among its folder's processes however fast it has ended.
    monkeypatch.setattr(processes, "marked", lambda *_, **__: [child])
    job.kill()
    assert job.ended() == -signal.SIGKILL
