import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irodori.data.plan import TrainingPlan, ValidationPlan
from irodori.utils.errors import IrodoriError


@st.composite
def training(draw):
    """Samples, global batch, micro-batches, ranks and shards that fit together."""
    world_size, accumulate = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    batch_size = world_size * accumulate * draw(st.integers(1, 4))
    samples = batch_size + draw(st.integers(0, 60))
    cuts = draw(st.none() | st.lists(st.integers(0, samples), max_size=9).map(sorted))
    sizes = None if cuts is None else tuple(np.diff([0, *cuts, samples]).tolist())
    return samples, batch_size, accumulate, world_size, sizes


def ranks(kind, *arguments, world_size, epoch=0, **more):
    """The readings of every rank."""
    return [
        list(kind(*arguments, world_size=world_size, rank=rank, **more).readings(epoch))
        for rank in range(world_size)
    ]


def batches(samples, batch_size, accumulate, world_size, shards, epoch, seed=0):
    """The global batches, each as the set of its samples."""
    readings = ranks(
        TrainingPlan,
        samples,
        batch_size,
        accumulate,
        world_size=world_size,
        epoch=epoch,
        seed=seed,
        shard_sizes=shards,
    )
    steps = zip(*readings, strict=True)  # strict: every rank makes as many steps
    micro = [np.concatenate([reading.samples for reading in step]) for step in steps]
    return [
        np.concatenate(micro[start : start + accumulate])
        for start in range(0, len(micro), accumulate)
    ]


@given(training(), st.integers(0, 5), st.integers(0, 2**40))
def test_an_epoch_is_every_sample_once_but_for_less_than_a_batch(sizes, epoch, seed):
    samples, batch_size, accumulate, world_size, shards = sizes
    whole = batches(*sizes, epoch, seed)
    seen = np.concatenate(whole)
    assert len(set(seen.tolist())) == len(seen)  # so the ranks are disjoint as well
    assert set(seen.tolist()) <= set(range(samples))
    assert 0 <= samples - len(seen) < batch_size
    plan = TrainingPlan(samples, batch_size, accumulate, world_size)
    assert [len(batch) for batch in whole] == [batch_size] * plan.steps
    assert plan.micro_batch * accumulate * world_size == batch_size
    for readings in ranks(
        TrainingPlan,
        samples,
        batch_size,
        accumulate,
        world_size=world_size,
        epoch=epoch,
        shard_sizes=shards,
    ):
        assert all(len(reading.samples) == plan.micro_batch for reading in readings)
        assert all(reading.epoch == epoch for reading in readings)


@given(training(), st.integers(0, 3))
def test_a_global_batch_is_the_same_whatever_the_ranks(sizes, epoch):
    samples, batch_size, *_, shards = sizes
    split = batches(*sizes, epoch)
    alone = batches(samples, batch_size, 1, 1, shards, epoch)
    assert [set(batch.tolist()) for batch in split] == [set(batch.tolist()) for batch in alone]


@given(training(), st.integers(0, 3), st.data())
def test_any_batch_can_be_begun_with_on_any_number_of_ranks(sizes, epoch, data):
    samples, batch_size, accumulate, world_size, shards = sizes
    plan = TrainingPlan(samples, batch_size, accumulate, world_size, shard_sizes=shards)
    start = data.draw(st.integers(0, plan.batches))
    whole, rest = list(plan.readings(epoch)), list(plan.readings(epoch, start))
    assert [reading.samples.tolist() for reading in rest] == [
        reading.samples.tolist() for reading in whole[start:]
    ]
    # What is left at the end of a step is the same whoever reads it.
    step = start // accumulate
    alone = TrainingPlan(samples, batch_size, shard_sizes=shards).readings(epoch, step)
    left = {sample for reading in alone for sample in reading.samples.tolist()}
    seen = set()
    for rank in range(world_size):
        plan = TrainingPlan(samples, batch_size, accumulate, world_size, rank, shard_sizes=shards)
        for reading in plan.readings(epoch, step * accumulate):
            seen |= set(reading.samples.tolist())
    assert seen == left


