"""Optimizers and schedules by their config."""

import math
from typing import Any

from torch import nn, optim

from irodori.config import AdadeltaConfig, AdamWConfig, OptimizerConfig
from irodori.errors import IrodoriError


def make_optimizer(network: nn.Module, config: OptimizerConfig, steps: int) -> dict[str, Any]:
    """What `configure_optimizers` returns: the optimizer, and its schedule over `steps` steps.

    Weight decay is left off biases and batch norm (every parameter of one dimension).

    Raises:
        IrodoriError: the name is unknown, or isn't that of the group's chosen option.
    """
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.name == "adadelta" and isinstance(config, AdadeltaConfig):
        return {"optimizer": optim.Adadelta(groups, lr=config.lr, rho=config.rho, eps=config.eps)}
    if config.name != "adamw" or not isinstance(config, AdamWConfig):
        raise IrodoriError(
            f"optimizer.name={config.name} can't be had like this; choose optimizer=adadelta or"
            " optimizer=adamw"
        )
    optimizer = optim.AdamW(groups, lr=config.lr, betas=config.betas)
    warmup, final = config.warmup, config.final
    schedule = optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps, warmup, final)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def configured(
    optimizer: optim.Optimizer,
    schedule: optim.lr_scheduler.LambdaLR | None,
    config: OptimizerConfig,
) -> None:
    """Give an optimizer the configuration's settings, after a checkpoint has given it its own.

    A run that is gone on with keeps moments and place in the schedule. If no setting has changed,
    nothing does.

    Args:
        optimizer, schedule: as `make_optimizer` made them of `config`.
        config: group optimizer.
    """
    for group, decay in zip(optimizer.param_groups, (config.weight_decay, 0.0), strict=True):
        group.update({**optimizer.defaults, "weight_decay": decay})
    if schedule is not None:
        schedule.base_lrs = [config.lr] * len(optimizer.param_groups)
        for group, share in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["initial_lr"] = config.lr
            group["lr"] = config.lr * share(schedule.last_epoch)


def warmup_cosine(step: int, steps: int, warmup: float, final: float) -> float:
    """Learning rate at a step (from 0) as a share of its peak, in (0, 1].

    Rises linearly over the first warmup·steps, then falls by half a cosine to `final`.
    """
    # The last step of all belongs to the fall, however long the rise.
    rising = max(1, min(round(warmup * steps), steps - 1))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, steps - rising))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
