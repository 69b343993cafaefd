"""What the ranks of a run exchange beside gradients; and their end."""

import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from lightning import Trainer
from torch import distributed


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


class Agreement:
    """Whether a flag is set on any rank: asked while gradients are computed, answered after.

    All ranks call `ask` and `answer` in turn, and with as many flags.
    """

    def __init__(self) -> None:
        self._flags: list[bool] = []
        self._counts: torch.Tensor | None = None
        self._work: Any = None

    def ask(self, *flags: bool) -> None:
        """Send this rank's flags; the answer comes while other work is done."""
        self._flags = list(flags)
        if several():
            self._counts = torch.tensor(flags, dtype=torch.int32)
            self._work = distributed.all_reduce(self._counts, group=control_group(), async_op=True)

    def answer(self) -> list[bool]:
        """Return for each flag of the last question whether a rank set it; [] if none is open."""
        flags, self._flags = self._flags, []
        if flags and self._counts is not None:
            self._work.wait()
            flags = [count > 0 for count in self._counts.tolist()]
            self._counts = self._work = None
        return flags


def gather(value: Any) -> list[Any]:
    """Return every rank's value, in the order of ranks; all ranks call this together."""
    if not several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=control_group())
    return values


def own_value(values: Sequence[Any]) -> Any | None:
    """Return this rank's one of the values of `gather`; None if the number of ranks has changed."""
    world_size = distributed.get_world_size() if several() else 1
    rank = distributed.get_rank() if several() else 0
    return values[rank] if len(values) == world_size else None


def end_child_ranks(trainer: Trainer, failed: bool, patience: float = 10.0) -> None:
    """End the ranks that Lightning has started as children of this process; none outlives it.

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
