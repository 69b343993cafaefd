from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irodori.data.index import Index, Keys, Shard, columns_of
from irodori.data.plan import TrainingPlan, sample_weights
from irodori.utils.errors import IrodoriError


def index(*samples):
    """Samples given as key and label."""
    keys, labels = zip(*samples, strict=True)
    return Index(
        (Shard("a.tar", Keys(keys), **columns_of([(label, 0, 1) for label in labels])),),
        ("tree", "face"),
    )


SAMPLES = index(("face/1", 0), ("senate/1", 1), ("senate/2", 0), ("x", -1))


def test_weights_of_classes_and_keys_multiply():
    weights = sample_weights(SAMPLES, {"face": 0.5, "senate": 0.25, "x": 3})
    # A class is meant where there is one of that name.
    assert weights.tolist() == [1, 0.125, 0.25, 3]
    # Hydra reads the name of a class without one as a number.
    numbered = replace(SAMPLES, classes=("0", "1"))
    assert sample_weights(numbered, {0: 0.5}).tolist() == [0.5, 1, 0.5, 1]


@pytest.mark.parametrize(
    ("weights", "part"),
    [
        ({"car": 2}, "'car'"),
        ({"tree": -1}, "tree"),
        ({"tree": float("nan")}, "tree"),
        ({"face/": 0, "senate": 0, "x": 0}, "no training sample"),
    ],
)
def test_weights_that_cannot_be_meant(weights, part):
    with pytest.raises(IrodoriError, match=part):
        sample_weights(SAMPLES, weights)


WEIGHTS = st.lists(st.floats(0, 3), min_size=8, max_size=60).filter(lambda w: sum(w) >= 8)


@given(WEIGHTS, st.integers(0, 9))
def test_an_epoch_draws_a_sample_as_often_as_its_weight_says(weights, epoch):
    weights = np.array(weights)
    plan = TrainingPlan(len(weights), 4, weights=weights)
    drawn = plan.order(epoch)
    assert plan.drawn <= len(drawn) <= plan.drawn + 1
    counts = np.bincount(drawn, minlength=len(weights))
    assert (counts >= np.floor(weights - 1e-9)).all()
    assert (counts <= np.ceil(weights + 1e-9)).all()
    assert plan.steps == plan.drawn // 4


def test_over_epochs_the_mean_is_the_weight():
    weights = np.tile([0.1, 0.5, 1.0, 1.7], 25)
    plan = TrainingPlan(100, 10, weights=weights)
    counts = sum(np.bincount(plan.order(epoch), minlength=100) for epoch in range(400))
    # Four standard errors of a mean over 400 epochs and 25 samples.
    assert np.abs((counts / 400).reshape(25, 4).mean(0) - weights[:4]).max() < 0.02


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_what_one_process_reads(world_size):
    weights = np.tile([0.3, 2.0], 40)
    alone = TrainingPlan(80, 8, weights=weights)
    shared = [
        TrainingPlan(80, 8, world_size=world_size, rank=rank, weights=weights)
        for rank in range(world_size)
    ]
    steps = zip(*(plan.readings(3) for plan in shared), strict=True)
    together = [np.concatenate([part.samples for part in step]) for step in steps]
    assert np.array_equal(together, [reading.samples for reading in alone.readings(3)])


def test_too_large_a_batch():
    with pytest.raises(IrodoriError, match="batch_size=8 exceeds the 4"):
        TrainingPlan(40, 8, weights=np.full(40, 0.1))
