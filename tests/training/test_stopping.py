"""Signals, and what becomes of loader processes."""

import contextlib
import multiprocessing
import os
import signal
import time

import psutil
import pytest

from irodori.data.loader import end_workers, prepare_worker
from irodori.training.stopping import REQUEUE, SIGNALS, StopSignal

FORK = multiprocessing.get_context("fork")


def send(number):
    os.kill(os.getpid(), number)


def stopped(stop, *numbers):
    """The exit status of a block in which these signals come."""
    try:
        with stop.handled():
            for number in numbers:
                send(number)
    except SystemExit as left:
        return left.code
    return None


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_with_one_line_and_requeue(number, capsys):
    before = [signal.getsignal(number) for number in SIGNALS]
    stop = StopSignal()
    stop.resume_hint = "all is well"
    assert stopped(stop, number, signal.SIGKILL) == REQUEUE == 75
    assert capsys.readouterr().err == f"stopped by {signal.Signals(number).name}: all is well\n"
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_other_ranks_leave_quietly_and_without_a_failure(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert stopped(StopSignal(), signal.SIGTERM) == 0
    assert capsys.readouterr().err == ""


def test_code_that_takes_any_exception_for_its_own_does_not_keep_a_run_alive():
    with pytest.raises(SystemExit), StopSignal().handled(), contextlib.suppress(Exception):
        send(signal.SIGTERM)


def test_a_signal_that_has_to_wait_is_only_remembered():
    stop = StopSignal()
    stop.wait()
    assert stopped(stop, signal.SIGUSR1) is None
    assert stop.name == "SIGUSR1"


def test_the_inner_of_two_blocks_handles_a_signal(capsys):
    inner = StopSignal()
    inner.resume_hint = "the inner one"
    with pytest.raises(SystemExit), StopSignal().handled(), inner.handled():
        send(signal.SIGTERM)
    assert capsys.readouterr().err == "stopped by SIGTERM: the inner one\n"


def worker(ready):
    prepare_worker(0)
    ready.set()
    time.sleep(60)


def started_worker():
    ready = FORK.Event()
    process = FORK.Process(target=worker, args=[ready], daemon=True)
    process.start()
    assert ready.wait(10)
    return process


def test_loader_processes_outlive_the_signals_of_a_job_and_not_their_end():
    process = started_worker()
    for number in (*SIGNALS, signal.SIGINT):
        os.kill(process.pid, number)
    process.join(0.2)
    assert process.is_alive()
    end_workers()
    process.join(5)
    assert process.exitcode == -signal.SIGKILL


def parent(sender):
    sender.send(started_worker().pid)
    os.kill(os.getpid(), signal.SIGKILL)


def test_loader_processes_die_with_the_process_that_started_them():
    receiver, sender = FORK.Pipe()
    process = FORK.Process(target=parent, args=[sender])
    process.start()
    pid = receiver.recv()
    process.join(10)
    end = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)
