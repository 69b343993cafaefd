"""What a study may choose; fixed once it begins."""

from dataclasses import asdict, dataclass
from typing import Any

from irodori.utils.errors import IrodoriError

TRUTH = "ground truth"
"""The method whose pictures are the true photographs."""
MOST_PHOTOGRAPHS = 60
"""For each person, unless told otherwise: about five minutes."""
ANSWERING = 1.5
"""Seconds that an answer takes beside the viewing, about."""


@dataclass(frozen=True)
class Settings:
    """How photographs are shown and asked about.

    Args:
        pairs: ask which of two pictures is real; else whether one is natural.
        photographs: that each person sees; None: all, at most MOST_PHOTOGRAPHS.
        seconds: for which a picture is shown.
        minimum: seconds for which it must be viewed before an answer counts.
        checks: attention checks for each photograph, 0 … 0.5.
        size: longer side of the pictures in pixels.

    Raises:
        IrodoriError: one is out of range.
    """

    pairs: bool = False
    photographs: int | None = None
    seconds: float = 2.0
    minimum: float = 0.4
    checks: float = 0.1
    size: int = 512

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("photographs", self.photographs, 1, 10_000),
            ("seconds", self.seconds, 0.05, 600),
            ("minimum", self.minimum, 0, 600),
            ("checks", self.checks, 0, 0.5),
            ("size", self.size, 64, 4096),
        ):
            if value is not None and not least <= value <= most:
                raise IrodoriError(f"--{name} is {value:g}: give a number from {least} to {most}")
        if self.minimum > self.seconds:
            raise IrodoriError(
                f"--minimum {self.minimum:g} is longer than the {self.seconds:g} seconds for which"
                " pictures are shown: nobody could answer"
            )

    def per_person(self, photographs: int) -> int:
        """Photographs that each person sees, of so many that there are.

        Raises:
            IrodoriError: more are wanted than there are.
        """
        if self.photographs is None:
            return min(photographs, MOST_PHOTOGRAPHS)
        if self.photographs > photographs:
            raise IrodoriError(
                f"--photographs is {self.photographs}, but there are {photographs} to judge"
            )
        return self.photographs

    def minutes(self, pictures: int) -> int:
        """How long a person needs for so many pictures, rounded up."""
        return max(1, -int(-pictures * (self.seconds + ANSWERING) // 60))

    def described(self) -> dict[str, Any]:
        """As plain types; `Settings(**…)` is the same again."""
        return asdict(self)
