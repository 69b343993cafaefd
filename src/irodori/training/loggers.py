"""The loggers of a run: metrics.csv always, W&B unless told otherwise."""

import netrc
import os
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger

from irodori.config import LoggerConfig, WandbConfig
from irodori.data.files import replacing
from irodori.errors import IrodoriError
from irodori.training.metrics_csv import MetricsCSV

Mode = Literal["online", "offline", "disabled"]
MODES: tuple[Mode, ...] = ("online", "offline", "disabled")


def make_loggers(
    config: LoggerConfig,
    folder: Path,
    settings: dict[str, Any],
    name: str,
    flush_every: int,
    keep_rows: int = 0,
) -> list[Logger]:
    """metrics.csv in the run folder, and W&B as configured.

    A run that is gone on with keeps its W&B run.
    The runs of a sweep share the group that WANDB_RUN_GROUP names, which W&B reads itself.

    Args:
        config: group logger.
        folder: the run folder.
        settings: the resolved configuration, which W&B stores.
        name: of the run on W&B.
        flush_every: steps after which metrics.csv is written.
        keep_rows: of a run that is gone on with, rows of metrics.csv that stay.

    Raises:
        IrodoriError: the logger or its mode is unknown, or W&B refuses the run.
    """
    loggers: list[Logger] = [MetricsCSV(folder, flush_every, keep_rows)]
    if config.name == "wandb" and isinstance(config, WandbConfig):
        mode, reason = wandb_mode(config.mode)
        if mode != "disabled":
            id_file = folder / "wandb" / "id"
            known = id_file.read_text().strip() if id_file.is_file() else None
            # The run is made here: Lightning's own call sets options that W&B warns about.
            try:
                experiment = wandb.init(
                    project=config.project,
                    entity=config.entity,
                    name=name,
                    id=known,
                    resume="allow" if known and mode == "online" else None,
                    dir=folder,
                    config=settings,
                    mode=mode,
                    settings=wandb.Settings(silent=True),
                )
            except wandb.errors.Error as error:
                raise IrodoriError(
                    f"W&B: {error}; mend it, or train with logger.mode=offline"
                ) from None
            with replacing(id_file) as file:
                file.write(experiment.id.encode())
            loggers.append(WandbLogger(experiment=experiment, save_dir=folder))
        hints = {
            "online": f": {experiment.url}" if mode == "online" else "",
            "offline": f"; upload later with: wandb sync {folder}/wandb/offline-run-*",
            "disabled": "",
        }
        print(f"W&B: {mode} ({reason}){hints[mode]}", flush=True)
    elif config.name != "csv":
        raise IrodoriError(
            f"logger.name={config.name} can't be had like this; choose logger=wandb or logger=csv"
        )
    return loggers


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """The mode and why: the setting, then WANDB_MODE, then online if a key is found, else offline.

    Raises:
        IrodoriError: the mode is unknown.
    """
    for source, mode in (("logger.mode", setting), ("WANDB_MODE", os.environ.get("WANDB_MODE"))):
        if not mode or (source, mode) == ("logger.mode", "auto"):
            continue
        for known in MODES:
            if mode == known:
                return known, source
        raise IrodoriError(f"{source}={mode} is unknown; it is one of auto, {', '.join(MODES)}")
    if os.environ.get("WANDB_API_KEY") or key_in_netrc():
        return "online", "key found"
    return "offline", "no key found"


def key_in_netrc() -> bool:
    """Whether `wandb login` left a key in the netrc file."""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].rstrip("/")
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
