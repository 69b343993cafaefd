"""Optimizers and schedules by their config."""

import math
from typing import Any

from torch import nn, optim

from irodori.config import AdadeltaConfig, AdamWConfig, BackboneConfig, OptimizerConfig
from irodori.errors import IrodoriError
from irodori.network import JointNetwork
from irodori.training.blockwise_adadelta import BlockwiseAdadelta
from irodori.training.compiled_adadelta import CompiledAdadelta


def make_optimizer(
    network: JointNetwork, config: OptimizerConfig, backbone: BackboneConfig, steps: int
) -> dict[str, Any]:
    """What `configure_optimizers` returns: the optimizer, and its schedule over `steps` steps.

    Raises:
        IrodoriError: the name is unknown, or isn't that of the group's chosen option.
    """
    groups = parameter_groups(network, config, backbone)
    on_gpu = next(network.parameters()).is_cuda
    if config.name == "adadelta" and isinstance(config, AdadeltaConfig):
        kind: type[optim.Adadelta] = optim.Adadelta if on_gpu else BlockwiseAdadelta
        if config.compile:
            kind = CompiledAdadelta
        return {"optimizer": kind(groups, lr=config.lr, rho=config.rho, eps=config.eps)}
    if config.name != "adamw" or not isinstance(config, AdamWConfig):
        raise IrodoriError(
            f"optimizer.name={config.name} can't be had like this; choose optimizer=adadelta or"
            " optimizer=adamw"
        )
    optimizer = optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
    warmup, final = config.warmup, config.final
    schedule = optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps, warmup, final)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(
    network: JointNetwork, config: OptimizerConfig, backbone: BackboneConfig
) -> list[dict[str, Any]]:
    """Parameters with their learning rate and weight decay, always in the same order.

    Weight decay is left off biases and batch norm (every parameter of one dimension). A layer of an
    encoder of timm learns by lr · lr_scale · layer_decayᵏ, where k layers lie above it.

    Raises:
        ValueError: there is a layer_decay, and timm doesn't count this encoder's layers.
    """
    layers: list[list[nn.Parameter]] = []
    whole = list(network.backbone.encoder_parameters())
    if whole:
        layers = network.backbone.encoder_layers() if backbone.layer_decay < 1 else [whole]
    in_encoder = {id(weight) for layer in layers for weight in layer}
    rest = [weight for weight in network.parameters() if id(weight) not in in_encoder]
    rates = [
        config.lr * backbone.lr_scale * backbone.layer_decay ** (len(layers) - 1 - number)
        for number in range(len(layers))
    ]
    return [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for layer, rate in [(rest, config.lr), *zip(layers, rates, strict=True)]
        for chosen, decay in (
            ([weight for weight in layer if weight.ndim > 1], config.weight_decay),
            ([weight for weight in layer if weight.ndim <= 1], 0.0),
        )
        if chosen
    ]


def configured(
    optimizer: optim.Optimizer,
    schedule: optim.lr_scheduler.LambdaLR | None,
    groups: list[dict[str, Any]],
) -> None:
    """Give an optimizer the configuration's settings, after a checkpoint has given it its own.

    A run that is gone on with keeps moments and place in the schedule. If no setting has changed,
    nothing does.

    Args:
        optimizer, schedule: as `make_optimizer` made them.
        groups: of the configuration, see `parameter_groups`.
    """
    for group, asked in zip(optimizer.param_groups, groups, strict=True):
        group.update(
            {**optimizer.defaults, "lr": asked["lr"], "weight_decay": asked["weight_decay"]}
        )
    if schedule is not None:
        schedule.base_lrs = [asked["lr"] for asked in groups]
        for group, share in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
            group["initial_lr"] = group["lr"]
            group["lr"] *= share(schedule.last_epoch)


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
