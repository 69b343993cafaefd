"""Worker processes."""

import os
import signal

import pytest

from irodori.data.writing.job import ordered_results
from irodori.utils.errors import IrodoriError


def fail(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 2:
        raise IrodoriError("the third one fails")
    return number


def test_errors_are_passed_on_and_a_dead_worker_is_one_line():
    with pytest.raises(IrodoriError, match="the third one fails"):
        list(ordered_results(fail, [0, 1, 2], 2))
    with pytest.raises(IrodoriError, match=r"a worker process died.*--jobs"):
        list(ordered_results(fail, [3], 2))
