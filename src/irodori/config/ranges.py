"""The range of a number, stated beside the argument that it limits.

def __init__(self, width: Annotated[float, Range(above=0, most=4)] = 1.0) -> None: ...
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Limits of a number, or of each number of a sequence; None is always in range.

    least, most: inclusive limits. above, below: exclusive limits.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        words = ("at least", "above", "at most", "below")
        limits = zip(words, (self.least, self.above, self.most, self.below), strict=True)
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
