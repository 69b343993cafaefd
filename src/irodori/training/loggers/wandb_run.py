"""Logging to W&B, with id, name, group and tags that persist when a run is resumed."""

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
"""File in the run folder with the W&B run id."""

PROJECT = "irodori"

NOT_IN_NAME = ("experiment", "experiment_name", "logger", "resume", "allow_changes")
"""Overrides (with those below them) that are redundant to the experiment's name."""

NOT_IN_SETTING = (*NOT_IN_NAME, "seed", "data.fold")
"""Overrides in which runs of the same setting may differ."""
Mode = Literal["online", "offline", "disabled"]


def start_wandb(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> Logger | None:
    """Create W&B's logger (None if disabled), and print the chosen mode.

    Args:
        run: the run.
        rows: previous rows of metrics.csv.
        mode: "auto" is WANDB_MODE, or online if a key is found, or else offline.
        project: None: WANDB_PROJECT, or irodori.
        entity: None: WANDB_ENTITY, or the account's default.

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
    """Lightning's W&B logger with optimizer steps as W&B steps.

    W&B is imported and started after the first step, or with the first row. Online, W&B ignores
    existing steps of a resumed run. Offline, a resumed run is logged again from the beginning,
    since W&B loses the last entries of a killed process; the earlier files are set aside.

    A resumed run keeps its id, name, group, tags and setting. W&B stores the configuration, and
    also `setting`, which runs that differ only in seed and fold share. Runs of a sweep share the
    group WANDB_RUN_GROUP. If an agent of a W&B sweep starts the run, W&B reads id, project and
    sweep from the agent's variables.
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
        """W&B's run; raises AttributeError before `start`, which Lightning ignores."""
        if self._experiment is None:
            raise AttributeError("W&B's run starts after the first step")
        return self._experiment

    def start(self) -> None:
        """Start W&B's run if necessary; raise IrodoriError if W&B fails."""
        if self._experiment is not None:
            return
        import wandb  # takes a second, which must not delay the first step

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
        # Created here, since Lightning sets options that W&B warns about.
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
        # W&B's table of runs shows the best checkpoint's value.
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
        """Log a previous row with its validation pictures."""
        step = int(row["step"])
        self.experiment.log(numbers_of(row), step=step)
        if MONITOR in row:
            picture = self._run.folder / PICTURES / f"epoch-{int(float(row['epoch'])) + 1:04d}.png"
            if picture.is_file():
                self.log_image("pictures", [str(picture)], step)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a row; the first one starts W&B's run."""
        self.start()
        self.experiment.log(dict(metrics), step=step)

    def finish(self, status: int) -> None:
        """End the run on W&B: failed if the status isn't 0, preempted if it can be resumed."""
        if self._experiment is not None:
            if status == REQUEUE:
                self._experiment.mark_preempting()
            self._experiment.finish(exit_code=status)


def setting(experiment_name: str, overrides: Sequence[str]) -> str:
    """Return a name shared by runs that differ only in seed and fold."""
    return " ".join([experiment_name, *sorted(without(overrides, NOT_IN_SETTING))])


def without(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the overrides without those of the keys or of keys below them."""
    return [
        text
        for text in overrides
        if not f"{text.partition('=')[0].lstrip('+~')}.".startswith(tuple(f"{k}." for k in keys))
    ]


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """Return mode and reason: the setting, WANDB_MODE, online if a key is found, else offline.

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
            raise IrodoriError(f"{source}={mode} is unknown: choose one of auto, {known}")
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    # `wandb login` stores a key in the netrc file; asking W&B itself takes a second.
    if os.environ.get("WANDB_API_KEY") or get_netrc_auth(url):
        return "online", "key found"
    return "offline", "no key found"
