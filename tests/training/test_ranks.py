"""What ranks keep in checkpoints."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from irodori.training.callbacks.rank_states import RandomStates, TrainMeans

MODULE = SimpleNamespace(device=torch.device("cpu"), log=lambda *args, **kwargs: None)
STRATEGY = SimpleNamespace(reduce=lambda value, reduce_op: value)
TRAINER = SimpleNamespace(is_global_zero=True, strategy=STRATEGY, loggers=[])


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_numbers_drawn_after_loading_are_those_that_would_have_been(tmp_path):
    # An odd number of normal ones leaves a half-used pair in Python's and NumPy's generators.
    random.gauss(0, 1), np.random.randn(), torch.randn(3)
    states = RandomStates()
    torch.save(states.state_dict(), tmp_path / "states")
    expected = [*draws(), random.gauss(0, 1), np.random.randn(), torch.randn(2).tolist()]
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    states.load_state_dict(torch.load(tmp_path / "states", weights_only=True))
    states.on_train_start(TRAINER, MODULE)
    assert [*draws(), random.gauss(0, 1), np.random.randn(), torch.randn(2).tolist()] == expected


def test_with_another_number_of_ranks_generators_stay_as_seeded():
    states = RandomStates()
    (state,) = states.state_dict()["ranks"]
    states.load_state_dict({"ranks": [state, state]})
    before = torch.get_rng_state()
    torch.rand(1)
    changed = torch.get_rng_state()
    states.on_train_start(TRAINER, MODULE)
    assert torch.equal(torch.get_rng_state(), changed)
    assert not torch.equal(before, changed)


def summed(callback, *batches):
    for total, count in batches:
        outputs = {"sums": {"loss": (torch.tensor(total), torch.tensor(count))}}
        callback.on_train_batch_end(TRAINER, MODULE, outputs, None, 0)


def mean_at_the_end(callback):
    logged = {}
    module = SimpleNamespace(
        device=MODULE.device, log=lambda name, value: logged.update({name: value})
    )
    callback.on_train_epoch_end(TRAINER, module)
    return logged["train/loss_epoch"]


def test_an_epochs_means_go_on_where_they_were():
    whole, before, after = TrainMeans(), TrainMeans(), TrainMeans()
    batches = [(0.3, 4), (1.7, 4), (0.1, 3), (0.9, 4)]
    summed(whole, *batches)
    summed(before, *batches[:2])
    after.load_state_dict(before.state_dict())
    after.on_train_start(TRAINER, MODULE)
    summed(after, *batches[2:])
    assert mean_at_the_end(after) == mean_at_the_end(whole)


def test_with_another_number_of_ranks_the_first_takes_over_all_sums():
    ranks = [TrainMeans(), TrainMeans()]
    summed(ranks[0], (2.0, 4))
    summed(ranks[1], (9.0, 3))
    stored = {"ranks": [rank.state_dict()["ranks"][0] for rank in ranks]}
    for first in (True, False):
        after = TrainMeans()
        after.load_state_dict(stored)
        after.on_train_start(SimpleNamespace(is_global_zero=first), MODULE)
        # All ranks reduce the same names, also where no batch of the epoch is left.
        assert list(after.sums) == ["loss"]
        summed(after, (4.0, 4))
        # Sums of 2 and 9 over 7 images came before.
        expected = (2.0 + 9.0 + 4.0) / 11 if first else 1.0
        assert mean_at_the_end(after) == pytest.approx(expected, rel=1e-6)


def test_a_machine_with_fewer_gpus_can_resume(monkeypatch):
    """A rank keeps the state of its own device only."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.arange(3))
    kept = RandomStates().state_dict()
    loaded, found = RandomStates(), []
    monkeypatch.setattr(torch.cuda, "set_rng_state", found.append)
    loaded.load_state_dict(kept)
    loaded.on_train_start(TRAINER, MODULE)
    assert [state.tolist() for state in found] == [[0, 1, 2]]
    # Nor does one without any ask for what isn't there.
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    loaded.on_train_start(TRAINER, MODULE)
    assert len(found) == 1
