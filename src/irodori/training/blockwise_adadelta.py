"""Adadelta whose weights are moved once through memory a step, in place of about ten times."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, optim
from torch.optim.optimizer import ParamsT

BLOCK = 1 << 17
"""Weights at a time: with gradient, both averages and two buffers they stay in a core's cache."""


class BlockwiseAdadelta(optim.Adadelta):
    """`torch.optim.Adadelta` for the CPU, block by block: same state and results.

    Source of the formula: M. D. Zeiler: *ADADELTA: An adaptive learning rate method*, 2012.

    Args:
        params: as torch's.
        lr, rho, eps, weight_decay: as torch's; its other options aren't here.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, rho, eps, weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step with the gradients as they are; weights without one are passed over.

        Returns:
            what the closure gives.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights: list[Tensor] = []
            gradients: list[Tensor] = []
            squares: list[Tensor] = []
            deltas: list[Tensor] = []
            steps: list[Tensor] = []
            self._init_group(group, weights, gradients, squares, deltas, steps)
            for step in steps:
                step += 1
            for weight, gradient, *averages in zip(
                weights, gradients, squares, deltas, strict=True
            ):
                # In one order, which those of a checkpoint may not have been in.
                square, delta = (like(weight, average) for average in averages)
                self.state[weight] |= {"square_avg": square, "acc_delta": delta}
                tensors = (weight, like(weight, gradient), square, delta)
                blocks = (flat(tensor).split(BLOCK) for tensor in tensors)
                for weights_N, gradient_N, square_N, delta_N in zip(*blocks, strict=True):
                    update(weights_N, gradient_N, square_N, delta_N, group)
        return loss


def update(
    weight: Tensor, gradient: Tensor, square: Tensor, delta: Tensor, group: dict[str, Any]
) -> None:
    """Change some weights and their running means of squared gradients and of squared changes."""
    rho, eps = group["rho"], group["eps"]
    if group["weight_decay"]:
        gradient = gradient.add(weight, alpha=group["weight_decay"])
    square.mul_(rho).addcmul_(gradient, gradient, value=1 - rho)
    root = square.add(eps).sqrt_()
    change = delta.add(eps).sqrt_().div_(root).mul_(gradient)
    delta.mul_(rho).addcmul_(change, change, value=1 - rho)
    weight.add_(change, alpha=-group["lr"])


def like(weight: Tensor, tensor: Tensor) -> Tensor:
    """The tensor, in memory in the order of the weight."""
    return tensor if tensor.stride() == weight.stride() else torch.empty_like(weight).copy_(tensor)


def flat(tensor: Tensor) -> Tensor:
    """The numbers of a tensor without gaps in the order in which they lie in memory, as a view."""
    order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    return tensor.permute(order).view(-1)
