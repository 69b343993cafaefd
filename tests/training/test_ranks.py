"""What ranks tell each other, on two gloo processes; and what they keep in checkpoints."""

import multiprocessing
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import distributed

from irodori.training.callbacks.rank_states import RandomStates, TrainMeans
from irodori.training.ranks import agree, gather, own_value, several

FORK = multiprocessing.get_context("fork")
MODULE = SimpleNamespace(device=torch.device("cpu"), log=lambda *args, **kwargs: None)
STRATEGY = SimpleNamespace(reduce=lambda value, reduce_op: value)
TRAINER = SimpleNamespace(is_global_zero=True, strategy=STRATEGY, loggers=[])


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def asked(rank):
    """What a rank learns of both ranks' flags and values."""
    flags = [rank == 1, False, True]
    answer = {"agree": agree(*flags)}
    values = gather({"rank": rank})
    answer |= {"values": values, "mine": own_value(values), "other": own_value(values[:1])}
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(rank)
    states = RandomStates()
    stored = states.state_dict()
    answer["drawn"] = draws()
    states.load_state_dict(stored)
    states.on_train_start(TRAINER, MODULE)
    answer["drawn again"] = draws()
    return answer


def on_rank(rank, store, results):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    results.put((rank, asked(rank)))
    distributed.destroy_process_group()


def test_two_ranks_exchange_values(tmp_path):
    results = FORK.Queue()
    processes = [
        FORK.Process(target=on_rank, args=[rank, tmp_path / "store", results]) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    answer = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    for rank in (0, 1):
        assert answer[rank]["agree"] == [True, False, True]
        assert answer[rank]["values"] == [{"rank": 0}, {"rank": 1}]
        assert answer[rank]["mine"] == {"rank": rank}
        assert answer[rank]["other"] is None
        assert answer[rank]["drawn"] == answer[rank]["drawn again"]
    assert answer[0]["drawn"] != answer[1]["drawn"]


def test_alone_there_is_nobody_to_ask():
    assert not several()
    assert agree(True, False) == [True, False]
    assert gather("x") == ["x"]
    assert own_value(["x"]) == "x"
    assert own_value(["x", "y"]) is None


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
