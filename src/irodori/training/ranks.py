"""Communication between a run's ranks beside gradients; and their end."""

import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from lightning import Trainer
from torch import distributed

Value = TypeVar("Value")


def several() -> bool:
    """Return whether this process is one of several ranks."""
    return distributed.is_initialized() and distributed.get_world_size() > 1


@cache
def control_group() -> distributed.ProcessGroup:
    """Return a group for flags and small objects, on the CPU: it never waits for a GPU."""
    group = distributed.new_group(backend="gloo")
    assert isinstance(group, distributed.ProcessGroup)
    return group


def agree(*flags: bool) -> list[bool]:
    """Return for each flag whether any rank has set it; all ranks call this together."""
    if not several():
        return list(flags)
    counts = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(counts, group=control_group())
    return [count > 0 for count in counts.tolist()]


def gather(value: Value) -> list[Value]:
    """Return every rank's value, in the order of ranks; all ranks call this together."""
    if not several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=control_group())
    return values


def own_value(values: Sequence[Value]) -> Value | None:
    """Return this rank's one of the values of `gather`; None if the number of ranks has changed."""
    world_size, rank = 1, 0
    if several():
        world_size, rank = distributed.get_world_size(), distributed.get_rank()
    return values[rank] if len(values) == world_size else None


def end_child_ranks(trainer: Trainer, failed: bool, patience: float = 10.0) -> None:
    """End the ranks that Lightning has started as children of this process; none outlives it.

    If the run has failed, they are ended at once: some may wait for what never comes. Others have
    `patience` seconds for their own end.
    """
    # Under torchrun or SLURM there are none.
    started: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
    processes = started.copy()
    # Lightning looks every few seconds whether one of these has failed, and then kills this one.
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
