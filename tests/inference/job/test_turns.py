"""Who may work at the same time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irodori.inference.job.turns import Stopped, Turns


@settings(max_examples=30)
@given(
    st.integers(1, 4),
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 150), st.booleans()), min_size=1, max_size=20),
)
def test_the_limits_hold_and_everyone_has_a_turn(photos, pixels, wanted):
    turns = Turns(photos, pixels, len(wanted))
    lock = threading.Lock()
    active, done = [], []

    def work(size, alone):
        with turns.turn(size, alone):
            with lock:
                active.append((size, alone))
                assert len(active) <= photos
                assert len(active) == 1 or sum(size for size, _ in active) <= pixels
                assert len(active) == 1 or not any(alone for _, alone in active)
            time.sleep(0.0005)
            with lock:
                active.remove((size, alone))
                done.append(size)

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(work, *one) for one in wanted]:
            future.result(timeout=30)
    assert sorted(done) == sorted(size for size, _ in wanted)


def holding(turns, pixels):
    """A thread that holds a turn until it is released."""
    started, release = threading.Event(), threading.Event()

    def hold():
        with turns.turn(pixels):
            started.set()
            release.wait(30)

    threading.Thread(target=hold, daemon=True).start()
    return started, release


def test_a_large_photo_is_not_overtaken():
    turns = Turns(3, 100, 3)
    first, release_first = holding(turns, 60)
    assert first.wait(10)
    large, release_large = holding(turns, 150)
    time.sleep(0.05)
    small, release_small = holding(turns, 10)
    # The small one would fit beside the first, but the large one has waited longer.
    assert not large.wait(0.1)
    assert not small.wait(0.05)
    release_first.set()
    assert large.wait(10)
    assert not small.wait(0.05)
    release_large.set()
    assert small.wait(10)
    release_small.set()


def test_photos_share_the_cores_as_long_as_others_are_to_come():
    turns = Turns(4, 100, 6)
    with turns.turn(10) as turn:
        assert turns.sharing == 4
        for _ in range(5):
            turns.finished()
        assert turns.sharing == 1
        assert not turn.shared
        with turns.turn(10):
            assert turn.shared
    assert turn.shared


def test_one_that_is_alone_has_all_cores_while_others_wait():
    turns = Turns(4, 100, 6)
    with turns.turn(200):
        _, release = holding(turns, 10)
        time.sleep(0.05)
        assert turns.sharing == 1
        release.set()


def test_half_as_many_after_memory_ran_out():
    turns = Turns(16, 100, 99)
    with turns.turn(1), turns.turn(1), turns.turn(1), turns.turn(1):
        assert [turns.fewer() for _ in range(4)] == [2, 1, 1, 1]


def test_who_waits_is_sent_home():
    turns = Turns(1, 10, 2)
    with ThreadPoolExecutor(1) as threads, turns.turn(1):
        waiting = threads.submit(turns.turn(1).__enter__)
        turns.stop()
        with pytest.raises(Stopped):
            waiting.result(10)
    with pytest.raises(Stopped):
        turns.check()
