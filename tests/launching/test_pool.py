"""Real processes on made-up GPUs: what matters is what each is told to use, and when."""

import json
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import torch
from omegaconf import OmegaConf

from irodori.training.launching import job as jobs_of_sweep
from irodori.training.launching import pool as pools
from irodori.training.launching.job import Job, note, read_record
from irodori.training.launching.pool import JobProcess, Pool, visible_gpus
from irodori.utils.errors import IrodoriError

# Notes what it sees and from when to when it runs.
PROGRAM = """
import json, os, sys, time
begun = time.monotonic()
time.sleep(0.3)
seen = os.environ.get("CUDA_VISIBLE_DEVICES")
folder = sys.argv[2].partition("=")[2].strip('"')
json.dump([seen, begun, time.monotonic()], open(folder + "/seen", "w"))
print("over", flush=True)
"""
SLEEP = ["-c", "import time; time.sleep(60)"]


def make(tmp_path, devices, accelerator="auto"):
    jobs = []
    for number, count in enumerate(devices):
        folder = tmp_path / str(number)
        folder.mkdir()
        jobs.append(Job(number, (), (), folder, count, 1, accelerator))
    return jobs


def run(pool, jobs, program=PROGRAM):
    pool.check(jobs)
    pool.run(jobs, ["-c", program], {})
    return [json.loads((job.folder / "seen").read_text()) for job in jobs]


def test_each_gpu_belongs_to_one_job_at_a_time(tmp_path, capsys):
    gpus = ["3", "5", "GPU-abc"]
    devices = [1, 1, 1, 2, 1, 3]
    runs = run(Pool(gpus=gpus), make(tmp_path, devices))
    held = [seen.split(",") for seen, _, _ in runs]
    assert [len(names) for names in held] == devices
    assert {name for names in held for name in names} == set(gpus)
    together = [
        (i, j)
        for i in range(len(runs))
        for j in range(i)
        if runs[i][1] < runs[j][2] and runs[j][1] < runs[i][2]
    ]
    assert together
    for i, j in together:
        assert not set(held[i]) & set(held[j])
    out = capsys.readouterr().out.splitlines()
    assert "0 | over" in out
    assert "job 0 done" in out


@pytest.mark.parametrize(
    ("gpus", "at_once", "accelerator", "devices", "expected"),
    [
        ([], None, "auto", 1, [[]]),
        ([], 2, "auto", 1, [[], []]),
        (["0", "1", "2"], None, "auto", 1, [["0"], ["1"], ["2"]]),
        (["0", "1", "2"], None, "auto", 2, [["0", "1"]]),
        (["0", "1", "2"], 2, "auto", 1, [["0"], ["1"]]),
        (["0", "1", "2"], None, "cpu", 1, [[]]),
    ],
)
def test_so_many_at_once(tmp_path, gpus, at_once, accelerator, devices, expected):
    pool = Pool(at_once, gpus=gpus)
    (job,) = make(tmp_path, [devices], accelerator)
    while (given := pool.free_gpus(job)) is not None:
        pool.running.append(SimpleNamespace(gpus=given))
    assert [process.gpus for process in pool.running] == expected


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


@pytest.mark.parametrize(
    ("devices", "count"), [(2, 2), ("auto", 1), (-1, 1), ([0, 1], 2), ("0,1", 2)]
)
def test_devices_are_counted_as_the_job_counts_them(devices, count):
    trainer = OmegaConf.create({"devices": devices, "accelerator": "cpu"})
    assert jobs_of_sweep._devices(trainer) == count


@pytest.mark.parametrize("devices", [[2, 3], [0], "2,3", "0,"])
def test_a_job_of_a_sweep_cannot_choose_its_gpus(devices):
    trainer = OmegaConf.create({"devices": devices, "accelerator": "auto"})
    with pytest.raises(IrodoriError, match=r"trainer\.devices=.*CUDA_VISIBLE_DEVICES"):
        jobs_of_sweep._devices(trainer)


def test_what_the_machine_cannot_run_is_refused(tmp_path):
    (job,) = make(tmp_path, [4])
    with pytest.raises(IrodoriError, match=r"job 0: trainer\.devices=4, but there are 2 GPUs"):
        Pool(gpus=["0", "1"]).check([job])
    Pool().check([job])
    with pytest.raises(IrodoriError, match=r"trainer\.num_nodes=2.*hydra/launcher=slurm"):
        Pool().check([Job(0, (), (), tmp_path, 1, 2, "cpu")])
    with pytest.raises(IrodoriError, match=r"hydra\.launcher\.jobs=0"):
        Pool(at_once=0).check([])


@pytest.mark.long
def test_output_is_kept_and_processes_left_behind_are_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "from outside")
    # A grandchild in a session of its own, which holds the output open.
    program = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
folder = sys.argv[2].partition("=")[2].strip('"')
open(folder + "/seen", "w").write(f'[{child.pid}, 0, 0]')
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdout.buffer.write(b"one\\rtwo\\nno end \\xff"); sys.exit(3)
"""
    jobs = make(tmp_path, [1])
    begun = time.monotonic()
    ((pid, _, _),) = run(Pool(), jobs, program)
    assert time.monotonic() - begun < 15
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (jobs[0].folder / "output.log").read_bytes() == b"from outside\none\rtwo\nno end \xff"
    ended = read_record(jobs[0].folder)
    assert (ended.status, ended.exit_status, ended.error) == ("failed", 3, "no end �")


def test_a_job_ends_though_its_output_cannot_be_shown(tmp_path, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    program = [sys.executable, "-c", "for _ in range(9999): print('x' * 99)"]
    process = JobProcess(program, Job(0, (), (), tmp_path, 1, 1, "cpu"), {})
    assert process.process.wait(timeout=60) == 0
    process.reader.join(timeout=60)
    assert (tmp_path / "output.log").stat().st_size == 9999 * 100


def test_a_resumed_job_trusts_whom_it_did(tmp_path):
    job = Job(0, ("trust=[mine]", "seed=3"), (), tmp_path, 1, 1, "cpu")
    (tmp_path / "config.yaml").touch()
    assert jobs_of_sweep.command(["train.py"], job)[3:] == ["trust=[mine]"]


def test_a_killed_job_is_not_taken_for_a_finished_one(tmp_path, monkeypatch):
    process = JobProcess([sys.executable, *SLEEP], Job(0, (), (), tmp_path, 1, 1, "cpu"), {})
    child = psutil.Process(process.process.pid)
    # Found among its folder's processes however fast it has ended.
    monkeypatch.setattr(pools, "marked", lambda *_, **__: [child])
    process.kill()
    assert process.ended() == -signal.SIGKILL


def test_a_signal_leaves_the_rest_waiting_and_handlers_as_they_were(tmp_path):
    jobs = make(tmp_path, [1, 1, 1])
    for job in jobs:
        note(job)
    before = signal.getsignal(signal.SIGTERM)

    def later():
        while not (jobs[0].folder / "output.log").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=later)
    thread.start()
    pool = Pool()
    pool.run(jobs, SLEEP, {})
    thread.join()
    assert pool.stop_signal == signal.SIGTERM
    states = [read_record(job.folder) for job in jobs]
    assert [state.status for state in states] == ["stopped", "waiting", "waiting"]
    assert signal.getsignal(signal.SIGTERM) is before
    # Another batch of a sweeper doesn't begin.
    pool.run(jobs[1:], SLEEP, {})
    assert read_record(jobs[1].folder).status == "waiting"
