"""The run on W&B: its id, name, group and setting, which stay when it is gone on with."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from irodori.config import WandbConfig
from irodori.data.files import replacing
from irodori.errors import IrodoriError
from irodori.training.callbacks.checkpoints import MONITOR
from irodori.training.loggers.rows import FirstValues, at_last_step, values
from irodori.training.loggers.wandb_mode import wandb_mode

KNOWN = Path("wandb", "run.json")
"""What stays of a run on W&B, in the run folder."""

PROJECT = "irodori"

NOT_IN_NAME = ("experiment", "experiment_name", "logger", "resume", "allow_changes")
"""Overrides that say nothing beside the experiment's name, with those below them."""

NOT_IN_SETTING = (*NOT_IN_NAME, "seed", "data.fold")
"""Overrides that runs of one setting may differ in."""


def wandb_loggers(
    config: WandbConfig,
    folder: Path,
    settings: dict[str, Any],
    overrides: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> list[Logger]:
    """W&B's logger, none if it is disabled; says in one line which mode was chosen.

    A run that is gone on with keeps its id, name, group and setting. Those of a sweep share the
    group that WANDB_RUN_GROUP names. Where an agent of a W&B sweep has started the run, W&B takes
    id, project and sweep from the agent's variables.

    Args:
        config: group logger.
        folder: the run folder.
        settings: the resolved configuration. W&B stores it, and `setting` beside it: runs of one
            setting that differ in seed and fold have it in common.
        overrides: what the user set.
        rows: of metrics.csv, those of the steps before.

    Raises:
        IrodoriError: the mode is unknown, or W&B refuses the run.
    """
    mode, reason = wandb_mode(config.mode)
    if mode == "disabled":
        print(f"W&B: {mode} ({reason})", flush=True)
        return []
    file = folder / KNOWN
    begun = file.is_file()
    experiment_name = settings["experiment_name"]
    known: dict[str, Any] = (
        json.loads(file.read_text())
        if begun
        else {
            "id": None,
            "name": " ".join([experiment_name, *without(overrides, NOT_IN_NAME)]),
            "group": None,
            "setting": setting(experiment_name, overrides),
        }
    )
    # The run is made here: Lightning's own call sets options that W&B warns about.
    try:
        experiment = wandb.init(
            project=config.project or os.environ.get("WANDB_PROJECT") or PROJECT,
            entity=config.entity,
            id=known["id"],
            name=known["name"],
            group=known["group"],
            resume="allow" if begun and mode == "online" else None,
            dir=folder,
            config={**settings, "setting": known["setting"]},
            mode=mode,
            settings=wandb.Settings(silent=True),
        )
    except wandb.errors.Error as error:
        raise IrodoriError(f"W&B: {error}; mend it, or train with logger.mode=offline") from None
    known |= {"id": experiment.id, "group": experiment.group or None}
    with replacing(file) as part:
        part.write(json.dumps(known, indent=2).encode() + b"\n")
    hint = (
        f": {experiment.url}"
        if mode == "online"
        else f"; upload later with: wandb sync {shlex.quote(str(folder))}/wandb/offline-run-*"
    )
    print(f"W&B: {mode} ({reason}){hint}", flush=True)
    # In W&B's table of runs stands the best checkpoint's.
    experiment.define_metric(MONITOR, summary="min")
    logger = WandbSteps(experiment=experiment, save_dir=folder)
    for row in at_last_step(rows):
        # W&B keeps a step back until the next: a kill may have lost it.
        logger.log_metrics(values(row), int(row["step"]))
    return [logger]


class WandbSteps(WandbLogger):
    """Lightning's logger, with optimizer steps as W&B's own steps.

    Without them W&B counts rows, and counts anew in a run that is gone on with offline. With them
    it ignores steps that a run that is gone on with online has already.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._first_values = FirstValues()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add the values that this step doesn't have yet."""
        self.experiment.log(self._first_values(metrics, step), step=step)


def setting(experiment_name: str, overrides: Sequence[str]) -> str:
    """What runs that differ in nothing but seed and fold have in common, in whatever order given.

    Args:
        experiment_name: name of the experiment.
        overrides: what the user set.
    """
    return " ".join([experiment_name, *sorted(without(overrides, NOT_IN_SETTING))])


def without(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The overrides of other keys than these, and than keys below them."""
    return [
        text
        for text in overrides
        if not f"{text.partition('=')[0].lstrip('+~')}.".startswith(
            tuple(f"{key}." for key in keys)
        )
    ]
