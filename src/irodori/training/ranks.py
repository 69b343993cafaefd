"""Communication between ranks apart from gradients, and their termination."""

import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from lightning import Trainer
from torch import distributed

Value = TypeVar("Value")


def is_distributed() -> bool:
    """Return whether this process is one of several ranks."""
    return distributed.is_initialized() and distributed.get_world_size() > 1


@cache
def control_group() -> distributed.ProcessGroup:
    """Return a process group for small objects on the CPU, which never waits for a GPU."""
    group = distributed.new_group(backend="gloo")
    assert isinstance(group, distributed.ProcessGroup)
    return group


def agree(*flags: bool) -> list[bool]:
    """Return whether any rank has set each flag; must be called on all ranks."""
    if not is_distributed():
        return list(flags)
    counts = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(counts, group=control_group())
    return [count > 0 for count in counts.tolist()]


def gather(value: Value) -> list[Value]:
    """Return every rank's value, ordered by rank; must be called on all ranks."""
    if not is_distributed():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=control_group())
    return values


def own_value(values: Sequence[Value]) -> Value | None:
    """Return this rank's value from those of `gather`; None if the number of ranks changed."""
    world_size, rank = 1, 0
    if is_distributed():
        world_size, rank = distributed.get_world_size(), distributed.get_rank()
    return values[rank] if len(values) == world_size else None


def end_child_ranks(trainer: Trainer, failed: bool, patience: float = 10.0) -> None:
    """End the ranks that Lightning started as children of this process.

    If the run failed, they are killed at once, since they may wait for each other. Otherwise they
    have `patience` seconds to end.
    """
    # There are none under torchrun or SLURM.
    started: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
    processes = started.copy()
    # Lightning checks every few seconds whether a child has failed, and then kills this process.
    started.clear()
    for process in processes:
        if failed:
            process.terminate()
    for process in processes:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
