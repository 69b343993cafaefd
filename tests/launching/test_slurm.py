"""SLURM's jobs on submitit's local executor: real processes, real signals."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hydra_plugins.irodori_sweeps import SlurmLauncher
from irodori.training.launching.job import Job, note, read_record
from irodori.training.launching.pool import marked
from irodori.training.launching.slurm import NodeTask, SlurmQueue
from irodori.utils.errors import IrodoriError

NODE = Path(__file__).with_name("node.py")
pytestmark = pytest.mark.slow


def queue(folder, **settings):
    return SlurmQueue(SlurmLauncher(cluster="local", **settings), folder)


def begin(tmp_path, seed):
    """Run a job in the background; returns it, and the thread that waits for it."""
    folder = tmp_path / "a, b"
    folder.mkdir()
    job = Job(0, (f"seed={seed}", "name='$$ {x}'"), (f"seed={seed}",), folder, 1, 1, "cpu")
    note(job)
    given = [str(NODE)], {"NODE_FOLDER": str(folder)}
    slurm = queue(tmp_path / "slurm", grace=20, requeues=3, slurm={"partition": "gpu"})
    thread = threading.Thread(target=slurm.run, args=[[job], *given])
    thread.start()
    return job, thread


def calls(job):
    return [json.loads(line) for line in (job.folder / "calls").read_text().splitlines()]


def task(folder):
    """submitit's process that runs the job's task."""
    parents = [process.parent() for process in marked(str(folder))]
    return next(each for each in parents if each and "submitit.core._submit" in each.cmdline())


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
def test_a_preempted_job_goes_on_in_its_folder(tmp_path, seed):
    job, waiting = begin(tmp_path, seed)
    if seed == 2:
        # What submitit's job gets before its time runs out.
        while not (job.folder / "config.yaml").exists():
            time.sleep(0.05)
        os.kill(task(job.folder).pid, signal.SIGUSR2)
    waiting.join()
    assert calls(job) == [
        ["hydra.job.num=0", f'hydra.run.dir="{job.folder}"', f"seed={seed}", "name='$$ {x}'"],
        [f'resume="{job.folder}"'],
    ]
    assert read_record(job.folder).status == "done"


@pytest.mark.long
def test_a_job_that_vanishes_is_a_failed_one(tmp_path):
    job, waiting = begin(tmp_path, 2)
    while not (job.folder / "config.yaml").exists():
        time.sleep(0.05)
    mine = task(job.folder)
    rest = mine.children(recursive=True)
    mine.kill()
    for process in rest:
        process.kill()
    waiting.join()
    ended = read_record(job.folder)
    assert ended.status == "failed"
    assert "ended as FINISHED" in ended.error


@pytest.mark.parametrize(("node", "rank"), [(0, {}), (2, {"RANK": "16"})])
def test_several_nodes_meet_at_the_first_one(tmp_path, monkeypatch, node, rank):
    job = Job(0, ("seed=1",), (), tmp_path, 8, 4, "gpu")
    for name, value in {
        "SUBMITIT_EXECUTOR": "slurm",
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NUM_NODES": "4",
        "SLURM_JOB_NODELIST": "gpu[07-09,12]",
        "SLURM_PROCID": str(node),
    }.items():
        monkeypatch.setenv(name, value)
    assert NodeTask(job, ["train.py"], {}, 10).rendezvous_variables() == {
        "NODE_RANK": str(node),
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "24567",
        **rank,
    }


def test_what_submitit_refuses_is_one_line(tmp_path):
    job = Job(0, (), (), tmp_path, 1, 2, "cpu")
    with pytest.raises(IrodoriError, match=r"^submitit rejects job 0: .*only one node"):
        queue(tmp_path).run([job], ["train.py"], {})


@pytest.mark.long
def test_a_sweep_through_the_launcher(start):
    sweep = start(
        "seed=1,2", "hydra/launcher=slurm", "hydra.launcher.cluster=local", behavior={"2": "refuse"}
    )
    assert sweep.wait() == 1
    assert "job 1 failed: this seed can't be had (exit status 1)" in sweep.lines
    output = (sweep.folder / "1" / "output.log").read_text()
    assert output.splitlines()[-1] == "error: this seed can't be had"
    assert (sweep.folder / "0" / "metrics.json").exists()


def test_without_slurm_it_is_one_line(start):
    sweep = start("seed=1,2", "hydra/launcher=slurm", behavior={})
    assert sweep.wait() == 1
    assert sweep.lines[-1:] == ["error: hydra/launcher=slurm: there is no srun on this machine"]
