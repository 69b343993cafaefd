"""The run on W&B: its id, name, group, tags and setting, which stay when it is resumed."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from irodori.runs.run import Run
from irodori.training.loggers.rows import FirstValues, values
from irodori.training.loggers.wandb_mode import Mode, wandb_mode
from irodori.training.settings import MONITOR
from irodori.training.stopping import REQUEUE
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

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
        IrodoriError: the mode is unknown.
    """
    chosen, reason = wandb_mode(mode)
    folder = shlex.quote(str(run.folder))
    hint = f"; upload later with: wandb sync {folder}/wandb/offline-run-*"
    print(f"W&B: {chosen} ({reason}){hint if chosen == 'offline' else ''}", flush=True)
    if chosen == "disabled":
        return None
    project = project or os.environ.get("WANDB_PROJECT") or PROJECT
    return WandbSteps(run, rows, chosen, project, entity)


class WandbSteps(WandbLogger):
    """Lightning's logger, with optimizer steps as W&B's own steps.

    Without them W&B counts rows, and counts anew in a run that is resumed offline. With them it
    ignores steps that a run that is resumed online has already. W&B is imported and started after
    the first step or with the first row, so that the first step doesn't wait for it.

    Args:
        run, rows, project, entity: see `start_wandb`.
        mode: online or offline.
    """

    def __init__(
        self,
        run: Run,
        rows: Sequence[Mapping[str, Any]],
        mode: Mode,
        project: str,
        entity: str | None,
    ) -> None:
        super().__init__(save_dir=run.folder, offline=mode == "offline", project=project)
        self._run, self._rows, self._mode = run, list(rows), mode
        self._project, self._entity = project, entity
        self._file = run.folder / KNOWN
        self._known: dict[str, Any] = {}
        self._first = self._last = 0
        self._first_values = FirstValues()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return W&B's run.

        Raises:
            AttributeError: it isn't started yet, see `start`. Lightning asks for it before anything
                is trained, and so doesn't start it.
        """
        if self._experiment is None:
            raise AttributeError("W&B's run is started after the first step")
        return self._experiment

    def start(self) -> None:
        """Start W&B's run unless that is done.

        Raises:
            IrodoriError: W&B refuses the run.
        """
        if self._experiment is not None:
            return
        import wandb  # a second, which the first step needn't wait for

        resumes = self._file.is_file()
        settings = self._run.settings()
        name, overrides = settings["experiment_name"], self._run.overrides
        known = self._known = (
            json.loads(self._file.read_text())
            if resumes
            else {
                "id": None,
                "name": " ".join([name, *without(overrides, NOT_IN_NAME)]),
                "group": None,
                "tags": None,
                "setting": setting(name, overrides),
                "parts": {},
            }
        )
        killed = set_aside(self._run.folder, known["parts"])
        silent = wandb.Settings(silent=True)
        # The run is made here: Lightning's own call sets options that W&B warns about.
        try:
            wandb.setup(settings=silent)
            experiment = wandb.init(
                project=self._project,
                entity=self._entity,
                id=known["id"],
                name=known["name"],
                group=known["group"],
                tags=known["tags"],
                resume="allow" if resumes and self._mode == "online" else None,
                dir=self._run.folder,
                config={**settings, "setting": known["setting"]},
                mode=self._mode,
                settings=silent,
            )
        except wandb.errors.Error as error:
            raise IrodoriError(
                f"W&B: {error}; correct it, or train with logger.mode=offline"
            ) from None
        # In W&B's table of runs stands the best checkpoint's.
        experiment.define_metric(MONITOR, summary="min")
        known |= {"id": experiment.id, "group": experiment.group or None}
        known["tags"] = list(experiment.tags or ()) or None
        write(self._file, known)
        if self._mode == "online":
            print(f"W&B: {experiment.url}", flush=True)
        if killed:
            print("W&B: what a killed part had logged is logged again, except pictures", flush=True)
        self._experiment = experiment
        if resumes and self._rows:
            online, last = self._mode == "online", int(self._rows[-1]["step"])
            self._first = last if online else max(known["parts"].values(), default=0)
        self._last = self._first
        # W&B has the steps before the first; from it on they are logged again.
        for row in self._rows:
            self.log_metrics(values(row), int(row["step"]))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add the values that this step doesn't have yet."""
        assert step is not None, "Lightning gives each row a step"
        self.start()
        experiment = self.experiment
        if step >= self._first:
            self._last = step
            experiment.log(self._first_values(metrics, step), step=step)

    def finish(self, status: int) -> None:
        """End the run on W&B, or this part of it.

        Args:
            status: exit status; the run is marked as failed if it isn't 0, and as preempted if it
                was stopped to be resumed.
        """
        if self._experiment is None:
            return
        if status == REQUEUE:
            self._experiment.mark_preempting()
        self._experiment.finish(exit_code=status)
        if self._experiment.settings.mode == "offline":
            self._known["parts"][Path(self._experiment.settings.sync_dir).name] = self._last
            # On a full disk this part will pass for a killed one.
            with suppress(OSError):
                write(self._file, self._known)


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
