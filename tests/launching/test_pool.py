"""Real processes on made-up GPUs: what matters is what each is told to use, and when."""

import json
import os
import signal
import sys
import threading
import time

import pytest
import torch

from irodori.training.launching import record
from irodori.training.launching.job import Job
from irodori.training.launching.pool import Pool, visible_gpus
from irodori.utils.errors import IrodoriError

# Notes what it sees and from when to when it runs.
PROGRAM = """
import json, os, sys, time
begun = time.monotonic()
time.sleep(float(sys.argv[2]))
seen = os.environ.get("CUDA_VISIBLE_DEVICES")
json.dump([seen, begun, time.monotonic()], open(sys.argv[1], "w"))
print("over", flush=True)
"""


def make(tmp_path, devices, accelerator="auto"):
    jobs = []
    for number, count in enumerate(devices):
        folder = tmp_path / str(number)
        folder.mkdir()
        jobs.append(Job(number, (), (), folder, count, 1, accelerator))
    return jobs


def run(pool, jobs, seconds=0.3, program=PROGRAM):
    def command(job):
        return [sys.executable, "-c", program, str(job.folder / "seen"), str(seconds)]

    pool.check(jobs)
    pool.run(jobs, command, {})
    return [json.loads((job.folder / "seen").read_text()) for job in jobs]


def together(one, other):
    return one[1] < other[2] and other[1] < one[2]


def test_each_gpu_belongs_to_one_job_at_a_time(tmp_path, capsys):
    gpus = ["3", "5", "GPU-abc"]
    devices = [1, 1, 1, 2, 1, 3, 1, 1]
    runs = run(Pool(gpus), make(tmp_path, devices))
    held = [seen.split(",") for seen, _, _ in runs]
    assert [len(names) for names in held] == devices
    assert {name for names in held for name in names} == set(gpus)
    pairs = [(i, j) for i in range(len(runs)) for j in range(i)]
    side_by_side = [pair for pair in pairs if together(runs[pair[0]], runs[pair[1]])]
    assert side_by_side
    for i, j in side_by_side:
        assert not set(held[i]) & set(held[j])
    out = capsys.readouterr().out.splitlines()
    assert "0 | over" in out
    assert "job 0 done" in out


@pytest.mark.parametrize(
    ("gpus", "at_once", "accelerator", "most"),
    [
        ([], 2, "auto", 2),
        (["0", "1", "2"], None, "auto", 3),
        (["0", "1", "2"], None, "cpu", 1),
    ],
)
def test_so_many_at_once(tmp_path, monkeypatch, gpus, at_once, accelerator, most):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "from outside")
    runs = run(Pool(gpus, at_once), make(tmp_path, [1] * 4, accelerator))
    crowds = [sum(together(run, other) for other in runs) for run in runs]
    counts = [sum(run[1] <= moment[1] < run[2] for run in runs) for moment in runs]
    assert max(counts) == most, crowds
    if accelerator == "cpu" or not gpus:
        assert {run[0] for run in runs} == {"from outside"}


@pytest.mark.parametrize(
    ("variable", "count", "expected"),
    [
        (None, 2, ["0", "1"]),
        (None, 0, []),
        ("4, GPU-abc", 2, ["4", "GPU-abc"]),
        # torch counts up to the first that isn't there.
        ("4,9,5", 1, ["4"]),
        ("", 0, []),
    ],
)
def test_gpus_are_those_that_this_process_sees(monkeypatch, variable, count, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == expected


def test_what_the_machine_cannot_run_is_refused(tmp_path):
    (job,) = make(tmp_path, [4])
    with pytest.raises(IrodoriError, match=r"job 0: trainer\.devices=4, but there are 2 GPUs"):
        Pool(["0", "1"]).check([job])
    Pool([]).check([job])
    with pytest.raises(IrodoriError, match=r"trainer\.num_nodes=2.*hydra/launcher=slurm"):
        Pool([]).check([Job(0, (), (), tmp_path, 1, 2, "cpu")])
    with pytest.raises(IrodoriError, match=r"hydra\.launcher\.jobs=0"):
        Pool([], at_once=0).check([])


@pytest.mark.long
def test_output_is_kept_and_processes_left_behind_are_ended(tmp_path):
    # A grandchild in a session of its own, which holds the output open.
    program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
open(sys.argv[1], "w").write(f'[{child.pid}, 0, 0]')
sys.stdout.buffer.write(b"one\\rtwo\\nno end \\xff"); sys.exit(3)
"""
    jobs = make(tmp_path, [1])
    begun = time.monotonic()
    ((pid, _, _),) = run(Pool([]), jobs, program=program)
    assert time.monotonic() - begun < 15
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (jobs[0].folder / "output.log").read_bytes() == b"one\rtwo\nno end \xff"
    ended = record.read(jobs[0].folder)
    assert (ended.status, ended.exit_status, ended.error) == ("failed", 3, "no end �")


def test_a_signal_leaves_the_rest_waiting_and_handlers_as_they_were(tmp_path):
    jobs = make(tmp_path, [1, 1, 1])
    for job in jobs:
        record.write(job.folder, record.record_of(job))
    before = signal.getsignal(signal.SIGTERM)

    def later():
        while not (jobs[0].folder / "output.log").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=later)
    thread.start()
    pool = Pool([])
    pool.run(jobs, lambda job: [sys.executable, "-c", "import time; time.sleep(60)"], {})
    thread.join()
    assert pool.stop_signal == signal.SIGTERM
    states = [record.read(job.folder) for job in jobs]
    assert [state.status for state in states] == ["stopped", "waiting", "waiting"]
    assert signal.getsignal(signal.SIGTERM) is before
    # Another batch of a sweeper doesn't begin.
    pool.run(jobs[1:], lambda job: [sys.executable, "-c", "pass"], {})
    assert record.read(jobs[1].folder).status == "waiting"
