"""Where a run folder has its checkpoints; free of imports that take time."""

from pathlib import Path

from irodori.errors import IrodoriError

CHECKPOINTS = "checkpoints"
LAST = "last.ckpt"
BEST = "best.ckpt"


def checkpoint_file(given: Path) -> Path:
    """Return the file that is meant by a checkpoint or a run folder: of the latter best, or last.

    Raises:
        IrodoriError: there is none.
    """
    if not given.is_dir():
        if not given.exists():
            raise IrodoriError(f"{given}: no such checkpoint or run folder")
        return given
    for folder in (given / CHECKPOINTS, given):
        for name in (BEST, LAST):
            if (folder / name).is_file():
                return folder / name
    raise IrodoriError(f"{given}: no run folder: it has no {CHECKPOINTS}/{BEST} or {LAST}")
