"""What the ranks of a run tell each other, beside gradients; and their end."""

import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from lightning import Trainer
from torch import distributed


def several() -> bool:
    """Whether this process is one of several ranks."""
    return distributed.is_initialized() and distributed.get_world_size() > 1


@cache
def control_group() -> distributed.ProcessGroup:
    """A group for flags and small objects, on the CPU: it never waits for a GPU."""
    group = distributed.new_group(backend="gloo")
    assert isinstance(group, distributed.ProcessGroup)
    return group


def agree(*flags: bool) -> list[bool]:
    """For each flag whether it is set on any rank; all ranks must call this together."""
    if not several():
        return list(flags)
    counts = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(counts, group=control_group())
    return [count > 0 for count in counts.tolist()]


def gather(value: Any) -> list[Any]:
    """Every rank's value, in the order of the ranks; all ranks must call this together."""
    if not several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=control_group())
    return values


def mine(values: Sequence[Any]) -> Any | None:
    """This rank's of the values that `gather` gave, or None if there were other ranks then."""
    world_size = distributed.get_world_size() if several() else 1
    rank = distributed.get_rank() if several() else 0
    return values[rank] if len(values) == world_size else None


def end_started(trainer: Trainer, failed: bool, patience: float = 10.0) -> None:
    """End the ranks that Lightning has started as children of this process, and none outlives it.

    Args:
        trainer: its strategy knows the processes; under torchrun or SLURM there are none.
        failed: some may wait for what never comes.
        patience: seconds that a rank may take for its own end.
    """
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
