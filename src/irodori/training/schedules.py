"""Learning rate schedules; those of torch can also be used.

A schedule with a parameter `total_steps` receives the number of optimizer steps of the run.
"""

import math
from typing import Annotated

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from irodori.config.ranges import Range


def constant(optimizer: Optimizer) -> LambdaLR:
    """Return a schedule with a constant learning rate."""
    return LambdaLR(optimizer, lambda step: 1.0)


def warmup_cosine(
    optimizer: Optimizer,
    total_steps: Annotated[int, Range(min=1)],
    warmup: Annotated[float, Range(min=0, max=1)] = 0.05,
    final: Annotated[float, Range(min=0, max=1)] = 0.0,
) -> LambdaLR:
    """Return a schedule with linear warm-up and cosine decay.

    Args:
        optimizer: optimizer, whose learning rate is the peak.
        total_steps: number of optimizer steps of the run.
        warmup: share of the steps in which the learning rate rises.
        final: final learning rate relative to the peak.
    """
    return LambdaLR(optimizer, lambda step: warmup_cosine_share(step, total_steps, warmup, final))


def warmup_cosine_share(step: int, total_steps: int, warmup: float, final: float) -> float:
    """Return the learning rate at a step (counted from 0) relative to the peak, in (0, 1]."""
    # The last step always belongs to the decay.
    rising = max(1, min(round(warmup * total_steps), total_steps - 1))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, total_steps - rising))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
