import signal

import pytest

from irodori.training.launching.job import (
    Job,
    last_error,
    note,
    note_end,
    read_record,
    read_records,
)

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
        (-signal.SIGKILL, False, "failed", "killed by SIGKILL, as the system does when memory"),
    ],
)
def test_a_job_is_judged_by_its_exit_status(tmp_path, status, stopped, expected, error):
    job = Job(3, ("a=1", "seed=2"), ("seed=2",), tmp_path, 1, 1, "cpu")
    ended = note_end(job, status, [*TRACEBACK, "later words"], stopped)
    assert read_record(tmp_path) == ended
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
    assert last_error(lines) == error


def test_records_are_read_as_they_were_written_by_number(tmp_path):
    assert read_record(tmp_path) is None
    for number, name in [(10, "x/10"), (2, "y=1/2"), (0, "0")]:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        note(Job(number, (f"seed={number}",), (), folder, 1, 1, "cpu"), "done", 0)
        assert [path.name for path in folder.iterdir()] == ["job.json"]
    found = read_records(tmp_path)
    assert [(job.job, job.overrides) for _, job in found] == [
        (number, [f"seed={number}"]) for number in (0, 2, 10)
    ]
    assert [folder.name for folder, _ in found] == ["0", "2", "10"]
