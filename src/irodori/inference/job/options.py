"""What a command may choose, checked before any work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from irodori.inference.job.suffixes import FORMATS
from irodori.utils.errors import IrodoriError

NATIVE = "native"
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Options:
    """How photos are coloured, and what is written.

    format: a key of FORMATS, None: the photo's own. quality: 1 … 100, None: the format's default.
    style: an image whose scene decides the colours; style_strength: how far, 0 … 1. saturation:
    0 … 2. work_size: the short side in pixels of what the network sees, or "native"; None: the
    default. sequence: one scene for all photos. jobs: photos at a time, None: as many as cores.
    trust: packages besides irodori whose classes the checkpoint may name.
    """

    checkpoint: Path | None = None
    style: Path | None = None
    style_strength: float = 1.0
    saturation: float = 1.0
    work_size: int | Literal["native"] | None = None
    sequence: bool = False
    format: str | None = None
    quality: int | None = None
    device: str = "auto"
    jobs: int | None = None
    overwrite: bool = False
    resume: bool = False
    trust: Sequence[str] = ()

    def check(self) -> None:
        """Raise IrodoriError for what is out of range."""
        size = self.work_size if isinstance(self.work_size, int) else None
        for name, value, lowest, highest in (
            ("--style-strength", self.style_strength, 0, 1),
            ("--saturation", self.saturation, 0, 2),
            ("--work-size", size, 32, 65536),
            ("--quality", self.quality, 1, 100),
            ("--jobs", self.jobs, 1, 1024),
        ):
            if value is not None and not lowest <= value <= highest:
                raise IrodoriError(f"{name} is {value}: give a number from {lowest} to {highest}")
        for name, choice, choices in (
            ("--format", self.format, FORMATS),
            ("--device", self.device, DEVICES),
        ):
            if choice is not None and choice not in choices:
                raise IrodoriError(f"{name} is {choice}: give one of {', '.join(choices)}")
        # Methods of Path raise errors of their own.
        if self.checkpoint is not None and not os.path.exists(self.checkpoint):  # noqa: PTH110
            raise IrodoriError(f"--checkpoint {self.checkpoint}: no such file or run folder")
        if self.style is not None and not os.path.isfile(self.style):  # noqa: PTH113
            raise IrodoriError(f"--style {self.style}: no such file")
        if self.overwrite and self.resume:
            raise IrodoriError("--overwrite does all again, --resume skips what is done: give one")


def work_size_of(text: str | None) -> int | Literal["native"] | None:
    """`--work-size` as it is typed: a number of pixels or "native".

    Raises:
        IrodoriError: it is neither.
    """
    if text is None or text == NATIVE:
        return text  # type: ignore[return-value]
    try:
        return int(text)
    except ValueError:
        raise IrodoriError(f"--work-size is {text}: give a number of pixels, or native") from None
