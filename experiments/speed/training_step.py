"""A step of training as `train.py` takes it, without Lightning's loop around it."""

from collections.abc import Callable
from typing import Any

import torch
from framework import configuration

from irodori.training.building import build
from irodori.training.hardware import choose
from irodori.training.optimizers import make_optimizer


def our_step(width: float) -> Callable[[dict[str, Any]], None]:
    """The step as a function of a batch."""
    config = configuration(width, 8)
    hardware = choose(config.trainer)
    _, module = build(config, hardware)
    module.to("cuda" if hardware.accelerator == "gpu" else "cpu").train()
    optimizer = make_optimizer(module.network, config.optimizer, config.backbone, 1)["optimizer"]

    def step(batch: dict[str, Any]) -> None:
        optimizer.zero_grad()
        with torch.autocast(module.device.type, torch.bfloat16, enabled=hardware.bf16):
            loss = module.training_step(batch, 0)["loss"]
        loss.backward()
        optimizer.step()

    return step
