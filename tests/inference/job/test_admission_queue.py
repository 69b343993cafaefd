"""Which tasks run at the same time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from irodori.inference.job.queue import AdmissionQueue


def drained(queue, threads, work):
    """All tasks done by so many threads."""

    def run():
        while admission := queue.take():
            retry = bool(work(admission))
            queue.release(admission, retry)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(run) for _ in range(threads)]:
            future.result(timeout=30)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 100), st.lists(st.integers(0, 150), max_size=20))
def test_the_limits_hold_and_every_task_runs_once(threads, budget, costs):
    queue = AdmissionQueue(range(len(costs)), costs.__getitem__, budget, threads)
    lock = threading.Lock()
    active, done = [], []

    def work(admission):
        with lock:
            active.append(admission.cost)
            assert len(active) == 1 or sum(active) <= budget
        time.sleep(0.0003)
        with lock:
            active.remove(admission.cost)
            done.append(admission.task)

    drained(queue, threads, work)
    assert sorted(done) == list(range(len(costs)))


def test_a_slow_task_holds_up_no_other_that_fits():
    """Nor does one that waits for memory, which the slow one keeps."""
    others_are_done = threading.Event()
    done = []

    def work(admission):
        if admission.task == "slow":
            assert others_are_done.wait(20)
        done.append(admission.task)
        if len(done) == 5:
            others_are_done.set()

    tasks = ["slow", "large", *range(5)]
    queue = AdmissionQueue(tasks, lambda task: 90 if task == "large" else 20, 100, 2)
    drained(queue, 2, work)
    assert done == [0, 1, 2, 3, 4, "slow", "large"]


def test_without_memory_a_task_runs_again_alone_and_others_in_half():
    queue = AdmissionQueue(range(4), lambda task: 10, 1000, 4)
    first, second = queue.take(), queue.take()
    assert first.shared
    queue.release(first, retry=True)
    assert queue.budget == 500
    third, fourth = queue.take(), queue.take()
    for admission in (second, third, fourth):
        queue.release(admission)
    again = queue.take()
    assert (again.task, again.shared) == (0, False)
    assert queue.sharing(again) == 1
    queue.release(again)
    assert queue.take() is None


def test_tasks_share_the_cores_as_long_as_others_are_to_come():
    queue = AdmissionQueue(range(5), lambda task: 10, 1000, 4)
    assert queue.sharing(first := queue.take()) == 4
    taken = [queue.take() for _ in range(4)]
    for admission in taken[:3]:
        queue.release(admission)
    assert queue.sharing(first) == 2
    queue.release(taken[3])
    assert queue.sharing(first) == 1


def test_who_waits_is_sent_home_at_the_end():
    queue = AdmissionQueue(range(3), lambda task: 10, 10, 2)
    first = queue.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.take)
        queue.stop()
        assert waiting.result(10) is None
    queue.release(first)
    assert queue.take() is None
