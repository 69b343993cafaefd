"""The configuration of a resumed run: the stored one with permitted changes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from irodori.config.errors import error_line
from irodori.config.trust import refuse_untrusted
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CONFIG, existing_run, without_aliases

MAY_CHANGE = re.compile(
    r"""
      alpha | ab_prior | experiment_name | trust | compile
    | (metrics | logger | callbacks) (\..*)?
    | optimizer\.(?!_target_).* | scheduler\.(?!_target_).*
    | augmentation\.(?!_target_).*
    | encoder\.(freeze_steps | lr_scale | freeze_batch_norm)
    | data\.(train | val | val_seen | fold | classes | cache | cache_gb | retries | timeout
             | val_batch_size | val_size | workers | max_bad_share | size)
    | trainer\.(?!_target_|accumulate_grad_batches|limit_train_batches|overfit_batches
                |fast_dev_run).*
    """,
    re.VERBOSE,
)
"""Keys that may be changed; all others would change the meaning of the position in the run, the
weights or the optimizer's state."""


def resume_config(composed: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Return the configuration of the run folder `composed.resume`, with overrides applied.

    Args:
        composed: configuration that Hydra composed with the overrides, which supplies chosen
            groups.
        overrides: overrides of the command line.

    Returns:
        The configuration, and a message for each value that differs from the stored one.

    Raises:
        IrodoriError: the run doesn't exist, its config.yaml is damaged or names untrusted classes,
            or a change is not allowed.
    """
    folder = existing_run(composed.resume)
    stored = stored_config(folder)
    refuse_untrusted(stored, composed.trust)
    config = stored.copy()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        _apply(config, override, composed)
    changed = _differences(stored, config)
    for key in changed:
        # Schedules of torch restore their settings from the checkpoint.
        fixed = key.startswith("scheduler.") and _is_torchs(stored.scheduler)
        if fixed or not MAY_CHANGE.fullmatch(key):
            raise IrodoriError(
                f"{key} can't be changed in a resumed run: leave it out, or start a new run"
            )
    if ("ema" in stored.callbacks) != ("ema" in config.callbacks):
        # Checkpoints contain the averaged weights only if callbacks.ema is set.
        raise IrodoriError("callbacks.ema can't be added or removed in a resumed run")
    # What is trusted changes no result.
    lines = [line for key, line in changed.items() if key != "trust"]
    if lines and not composed.allow_changes:
        raise IrodoriError(
            f"{folder} was started with other settings: {'; '.join(lines)}. Leave these overrides"
            " out, or accept the changes with allow_changes=true"
        )
    config.resume = str(folder)
    return config, lines


def _is_torchs(node: DictConfig) -> bool:
    return str(node.get("_target_")).startswith("torch.")


def stored_config(folder: Path) -> DictConfig:
    """Return the configuration in a run folder; raise IrodoriError if it can't be read."""
    path = folder / CONFIG
    try:
        config = OmegaConf.create(without_aliases(path.read_text(encoding="utf-8")))
    # OmegaConf asserts that a text is no single value.
    except (
        OSError,
        OmegaConfBaseException,
        YAMLError,
        ValueError,
        RecursionError,
        AssertionError,
    ) as error:
        raise IrodoriError(f"{path} is damaged: {error_line(error)}") from None
    if not isinstance(config, DictConfig) or not isinstance(config.get("network"), DictConfig):
        raise IrodoriError(f"{path} is damaged, or of another version: it has no network")
    return config


def _apply(config: DictConfig, override: Override, composed: DictConfig) -> None:
    """Apply an override to a run's configuration."""
    key = override.key_or_group
    if key in ("resume", "allow_changes"):
        return
    if key in ("experiment", "study") or override.is_delete():
        raise IrodoriError(f"{override.input_line} can't be used with resume: set single keys")
    # A group stands for all its values as composed by Hydra.
    is_group = key in composed and isinstance(composed[key], DictConfig)
    value = composed[key] if is_group else OmegaConf.select(composed, key)
    with open_dict(config):
        OmegaConf.update(config, key, value, merge=False, force_add=True)


def _differences(stored: DictConfig, config: DictConfig) -> dict[str, str]:
    """Return a message "key: before → after" for each changed key."""
    before, after = (
        flattened(OmegaConf.to_container(each, resolve=True)) for each in (stored, config)
    )
    missing = "(none)"
    return {
        key: f"{key}: {before.get(key, missing)} → {after.get(key, missing)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, missing) != after.get(key, missing)
    }


def flattened(value: Any, key: str = "") -> dict[str, Any]:
    """Flatten nested dicts, with keys joined by dots; an empty dict is kept as a value."""
    if not isinstance(value, dict) or not value:
        return {key: value}
    return {
        name: leaf
        for part, below in value.items()
        for name, leaf in flattened(below, f"{key}.{part}" if key else str(part)).items()
    }
