"""The run on W&B: its id, name, group, tags and setting, which stay when it is resumed."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch.loggers import Logger, WandbLogger
from requests.utils import get_netrc_auth

from irodori.runs.run import Run
from irodori.training.loggers import numbers_of
from irodori.training.settings import MONITOR
from irodori.training.stopping import REQUEUE
from irodori.utils.errors import IrodoriError
from irodori.utils.files import write_json
from irodori.utils.run_files import PICTURES

IDENTITY = Path("wandb", "run.json")
"""File in the run folder that keeps the id of the run on W&B."""

PROJECT = "irodori"

NOT_IN_NAME = ("experiment", "experiment_name", "logger", "resume", "allow_changes")
"""Overrides that say nothing beside the experiment's name, with those below them."""

NOT_IN_SETTING = (*NOT_IN_NAME, "seed", "data.fold")
"""Overrides that runs of one setting may differ in."""
Mode = Literal["online", "offline", "disabled"]


def start_wandb(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> Logger | None:
    """Return W&B's logger, None if it is disabled; print in one line which mode was chosen.

    Args:
        run: the run.
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
    return WandbSteps(run, rows, chosen == "offline", project, entity)


class WandbSteps(WandbLogger):
    """Lightning's logger, with optimizer steps as W&B's own steps.

    W&B is imported and started after the first step, or with the first row. Online, W&B ignores
    steps that it has of a resumed run. Offline, a resumed run is logged anew from its beginning,
    since W&B loses the end of what a killed process has logged; its earlier parts are set aside.

    A resumed run keeps its id, name, group, tags and setting. W&B stores the run's settings, and
    `setting` beside them, which runs that differ in seed and fold have in common. Runs of a sweep
    share the group that WANDB_RUN_GROUP names. Where an agent of a W&B sweep has started the run,
    W&B takes id, project and sweep from the agent's variables.
    """

    def __init__(
        self,
        run: Run,
        rows: Sequence[Mapping[str, Any]],
        offline: bool,
        project: str,
        entity: str | None,
    ) -> None:
        super().__init__(save_dir=run.folder, offline=offline, project=project)
        self._run, self._rows, self._offline = run, list(rows), offline
        self._project, self._entity = project, entity

    @property
    def experiment(self) -> Any:
        """Return W&B's run, or raise AttributeError: Lightning, which asks first, ignores that."""
        if self._experiment is None:
            raise AttributeError("W&B's run is started after the first step")
        return self._experiment

    def start(self) -> None:
        """Start W&B's run unless that is done; raise IrodoriError if W&B refuses it."""
        if self._experiment is not None:
            return
        import wandb  # a second, which the first step needn't wait for

        path, settings = self._run.folder / IDENTITY, self._run.settings()
        name, overrides = settings["experiment_name"], self._run.overrides
        identity: dict[str, Any] = {
            "name": " ".join([name, *without(overrides, NOT_IN_NAME)]),
            "setting": setting(name, overrides),
        }
        resumes = path.is_file()
        if resumes:
            identity = json.loads(path.read_text())
        for part in path.parent.glob("offline-run-*"):
            part.rename(part.with_name(part.name.replace("offline", "earlier", 1)))
        silent = wandb.Settings(silent=True)
        # The run is made here: Lightning's own call sets options that W&B warns about.
        try:
            wandb.setup(settings=silent)
            experiment = wandb.init(
                project=self._project,
                entity=self._entity,
                id=identity.get("id"),
                name=identity["name"],
                group=identity.get("group"),
                tags=identity.get("tags"),
                resume="allow" if resumes and not self._offline else None,
                dir=self._run.folder,
                config={**settings, "setting": identity["setting"]},
                mode="offline" if self._offline else "online",
                settings=silent,
            )
        except wandb.errors.Error as error:
            raise IrodoriError(
                f"W&B: {error}; correct it, or train with logger.mode=offline"
            ) from None
        # In W&B's table of runs stands the best checkpoint's.
        experiment.define_metric(MONITOR, summary="min")
        identity |= {"id": experiment.id, "group": experiment.group or None}
        identity["tags"] = list(experiment.tags or ()) or None
        write_json(path, identity)
        if not self._offline:
            print(f"W&B: {experiment.url}", flush=True)
        self._experiment = experiment
        known = int(self._rows[-1]["step"]) if resumes and not self._offline and self._rows else 0
        for row in self._rows:
            if int(row["step"]) >= known:
                self._log_again(row)

    def _log_again(self, row: Mapping[str, Any]) -> None:
        """Log a row of the steps before, with the pictures of its validation."""
        step = int(row["step"])
        self.experiment.log(numbers_of(row), step=step)
        picture = self._run.folder / PICTURES / f"epoch-{int(float(row['epoch'])) + 1:04d}.png"
        if MONITOR in row and picture.is_file():
            self.log_image("pictures", [str(picture)], step)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add a row, and start W&B's run if it is the first."""
        self.start()
        self.experiment.log(dict(metrics), step=step)

    def finish(self, status: int) -> None:
        """End the run on W&B: as failed if the status isn't 0, preempted if it is to be resumed."""
        if self._experiment is not None:
            if status == REQUEUE:
                self._experiment.mark_preempting()
            self._experiment.finish(exit_code=status)


def setting(experiment_name: str, overrides: Sequence[str]) -> str:
    """Return what runs that differ in nothing but seed and fold have in common."""
    return " ".join([experiment_name, *sorted(without(overrides, NOT_IN_SETTING))])


def without(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the overrides of other keys than these, and than keys below them."""
    return [
        text
        for text in overrides
        if not f"{text.partition('=')[0].lstrip('+~')}.".startswith(tuple(f"{k}." for k in keys))
    ]


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """Return the mode and why: the setting, WANDB_MODE, online if a key is found, else offline.

    Raises:
        IrodoriError: the mode is unknown.
    """
    asked = {"logger.mode": "" if setting == "auto" else setting}
    asked["WANDB_MODE"] = os.environ.get("WANDB_MODE", "")
    for source, mode in asked.items():
        for known in get_args(Mode):
            if mode == known:
                return known, source
        if mode:
            known = ", ".join(get_args(Mode))
            raise IrodoriError(f"{source}={mode} is unknown; it is one of auto, {known}")
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    # `wandb login` leaves a key in the netrc file; to ask W&B itself takes a second.
    if os.environ.get("WANDB_API_KEY") or get_netrc_auth(url):
        return "online", "key found"
    return "offline", "no key found"
