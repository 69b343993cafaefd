"""Split, order and dealing."""

import tracemalloc
from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from irodori.data.writing.source import (
    Entry,
    group_duplicates,
    shuffled,
    split,
    validation_count,
)

ENTRIES = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(-1, 3)), unique_by=lambda pair: pair[0]
).map(lambda pairs: [Entry(f"c/{name}.jpg", label) for name, label in pairs])
SHARES = st.floats(0, 0.9)


@given(ENTRIES, SHARES)
def test_each_class_gives_its_share(entries, share):
    train, val = split(entries, share, range(len(entries)))
    assert sorted(train + val) == sorted(entries)
    sizes, taken = (Counter(entry.label for entry in part) for part in (entries, val))
    for label, size in sizes.items():
        assert taken[label] == validation_count(size, share)
        if 1 <= share * size <= size - 1:
            assert abs(taken[label] - share * size) <= 0.5
        assert taken[label] < size
        if share and size > 1:
            assert taken[label] >= 1


@given(ENTRIES, SHARES, st.integers(5001, 9000), st.integers(-1, 3))
def test_one_more_photo_moves_at_most_one_other_of_its_class(entries, share, name, label):
    before = {
        e.path: side
        for side, part in enumerate(split(entries, share, range(len(entries))))
        for e in part
    }
    more = [*entries, Entry(f"c/{name}.jpg", label)]
    after = {
        e.path: side for side, part in enumerate(split(more, share, range(len(more)))) for e in part
    }
    moved = [e for e in entries if before[e.path] != after[e.path]]
    assert len(moved) <= 1
    assert all(entry.label == label for entry in moved)


@given(ENTRIES, SHARES, st.randoms(use_true_random=False), st.integers(0, 9))
def test_neither_split_nor_order_depend_on_the_order_of_the_source(entries, share, chance, seed):
    other = list(entries)
    chance.shuffle(other)
    for one, two in zip(
        split(entries, share, range(len(entries))),
        split(other, share, range(len(other))),
        strict=True,
    ):
        assert shuffled(one, seed) == shuffled(two, seed)


def test_the_order_goes_across_classes_and_follows_the_seed():
    entries = [Entry(f"{label}/{i}.jpg", label) for label in range(4) for i in range(100)]
    order = shuffled(entries, 0)
    changes = sum(a.label != b.label for a, b in pairwise(order))
    assert 260 < changes < 340  # 3 of 4 neighbors, in the mean 299
    assert order != shuffled(entries, 1)
    assert sorted(order) == sorted(entries)


def test_groups_of_duplicates_are_chains():
    random = np.random.default_rng(0)
    pictures = random.integers(40, 200, (6, 48)).astype(np.uint8)
    a, b, c, d, e, f = pictures
    prints = [a, b, a + 5, c, a + 10, d, b, e, f]
    found = group_duplicates([each.tobytes() for each in prints] + [b"", b""])
    assert found == [0, 1, 0, 3, 0, 5, 1, 7, 8, 9, 10]
    assert group_duplicates([b"", b""]) == [0, 1]


def test_thousands_of_pictures_that_are_nearly_alike_fit_into_memory():
    # Blank pages, say: two million pairs.
    prints = np.random.default_rng(5).integers(248, 254, (2000, 48), np.uint8)
    tracemalloc.start()
    groups = group_duplicates([each.tobytes() for each in prints])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert groups == [0] * 2000
    assert peak < 400e6
