"""Worker processes."""

import os
import signal
import time

import pytest

from irodori.data.writing.pool import advance, cores, run
from irodori.utils.errors import IrodoriError


def double(number):
    advance(number)
    return 2 * number, os.getpid()


def free_cores(seconds):
    time.sleep(seconds)
    return cores()


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def fail_or_work_on(number):
    if number == 0:
        raise IrodoriError("the first one fails")
    while True:
        advance(1)
        time.sleep(0.01)


def test_results_come_from_several_processes_and_the_sum_is_told():
    sums = []
    results = list(run(double, range(40), 2, sums.append))
    assert sorted(result for result, _ in results) == [2 * number for number in range(40)]
    assert os.getpid() not in {pid for _, pid in results}
    assert sums[-1] == sum(range(40))


def test_a_task_may_use_the_cores_that_have_none():
    assert list(run(free_cores, [0], 8, print)) == [8]
    assert list(run(free_cores, [0.2] * 3, 1, print)) == [1, 1, 1]


def test_no_tasks_need_no_processes():
    assert list(run(double, [], 2, print)) == []


def test_an_error_ends_the_others_soon():
    start = time.monotonic()
    with pytest.raises(IrodoriError, match="the first one fails"):
        list(run(fail_or_work_on, range(6), 2, lambda count: None))
    assert time.monotonic() - start < 20


def test_a_worker_that_dies_is_one_line():
    with pytest.raises(IrodoriError, match=r"a worker process died.*--jobs"):
        list(run(die, [1, 2], 2, lambda count: None))
