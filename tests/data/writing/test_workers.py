"""Worker processes."""

import os
import signal
import time

import pytest

from irodori.data.writing.workers import ordered_results
from irodori.utils.errors import IrodoriError


def double(number):
    time.sleep(0.02 * (number % 3))
    return 2 * number, os.getpid()


def fail(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 2:
        raise IrodoriError("the third one fails")
    return number


def test_results_come_in_order_from_several_processes():
    results = list(ordered_results(double, range(40), 2))
    assert [result for result, _ in results] == [2 * number for number in range(40)]
    assert len({pid for _, pid in results} - {os.getpid()}) == 2


def test_one_job_is_done_in_this_process():
    assert list(ordered_results(double, range(3), 1)) == [(2 * n, os.getpid()) for n in range(3)]


def test_errors_are_passed_on_and_a_dead_worker_is_one_line():
    with pytest.raises(IrodoriError, match="the third one fails"):
        list(ordered_results(fail, [0, 1, 2], 2))
    with pytest.raises(IrodoriError, match=r"a worker process died.*--jobs"):
        list(ordered_results(fail, [3], 2))
