"""Parameter groups for any optimizer, and changed settings of a resumed optimizer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from irodori.network import JointNetwork
from irodori.training.settings import MONITOR, EncoderTraining

MakeOptimizer = Callable[..., Optimizer]
MakeScheduler = Callable[..., LRScheduler]
CONFIGURED = "configured"
"""Key of a parameter group that stores its configured settings."""


def settings_of(make: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments of an optimizer or a schedule, including defaults."""
    parameters = inspect.signature(make).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def parameter_groups(
    network: JointNetwork,
    objective: nn.Module,
    settings: Mapping[str, Any],
    encoder: EncoderTraining,
) -> list[dict[str, Any]]:
    """Return parameter groups with learning rate and weight decay, in a fixed order.

    Biases and batch norm parameters (all one-dimensional ones) have no weight decay. The learning
    rate of a pretrained encoder's layer is lr · lr_scale · layer_decayᵏ, with k layers above it.

    Args:
        network: network, whose parameters come first.
        objective: objective, whose parameters are grouped with those outside the encoder.
        settings: arguments of the optimizer, of which `lr` and `weight_decay` are used if present.
        encoder: settings of the encoder's training.
    """
    layers = network.backbone.encoder_layers()
    if layers and encoder.layer_decay == 1:
        layers = [[weight for layer in layers for weight in layer]]
    in_encoder = {id(weight) for layer in layers for weight in layer}
    others = [*network.parameters(), *objective.parameters()]
    scaled = [([weight for weight in others if id(weight) not in in_encoder], 1.0)]
    for above, layer in zip(reversed(range(len(layers))), layers, strict=True):
        scaled.append((layer, encoder.lr_scale * encoder.layer_decay**above))
    groups = []
    for layer, scale in scaled:
        for decays in (True, False):
            group: dict[str, Any] = {"params": [w for w in layer if (w.ndim > 1) == decays]}
            if "lr" in settings:
                group["lr"] = settings["lr"] * scale
            if "weight_decay" in settings:
                group["weight_decay"] = settings["weight_decay"] if decays else 0.0
            if group["params"]:
                groups.append(group)
    return groups


def needs_steps(make: MakeScheduler) -> bool:
    """Return whether a schedule has to be given the number of optimizer steps of the run."""
    asks = "total_steps" in inspect.signature(make).parameters
    return asks and settings_of(make).get("total_steps") is None


def schedule(make: MakeScheduler, optimizer: Optimizer, total_steps: float) -> dict[str, Any]:
    """Return the entry `lr_scheduler` of `configure_optimizers`, stepped after every step.

    Args:
        make: makes the schedule.
        optimizer: whose learning rates it sets.
        total_steps: of the run; infinite where only time ends it, and `needs_steps` is false.
    """
    made = make(optimizer, total_steps=int(total_steps)) if needs_steps(make) else make(optimizer)
    if isinstance(made, ReduceLROnPlateau):
        return {"scheduler": made, "interval": "epoch", "monitor": MONITOR, "strict": False}
    return {"scheduler": made, "interval": "step"}


def remember_settings(optimizer: Optimizer) -> None:
    """Store each group's configured settings in it, and so in checkpoints."""
    for group in optimizer.param_groups:
        group[CONFIGURED] = {name: group[name] for name in optimizer.defaults}


def reconfigure(
    optimizer: Optimizer, scheduler: LRScheduler | None, groups: list[dict[str, Any]]
) -> None:
    """Apply settings that have changed since its checkpoint to a resumed optimizer.

    Its state and its position in the schedule are kept. `groups` are the configured groups, see
    `parameter_groups`.
    """
    for group, configured in zip(optimizer.param_groups, groups, strict=True):
        wanted = {name: configured.get(name, x) for name, x in optimizer.defaults.items()}
        before = group[CONFIGURED]
        for name, value in wanted.items():
            if before.get(name) == value:
                continue
            if name == "lr" and group.get("initial_lr") == before["lr"]:
                group["initial_lr"] = value
                # Keeps the schedule's current factor.
                value = value * group["lr"] / before["lr"] if before["lr"] else value
            group[name] = value
        group[CONFIGURED] = wanted
    if scheduler is not None and hasattr(scheduler, "base_lrs"):
        scheduler.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
    if isinstance(scheduler, LambdaLR):
        # Its lambdas come from the configuration, not the checkpoint.
        for group, share in zip(optimizer.param_groups, scheduler.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * share(scheduler.last_epoch)
