"""A training step waits for the device only where something is logged."""

import pytest
import torch
from lightning import Callback
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import tiny
from irodori.training import launch

READS = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select")
"""Operators whose result is known only when the device has done its work."""


class Operators(TorchDispatchMode):
    """Counts such operators, wherever they are called."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.partition(".")[0]
        if name in READS:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


class Methods(TorchFunctionMode):
    """Counts methods that copy to the host; on the CPU there is no operator for it.

    `numpy` is none of them: it raises an error for what isn't on the host.
    """

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in ("tolist", "cpu"):
            self.found.append(function.__name__)
        return function(*args, **(kwargs or {}))


class Counter(Callback):
    """Notes what reads from the device in each step of an epoch, with its transfer of data."""

    def __init__(self):
        self.steps = []
        self.operators = Operators()
        self.methods = Methods(self.operators.found)

    def on_train_start(self, trainer, module):
        self.operators.__enter__()
        self.methods.__enter__()

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx:
            self.steps.append(list(self.operators.found))
        self.operators.found.clear()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx + 1 == trainer.num_training_batches:
            self.methods.__exit__(None, None, None)
            self.operators.__exit__(None, None, None)


# The mode calls operators in a way of its own.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(
    "settings",
    [
        [],
        pytest.param(
            [
                "objective=classes",
                "optimizer=adamw",
                "scheduler=warmup_cosine",
                "trainer.gradient_clip_val=1",
            ],
            marks=pytest.mark.long,
        ),
    ],
)
def test_nothing_is_read_between_logs(tmp_path, monkeypatch, settings):
    train = tiny.shards(tmp_path / "train", 46)
    on = tiny.on(train, tiny.shards(tmp_path / "val", 2, first=100))
    counter, build = Counter(), launch.build_callbacks
    monkeypatch.setattr(launch, "build_callbacks", lambda *args: [*build(*args), counter])
    # Samples are decoded in another process.
    limits = ["data.batch_size=2", "data.workers=1", "trainer.log_every_n_steps=11"]
    try:
        tiny.run(tmp_path / "run", *on, *settings, *limits)
    finally:
        torch.set_num_threads(1)
    assert len(counter.steps) == 22
    logged = [number for number, found in enumerate(counter.steps) if found]
    # The control: where a row is logged, something is read.
    assert logged == [10, 21], counter.steps
    assert all("_local_scalar_dense" in counter.steps[number] for number in logged)
