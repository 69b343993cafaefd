"""Going on with a run: its own configuration, and what the user wants changed in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from irodori.config import LOGGERS, OBJECTIVES, OPTIMIZERS, Config, begun
from irodori.entry import told_line
from irodori.errors import IrodoriError
from irodori.training.run_folder import CONFIG

FIXED = (
    "seed",
    "data.batch_size",
    "data.shuffle",
    "trainer.accumulate",
    "color_space",
    "backbone.name",
    "backbone.pretrained",
    "backbone.layer_decay",
    "decoder",
    "network",
    "objective",
    "init",
    "optimizer.name",
)
"""What a position in a run is counted by, and what weights and the optimizer's state belong to."""

GROUPS = (
    "color_space",
    "backbone",
    "decoder",
    "network",
    "objective",
    "data",
    "optimizer",
    "trainer",
    "logger",
)

KINDS: tuple[tuple[str, Mapping[str, type]], ...] = (
    ("objective", OBJECTIVES),
    ("optimizer", OPTIMIZERS),
    ("logger", LOGGERS),
)
"""Groups that have more than one schema, by the name in them."""


def resumed(composed: DictConfig, overrides: list[str]) -> tuple[DictConfig, list[str]]:
    """The configuration of the run folder `composed.resume`, with what the overrides change.

    Args:
        composed: what Hydra composed of the overrides; groups that they choose are taken from it.
        overrides: the user's.

    Returns:
        The configuration, and a line for each value that differs from the run folder's.

    Raises:
        IrodoriError: there is no such run, its config.yaml is damaged, or a change is not allowed.
    """
    folder = begun(composed.resume)
    stored = stored_config(folder)
    parser = OverridesParser.create()
    config = stored.copy()
    for override in parser.parse_overrides(overrides):
        apply(config, override, composed)
    changes = differences(stored, config)
    for key in FIXED:
        if OmegaConf.select(stored, key) != OmegaConf.select(config, key):
            raise IrodoriError(
                f"{key} can't be changed in the middle of a run: leave it out, or start a new run"
            )
    if (stored.trainer.ema_decay is None) != (config.trainer.ema_decay is None):
        # Checkpoints hold the average beside the weights, or the weights alone.
        raise IrodoriError("trainer.ema_decay can't be set or left out in the middle of a run")
    if changes and not composed.allow_changes:
        raise IrodoriError(
            f"{folder} was begun otherwise: {'; '.join(changes)}. Leave that out, or take it over"
            " with allow_changes=true"
        )
    config.resume = str(folder)
    return config, changes


def stored_config(folder: Path) -> DictConfig:
    """The configuration in a run folder, with its schema.

    Raises:
        IrodoriError: it can't be read, or doesn't fit the schema.
    """
    path = folder / CONFIG
    try:
        values: Any = OmegaConf.load(path)
        schema: Any = OmegaConf.structured(Config)
        for group, classes in KINDS:
            # Runs from before there was a choice of objective name none: it was the schema's.
            default = OmegaConf.select(schema, f"{group}.name", throw_on_missing=False)
            name = OmegaConf.select(values, f"{group}.name", default=default, throw_on_missing=True)
            if name not in classes:
                raise ValueError(f"{group}.name is {name}, not one of {', '.join(classes)}")
            schema[group] = OmegaConf.structured(classes[name])
        config = OmegaConf.merge(schema, values)
    except (OSError, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise IrodoriError(
            f"{path} is damaged, or of another version: {told_line(error)}"
        ) from None
    assert isinstance(config, DictConfig)
    return config


def apply(config: DictConfig, override: Override, composed: DictConfig) -> None:
    """Change a run's configuration as an override says.

    Raises:
        IrodoriError: the override is of a kind that has no meaning for a run that has begun.
    """
    key = override.key_or_group
    if key in ("resume", "allow_changes"):
        return
    if key == "experiment" or override.is_delete():
        raise IrodoriError(f"{override.input_line} can't be changed with resume: name single keys")
    # A group's name stands for all its values, as Hydra has composed them.
    value = composed[key] if key in GROUPS else OmegaConf.select(composed, key)
    OmegaConf.update(config, key, value, merge=False, force_add=True)


def differences(one: DictConfig, other: DictConfig) -> list[str]:
    """A line "key: before → after" for each value that differs."""
    before, after = (flat(OmegaConf.to_container(config, resolve=True)) for config in (one, other))
    missing = "(none)"
    return [
        f"{key}: {before.get(key, missing)} → {after.get(key, missing)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, missing) != after.get(key, missing)
    ]


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested dicts as one, with keys joined by dots."""
    if not isinstance(value, dict):
        return {key: value}
    return {
        name: leaf
        for part, below in value.items()
        for name, leaf in flat(below, f"{key}.{part}" if key else str(part)).items()
    }