@pytest.mark.parametrize("shards", [None, (25, 0, 50, 25)])
def test_epochs_and_seeds_differ_and_the_same_arguments_give_the_same_plan(shards):
    plan = TrainingPlan(100, 10, shard_sizes=shards)
    assert (plan.order(3) == TrainingPlan(100, 10, shard_sizes=shards).order(3)).all()
    other = TrainingPlan(100, 10, seed=1, shard_sizes=shards)
    orders = [plan.order(epoch) for epoch in range(4)] + [other.order(0)]
    for number, order in enumerate(orders):
        assert sorted(order.tolist()) == list(range(100))
        assert all((order != other).any() for other in orders[:number])
    # No pattern survives: a sample's place is spread over the whole epoch.
    places = [plan.order(epoch).tolist().index(0) for epoch in range(200)]
    assert 40 < np.mean(places) < 60
    assert np.std(places) > 20


def shards_of(readings, sizes):
    """The shards that readings need."""
    samples = np.concatenate([reading.samples for reading in readings])
    return set(np.searchsorted(np.cumsum(sizes), samples, side="right").tolist())


def test_a_walk_through_shards_keeps_ranks_to_few_of_them():
    sizes = (50,) * 40
    plans = [
        TrainingPlan(2000, 20, world_size=4, rank=rank, shard_sizes=sizes) for rank in range(4)
    ]
    # Five places in the batch, each a way of 100 samples: two shards, or three where it begins in
    # the middle of one; neighbors share one.
    for plan in plans:
        readings = list(plan.readings(0))
        assert len(shards_of(readings, sizes)) <= 11
        for start in range(0, 100, 10):
            assert len(shards_of(readings[start : start + 5], sizes)) <= 10
    # A permutation needs all of them, on every rank.
    mixed = TrainingPlan(2000, 20, world_size=4)
    assert len(shards_of(list(mixed.readings(0)), sizes)) == 40
    # A global batch has as many shards as places, but for places within one shard.
    whole = TrainingPlan(2000, 20, shard_sizes=sizes)
    assert all(len(shards_of([reading], sizes)) == 20 for reading in whole.readings(0))


def test_a_validating_rank_needs_its_share_of_the_shards():
    sizes = (10,) * 12
    seen = [shards_of(list(ValidationPlan(120, 4, 3, rank).readings()), sizes) for rank in range(3)]
    assert seen == [set(range(4)), set(range(4, 8)), set(range(8, 12))]


def test_planning_for_millions_takes_little_memory():
    sizes = (1150,) * 2000
    for shards in (None, sizes):
        plan = TrainingPlan(sum(sizes), 4096, 1, 512, 511, shard_sizes=shards)
        tracemalloc.start()
        first = next(plan.readings(3))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(first.samples) == 8
        assert peak < 100e6


@pytest.mark.parametrize("shards", [None, (23,), (5, 11, 7)])
def test_the_remainder_is_another_one_each_epoch(shards):
    plan = TrainingPlan(23, 5, shard_sizes=shards)
    left = []
    for epoch in range(60):
        seen = np.concatenate([reading.samples for reading in plan.readings(epoch)])
        left.append(frozenset(range(23)) - frozenset(seen.tolist()))
    assert {len(rest) for rest in left} == {3}
    assert len(set(left)) > 50
    assert frozenset.union(*left) == set(range(23))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 100, "batch_size": 10, "world_size": 3}, "3 rank.* must divide it"),
        (
            {"samples": 100, "batch_size": 10, "accumulate": 4},
            "batches=4 must divide it",
        ),
        (
            {"samples": 100, "batch_size": 6, "accumulate": 2, "world_size": 2},
            "2 rank.*accumulate_grad_batches=2 must",
        ),
        ({"samples": 9, "batch_size": 10}, "exceeds the 9 training samples"),
        ({"samples": 0, "batch_size": 1}, "exceeds the 0 training samples"),
    ],
)
def test_batches_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(IrodoriError, match=message) as caught:
        TrainingPlan(**arguments)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 3))
def test_validation_sees_every_sample_once_in_equally_many_steps(
    samples, batch_size, world_size, epoch
):
    readings = ranks(ValidationPlan, samples, batch_size, world_size=world_size, epoch=epoch)
    seen = [sample for rank in readings for reading in rank for sample in reading.samples.tolist()]
    assert sorted(seen) == list(range(samples))
    steps = ValidationPlan(samples, batch_size, world_size).batches
    assert {len(rank) for rank in readings} == {steps}
    assert all(len(reading.samples) <= batch_size for rank in readings for reading in rank)
    # No step more than the samples need.
    assert (steps - 1) * batch_size < max(-(-samples // world_size), 1)
    for rank in readings:
        for reading in rank:
            assert (reading.positions == reading.samples).all()
            assert reading.epoch == epoch
