"""A training step on a GPU never waits for it, shown on a machine without one.

Tensors are fake: they say that they are on a CUDA device, have shapes and no numbers. So whatever
would have to read a number, and every copy that would block, can be seen: all but the backward
pass.
"""

from contextlib import ExitStack

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

import tiny

CUDA = torch.device("cuda", 0)


class FakeCuda(TorchDispatchMode):
    """Computes what is on the CPU, fakes the rest, and notes each copy that would block."""

    def __init__(self):
        super().__init__()
        self.waits = []
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.stack = ExitStack()

    def __enter__(self):
        self.stack.enter_context(self.fake)
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.stack.close()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        if not any(
            isinstance(leaf, FakeTensor) or leaf == CUDA for leaf in leaves if is_known(leaf)
        ):
            with no_dispatch():
                return function(*args, **kwargs)
        result = function(*args, **kwargs)
        name = function.__name__.partition(".")[0]
        if name in ("_to_copy", "copy_"):
            source = args[1] if name == "copy_" else args[0]
            asked = kwargs.get("non_blocking", False) or True in args[2:]
            devices = source.device.type, result.device.type
            if devices == ("cuda", "cpu") or (devices == ("cpu", "cuda") and not asked):
                self.waits.append((name, *devices, tuple(source.shape)))
        return result


def is_known(leaf):
    return isinstance(leaf, FakeTensor | torch.device)


def step(parts, batch):
    """Move a batch to the device as Lightning does, and make a training step as it does."""
    module, data = parts.module, parts.data
    batch = data.on_before_batch_transfer(batch, 0)
    batch = tree_map_only(Tensor, lambda each: each.to(CUDA, non_blocking=True), batch)
    batch = data.on_after_batch_transfer(batch, 0)
    module.training_step(batch, 0)
    # The backward pass would need a real device.
    for weight in module.parameters():
        weight.grad = torch.empty_like(weight)
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)


def waits_of(tmp_path, *overrides):
    train = tiny.shards(tmp_path / "train", 8)
    on = tiny.on(train, tiny.shards(tmp_path / "val", 2, first=100))
    parts = tiny.parts(tmp_path / "run", *on, "data.batch_size=8", *overrides)
    batch = next(iter(parts.data.train_dataloader()))
    batch = tree_map_only(Tensor, torch.clone, batch)
    with FakeCuda() as fake:
        parts.module.train().to(CUDA)
        optimizer = parts.module.make_optimizer(parts.module.parameters())
        fake.waits.clear()
        step(parts, batch)
        optimizer.step()
    return fake.waits


SPACES = ["lab", "luma_ab", "luv", "oklab", "rgb", "ycbcr", "yuv"]


@pytest.mark.parametrize("space", SPACES)
def test_no_color_space_waits(tmp_path, space):
    assert waits_of(tmp_path, f"color_space={space}") == []


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=adamw"],
        ["objective=colorful", "augmentation.tone=0.5"],
        ["objective=classes"],
        ["network.hints=true", "augmentation.tone=0.5", "augmentation.age=1"],
    ],
    ids=lambda overrides: overrides[0],
)
def test_no_recipe_waits(tmp_path, overrides):
    assert waits_of(tmp_path, *overrides) == []


def test_waiting_would_be_seen():
    """The control: a constant made on the device, a copy to the host and from it, a number read."""
    with FakeCuda() as fake:
        there = torch.empty(2, 3, device=CUDA)
        torch.tensor([1.0, 2.0, 3.0], device=CUDA)
        there.cpu()
        there.copy_(torch.empty(2, 3))
        there.copy_(torch.empty(2, 3), non_blocking=True)
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
    assert [found[:3] for found in fake.waits] == [
        ("_to_copy", "cpu", "cuda"),
        ("_to_copy", "cuda", "cpu"),
        ("copy_", "cpu", "cuda"),
    ]
