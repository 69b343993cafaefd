"""The run on W&B: its id, name, group, tags and setting, which stay when it is gone on with."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.wandb_run import Run as WandbRun

from irodori.data.files import replacing
from irodori.errors import IrodoriError
from irodori.runs.run import Run
from irodori.training.loggers.rows import FirstValues, values
from irodori.training.loggers.wandb_mode import wandb_mode
from irodori.training.settings import MONITOR
from irodori.training.stopping import REQUEUE

KNOWN = Path("wandb", "run.json")
"""What stays of a run on W&B, in the run folder."""

PROJECT = "irodori"

NOT_IN_NAME = ("experiment", "experiment_name", "logger", "resume", "allow_changes")
"""Overrides that say nothing beside the experiment's name, with those below them."""

NOT_IN_SETTING = (*NOT_IN_NAME, "seed", "data.fold")
"""Overrides that runs of one setting may differ in."""


def start_wandb(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> Logger | None:
    """Return W&B's logger, None if it is disabled; print in one line which mode was chosen.

    A resumed run keeps its id, name, group, tags and setting. Runs of a sweep share the group that
    WANDB_RUN_GROUP names. Where an agent of a W&B sweep has started the run, W&B takes id, project
    and sweep from the agent's variables.

    Args:
        run: the run. W&B stores its settings, and `setting` beside them: runs of one setting that
            differ in seed and fold have it in common.
        rows: of metrics.csv, those of the steps before.
        mode: auto is WANDB_MODE, then online if there is a key, else offline.
        project: None: WANDB_PROJECT, or irodori.
        entity: None: WANDB_ENTITY, or the account's own.

    Raises:
        IrodoriError: the mode is unknown, or W&B refuses the run.
    """
    folder, overrides, settings = run.folder, run.overrides, run.settings()
    mode, reason = wandb_mode(mode)
    if mode == "disabled":
        print(f"W&B: {mode} ({reason})", flush=True)
        return None
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
            "tags": None,
            "setting": setting(experiment_name, overrides),
            "parts": {},
        }
    )
    killed = set_aside(folder, known["parts"])
    silent = wandb.Settings(silent=True)
    # The run is made here: Lightning's own call sets options that W&B warns about.
    try:
        wandb.setup(settings=silent)
        experiment = wandb.init(
            project=project or os.environ.get("WANDB_PROJECT") or PROJECT,
            entity=entity,
            id=known["id"],
            name=known["name"],
            group=known["group"],
            tags=known["tags"],
            resume="allow" if begun and mode == "online" else None,
            dir=folder,
            config={**settings, "setting": known["setting"]},
            mode=mode,
            settings=silent,
        )
    except wandb.errors.Error as error:
        raise IrodoriError(f"W&B: {error}; correct it, or train with logger.mode=offline") from None
    # In W&B's table of runs stands the best checkpoint's.
    experiment.define_metric(MONITOR, summary="min")
    known |= {"id": experiment.id, "group": experiment.group or None}
    known["tags"] = list(experiment.tags or ()) or None
    write(file, known)
    hint = (
        f": {experiment.url}"
        if mode == "online"
        else f"; upload later with: wandb sync {shlex.quote(str(folder))}/wandb/offline-run-*"
    )
    print(f"W&B: {mode} ({reason}){hint}", flush=True)
    if killed:
        print(
            "W&B: what a killed part had logged is logged again, but for its pictures", flush=True
        )
    first = 0
    if begun and rows:
        online = mode == "online"
        first = int(rows[-1]["step"]) if online else max(known["parts"].values(), default=0)
    return WandbSteps(experiment, folder, known, first, rows)


def set_aside(folder: Path, parts: Mapping[str, int]) -> bool:
    """Rename offline parts that were not ended, which stop `wandb sync` for all; whether any is.

    W&B writes blocks of 32 KiB: of a process that is killed, the end is lost, or all.

    Args:
        folder: the run folder.
        parts: names of those that were ended.
    """
    killed = [p for p in (folder / "wandb").glob("offline-run-*") if p.name not in parts]
    for path in killed:
        path.rename(path.with_name(path.name.replace("offline", "killed", 1)))
    return bool(killed)


def write(file: Path, known: Mapping[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with replacing(file) as part:
        part.write(json.dumps(known, indent=2).encode() + b"\n")


class WandbSteps(WandbLogger):
    """Lightning's logger, with optimizer steps as W&B's own steps.

    Without them W&B counts rows, and counts anew in a run that is gone on with offline. With them
    it ignores steps that a run that is gone on with online has already.

    Args:
        experiment: W&B's run.
        folder: the run folder.
        known: content of run.json, where the end of an offline part is noted.
        first: step that is logged first; W&B has those before.
        rows: of metrics.csv, those of the steps before; from `first` on they are logged again.
    """

    def __init__(
        self,
        experiment: WandbRun,
        folder: Path,
        known: dict[str, Any],
        first: int,
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        super().__init__(experiment=experiment, save_dir=folder)
        self._file = folder / KNOWN
        self._known = known
        self._first = self._last = first
        self._first_values = FirstValues()
        for row in rows:
            self.log_metrics(values(row), int(row["step"]))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add the values that this step doesn't have yet."""
        assert step is not None, "Lightning gives each row a step"
        if step >= self._first:
            self._last = step
            self.experiment.log(self._first_values(metrics, step), step=step)

    def finish(self, status: int) -> None:
        """End the run on W&B, or this part of it.

        Args:
            status: exit status; the run is marked as failed if it isn't 0, and as preempted if it
                was stopped to be resumed.
        """
        if status == REQUEUE:
            self.experiment.mark_preempting()
        self.experiment.finish(exit_code=status)
        if self.experiment.settings.mode == "offline":
            self._known["parts"][Path(self.experiment.settings.sync_dir).name] = self._last
            # On a full disk this part will pass for a killed one.
            with suppress(OSError):
                write(self._file, self._known)


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
