"""Questions that all ranks answer together, without keeping a step waiting."""

from typing import Any

import torch
from torch import distributed

from irodori.training.ranks import control_group, several


class Agreement:
    """Whether a flag is set on any rank: asked while gradients are computed, answered after.

    All ranks must call `ask` and `answer` in turn, and with as many flags.
    """

    def __init__(self) -> None:
        self._counts: torch.Tensor | None = None
        self._work: Any = None

    def ask(self, *flags: bool) -> None:
        """Send this rank's flags; the answer comes while other work is done."""
        self._counts = torch.tensor(flags, dtype=torch.int32)
        if several():
            self._work = distributed.all_reduce(self._counts, group=control_group(), async_op=True)

    def answer(self) -> list[bool]:
        """For each flag of the last question whether a rank has set it; [] if none is open."""
        if self._counts is None:
            return []
        if self._work is not None:
            self._work.wait()
        flags = [count > 0 for count in self._counts.tolist()]
        self._counts = self._work = None
        return flags
