"""From a composed configuration to checked dataclasses: no unknown key, no number out of range."""

import math
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from irodori.config import Config
from irodori.errors import IrodoriError

Schema = TypeVar("Schema")


def typed(composed: DictConfig) -> Config:
    """The composed configuration as dataclasses.

    Raises:
        IrodoriError: a value is missing, a key stands there that the schema doesn't have (Hydra's
            `+key=value` adds any), or a number is out of range.
        omegaconf.errors.OmegaConfBaseException: a value can't be resolved.
    """
    config = checked(composed, Config)
    # OmegaConf doesn't look at the length of tuples.
    for key, pair in (
        ("data.crop_scale", config.data.crop_scale),
        ("optimizer.betas", getattr(config.optimizer, "betas", (0, 0))),
    ):
        if len(pair) != 2:
            raise IrodoriError(f"{key}={list(pair)} is not two numbers")
    for name in ("max_epochs", "max_steps"):
        if getattr(config.trainer, name) == 0:
            raise IrodoriError(f"trainer.{name}=0 trains nothing; -1 means no limit")
    return config


def checked(composed: DictConfig, kind: type[Schema]) -> Schema:
    """A composed configuration as the dataclasses of its schema `kind`; raises as `typed` does."""
    for key in sorted(OmegaConf.missing_keys(composed)):
        raise IrodoriError(f"{key} has no value: give {key}=…")
    config = OmegaConf.to_object(composed)
    assert isinstance(config, kind)
    refuse_unknown(config, "")
    refuse_out_of_range(config)
    return config


def refuse_unknown(node: Any, path: str) -> None:
    """Raise IrodoriError for the first key below `node` that its dataclass doesn't declare."""
    declared = {field.name for field in fields(node)}
    for name, value in vars(node).items():
        if name not in declared:
            raise IrodoriError(f"unknown key {path}{name}: nothing would read it; leave it out")
        if is_dataclass(value):
            refuse_unknown(value, f"{path}{name}.")


RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "data.workers": (0, math.inf),
    "data.size": (1, math.inf),
    "data.val_size": (1, math.inf),
    "data.max_bad_share": (0, 1),
    "data.cache_gb": (1e-9, math.inf),
    "data.retries": (0, math.inf),
    "data.timeout": (1e-3, math.inf),
    "backbone.freeze_steps": (0, math.inf),
    "backbone.lr_scale": (0, math.inf),
    "backbone.layer_decay": (1e-12, 1),
    "objective.delta": (1e-12, 1),
    "objective.temperature": (1e-3, 1),
    "objective.rebalance": (0, 1),
    "optimizer.lr": (0, math.inf),
    "optimizer.weight_decay": (0, math.inf),
    "optimizer.rho": (0, 1),
    "optimizer.eps": (0, math.inf),
    "optimizer.betas": (0, 1 - 1e-12),
    "optimizer.warmup": (0, 1),
    "optimizer.final": (0, 1),
    "trainer.max_epochs": (-1, math.inf),
    "trainer.max_steps": (-1, math.inf),
    "trainer.accumulate": (1, math.inf),
    "trainer.clip_norm": (1e-12, math.inf),
    "trainer.validate_every": (1, math.inf),
    "trainer.log_every": (1, math.inf),
    "trainer.checkpoint_steps": (1, math.inf),
    "trainer.checkpoint_minutes": (0, math.inf),
    "trainer.pictures": (0, math.inf),
    "pictures": (0, math.inf),
    "protocol.first": (1, math.inf),
    "protocol.square": (1, math.inf),
}
"""Smallest and largest value of numbers that nothing else looks at before training begins."""


def refuse_out_of_range(config: Any) -> None:
    """Raise IrodoriError for the first number outside of `RANGES`; null is always in range."""
    for key, (low, high) in RANGES.items():
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name, None)
        for number in value if isinstance(value, list | tuple) else [value]:
            if number is not None and not low <= number <= high:
                wanted = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
                raise IrodoriError(f"{key}={number} is not {wanted}")
