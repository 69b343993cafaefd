"""An objective that sees RGB, an optimizer and a scheduler."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from irodori.config.ranges import Range
from irodori.training.objectives import Objective, ObjectiveInput


class RgbCharbonnier(Objective):
    """√(e² + ε²) of the decoded pictures' error e, and a learned weight per channel."""

    name = "rgb_charbonnier"

    def __init__(self, epsilon: Annotated[float, Range(above=0, max=1)] = 0.01) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.log_weight_3 = torch.nn.Parameter(torch.zeros(3))

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss of a micro-batch."""
        error_B3HW = inputs.predicted_rgb_B3HW - inputs.target_rgb_B3HW
        smooth_B3 = (error_B3HW.square() + self.epsilon**2).sqrt().mean((2, 3))
        weight_3 = self.log_weight_3.softmax(0)
        return ((smooth_B3 * weight_3).sum(1) * inputs.valid_B).sum() / len(inputs.valid_B)


class SignSGD(Optimizer):
    """Steps of equal size against the sign of the gradient."""

    def __init__(self, params: Iterable[Any], lr: Annotated[float, Range(min=0)]) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Make a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(weight.grad.sign(), alpha=group["lr"])
                    self.state[weight]["steps"] = self.state[weight].get("steps", 0) + 1
        return loss


def linear(optimizer: Optimizer, total_steps: int, end: float = 0.1) -> LambdaLR:
    """Return a schedule that falls linearly to a share of the learning rate."""
    return LambdaLR(optimizer, lambda step: 1 - (1 - end) * min(1.0, step / total_steps))
