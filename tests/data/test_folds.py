import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irodori.config import PROJECT

sys.path.insert(0, str(PROJECT / "data" / "sample"))
from folds import grouped_folds, linked_groups

SAMPLES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123456789")), max_size=40)
FOLDS = st.integers(1, 6)


def assign(samples, folds):
    return grouped_folds([scene for scene, _ in samples], [group for _, group in samples], folds)


@given(SAMPLES, FOLDS)
def test_every_sample_is_assigned_and_no_group_is_split(samples, folds):
    assigned = assign(samples, folds)
    assert assigned.shape == (len(samples),)
    assert np.isin(assigned, np.arange(folds)).all()
    fold_of = {}
    for (_, group), fold in zip(samples, assigned, strict=True):
        assert fold_of.setdefault(group, fold) == fold


@given(SAMPLES, FOLDS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_changes_nothing(samples, folds, chance):
    order = list(range(len(samples)))
    chance.shuffle(order)
    shuffled = assign([samples[i] for i in order], folds)
    assert (shuffled == assign(samples, folds)[order]).all()


@given(st.lists(st.sampled_from("abc"), max_size=60), FOLDS)
def test_single_samples_spread_every_scene_evenly(scenes, folds):
    assigned = grouped_folds(scenes, [f"{i:02}" for i in range(len(scenes))], folds)
    for scene in set(scenes):
        counts = np.bincount(assigned[np.array(scenes) == scene], minlength=folds)
        assert np.ptp(counts) <= 1
    # A scene may leave every fold one apart; more than that, the sizes cannot differ.
    assert np.ptp(np.bincount(assigned, minlength=folds)) <= max(1, len(set(scenes)))


def test_one_large_group_leaves_the_others_to_the_other_folds():
    groups = ["big"] * 5 + list("abcde")
    assigned = grouped_folds(["sea"] * 10, groups, 2)
    assert sorted(np.bincount(assigned)) == [5, 5]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="1 scenes but 2 groups"):
        grouped_folds(["a"], ["1", "2"], 2)
    with pytest.raises(ValueError, match="0 folds"):
        grouped_folds(["a"], ["1"], 0)


def test_ties_link_through_others():
    ties = [{"author A"}, {"author B", "tower"}, {"author C"}, {"tower", "author A"}, set()]
    assert linked_groups(ties) == [0, 0, 2, 0, 4]


@given(st.lists(st.sets(st.integers(0, 9), max_size=3), max_size=20))
def test_samples_with_a_tie_in_common_are_one_group(ties):
    groups = linked_groups(ties)
    for i, one in enumerate(ties):
        assert groups[i] <= i
        for j, other in enumerate(ties):
            assert not one & other or groups[i] == groups[j]
