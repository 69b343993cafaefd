"""Ranges of numbers, as annotations of arguments.

def __init__(self, width: Annotated[float, Range(above=0, max=4)] = 1.0) -> None: ...
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Range of a number, or of each number in a sequence; None is always in range.

    min, max: inclusive limits. above, below: exclusive limits.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.min is None or number >= self.min)
            and (self.max is None or number <= self.max)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        words = ("at least", "above", "at most", "below")
        limits = zip(words, (self.min, self.above, self.max, self.below), strict=True)
        return " and ".join(f"{word} {limit}" for word, limit in limits if limit is not None)
