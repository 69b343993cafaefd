import signal
from pathlib import Path

import pytest

from irodori.training.launching import record
from irodori.training.launching.job import Job

JOB = Job(3, ("a=1", "seed=2"), ("seed=2",), Path("/nowhere"), 1, 1, "cpu")
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "x.py"',
    "torch.OutOfMemoryError: no room",
]


@pytest.mark.parametrize(
    ("status", "stopped", "expected", "error"),
    [
        (0, False, "done", None),
        (0, True, "done", None),
        (75, False, "stopped", None),
        (1, True, "stopped", None),
        (-signal.SIGTERM, True, "stopped", None),
        (1, False, "failed", "torch.OutOfMemoryError: no room"),
        (-signal.SIGSEGV, False, "failed", "killed by SIGSEGV"),
        (128 + signal.SIGABRT, False, "failed", "killed by SIGABRT"),
        (-signal.SIGKILL, False, "failed", "killed by SIGKILL, as the system does when memory"),
    ],
)
def test_a_job_is_judged_by_its_exit_status(status, stopped, expected, error):
    ended = record.record_of(JOB).ended(status, [*TRACEBACK, "later words"], stopped)
    assert (ended.status, ended.exit_status) == (expected, status)
    assert ended.error == error or (error and ended.error.startswith(error))
    assert (ended.job, ended.overrides, ended.varied) == (3, ["a=1", "seed=2"], ["seed=2"])


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["error: no shard matches", "W&B: done"], "no shard matches"),
        (["ValueError: first", "During handling …", "KeyError: 'second'"], "KeyError: 'second'"),
        (["Segmentation fault", "  "], "Segmentation fault"),
        ([], "no output"),
    ],
)
def test_the_line_that_says_what_went_wrong(lines, error):
    assert record.last_error(lines) == error


def test_records_are_read_as_they_were_written_by_number(tmp_path):
    assert record.read(tmp_path) is None
    jobs = {}
    for number, name in [(10, "x/10"), (2, "y=1/2"), (0, "0")]:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        jobs[number] = record.Record(number, "done", [f"seed={number}"], [], 0)
        record.write(folder, jobs[number])
        assert [path.name for path in folder.iterdir()] == ["job.json"]
    found = record.read_all(tmp_path)
    assert [job for _, job in found] == [jobs[0], jobs[2], jobs[10]]
    assert [folder.name for folder, _ in found] == ["0", "2", "10"]
