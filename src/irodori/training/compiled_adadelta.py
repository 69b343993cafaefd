"""Adadelta in one kernel, made by torch.compile."""

from collections.abc import Callable
from typing import Any

import torch
from torch import optim


class CompiledAdadelta(optim.Adadelta):
    """`torch.optim.Adadelta`, its step compiled; the state is the same, and so are checkpoints."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._compiled = torch.compile(super().step)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step with the gradients as they are.

        Returns:
            what the closure gives, which isn't compiled.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._compiled()
        return loss
