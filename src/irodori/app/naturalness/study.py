"""Design of a study: settings, and the questions for each person by a Latin square.

People form blocks as large as the number of methods. Everyone in a block sees the same photographs,
and each photograph appears once in each method. Blocks differ in the photographs that share a
method and, if a person doesn't see all of them, in the photographs that are seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import ceil
from typing import Any, Literal

import numpy as np

from irodori.utils.errors import IrodoriError, check_range

TRUTH = "ground truth"
"""Name of the method that shows the true photographs."""
DEFAULT_PER_PERSON = 60
"""Default limit of photographs per person, about five minutes."""
ANSWER_SECONDS = 1.5
"""Approximate seconds that an answer takes in addition to the viewing."""
Z = 1.959963984540054
"""The normal quantile of 97.5 %."""

Kind = Literal["photograph", "hues", "card"]
"""Kinds of questions: a photograph by a method, or one of two attention checks."""


@dataclass(frozen=True)
class Settings:
    """Settings of a study, fixed once it begins.

    Args:
        pairs: ask which of two pictures is real, instead of whether one is natural.
        photographs: photographs per person; None: all, at most DEFAULT_PER_PERSON.
        seconds: seconds for which a picture is shown.
        minimum: seconds of viewing before an answer is possible.
        checks: attention checks per photograph, 0 to 0.5.
        size: largest longer side of the pictures in pixels.

    Raises:
        IrodoriError: a value is out of range.
    """

    pairs: bool = False
    photographs: int | None = None
    seconds: float = 2.0
    minimum: float = 0.4
    checks: float = 0.1
    size: int = 512

    def __post_init__(self) -> None:
        check_range("--photographs", 1 if self.photographs is None else self.photographs, 1, 10_000)
        check_range("--seconds", self.seconds, 0.05, 600)
        check_range("--minimum", self.minimum, 0, 600)
        check_range("--checks", self.checks, 0, 0.5)
        check_range("--size", self.size, 64, 4096)
        if self.minimum > self.seconds:
            raise IrodoriError(
                f"--minimum {self.minimum:g} exceeds the {self.seconds:g} seconds for which"
                " pictures are shown: nobody could answer"
            )

    def checks_of(self, count: int) -> tuple[int, int]:
        """Return the numbers of hue checks and card checks for a person who judges `count` photos.

        With pairs there are no cards, since the side of the true picture is random anyway.
        """
        checks = round(self.checks * count)
        hues = checks if self.pairs else (checks + 1) // 2
        return hues, checks - hues


@dataclass(frozen=True)
class Question:
    """One question to a person."""

    kind: Kind
    """"hues": a photograph in absurd hues, in pairs beside the true one; "card": a picture that
    says which answer to give."""
    photograph: int
    """Number of the photograph, or of the check."""
    method: int
    first: bool
    """With pairs, whether the judged picture comes first, before the true one."""


def meaning(choice: Any, kind: Any, first: Any, pairs: bool) -> Any:
    """Return the meaning of a choice of the first (0) or the second (1) button.

    For a photograph: whether it was judged natural, or taken for the real one. For a check: whether
    it was passed.

    Args:
        choice: button, or a column of buttons.
        kind, first: those of the question, or columns of them.
        pairs: see `Settings`.
    """
    chosen = (choice == 0) == first if pairs else choice == 1
    return chosen != (kind == "hues")


@dataclass(frozen=True)
class Study:
    """Everything that is fixed before anybody answers."""

    name: str
    """Random identifier, for browsers that see several studies."""
    seed: int
    settings: Settings
    methods: tuple[str, ...]
    """Names of the methods; the first is TRUTH."""
    photographs: tuple[str, ...]
    count: int
    """Number of photographs per person."""
    hues: int
    cards: int

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Study":
        """Return a study from the output of `dataclasses.asdict`."""
        settings = Settings(**fields["settings"])
        lists = {name: tuple(fields[name]) for name in ("methods", "photographs")}
        return cls(**{**fields, **lists, "settings": settings})

    @property
    def judged(self) -> range:
        """Numbers of the judged methods; with pairs, all but the truth."""
        return range(int(self.settings.pairs), len(self.methods))

    @property
    def steps(self) -> int:
        """The number of questions for each person."""
        return self.count + self.hues + self.cards

    @property
    def minutes(self) -> int:
        """The minutes that a person needs, rounded up."""
        return max(1, ceil(self.steps * (self.settings.seconds + ANSWER_SECONDS) / 60))

    def questions(self, row: int) -> list[Question]:
        """Return the questions, in order, for a row of the Latin square."""
        asked = plan(row, len(self.photographs), self.judged, self.count, self.seed)
        kinds = zip_longest(["hues"] * self.hues, ["card"] * self.cards)
        checks: list[Any] = [
            (kind, number) for number, both in enumerate(kinds) for kind in both if kind
        ]
        positions = check_positions(row, self.steps, len(checks), self.seed)
        for position, (kind, number) in zip(positions, checks, strict=True):
            asked.insert(position, Question(kind, number, 0, (row + position) % 2 == 0))
        return asked

    def overview(self) -> list[str]:
        """Return lines that describe what each person sees and how many people are needed.

        Wilson's interval is widest, z / √(n + z²), if half of the n answers are "natural".
        """
        needed = []
        for width in (0.2, 0.1, 0.05):
            answers = ceil(Z**2 * (1 / width**2 - 1))
            people = ceil(answers * len(self.judged) / self.count)
            needed.append(f"{100 * width:g} points: {answers:,} answers, {people:,} people")
        what = "pairs" if self.settings.pairs else "photographs"
        return [
            f"each person judges {self.count} of {len(self.photographs):,} {what}; methods:"
            f" {len(self.judged)}; attention checks: {self.hues + self.cards}; minutes: about"
            f" {self.minutes}",
            "for a 95 % interval (Wilson) of a method's share that is no wider than"
            f" {'; '.join(needed)}; people and photographs differ, so plan for more",
        ]


def plan(
    row: int, photographs: int, methods: Sequence[int], count: int, seed: int
) -> list[Question]:
    """Return the photographs that a person sees, in order.

    No photograph appears twice. Each run of len(methods) photographs has every method once, in
    random order, so that the methods stay balanced to within one photograph however early a person
    leaves.

    Args:
        row: 0-based row of the Latin square.
        photographs: number of photographs in the study.
        methods: numbers of the methods.
        count: photographs per person, at most `photographs`.
        seed: seed of the study. The plan depends on nothing else.
    """
    block, turn = divmod(row, len(methods))
    shuffled = np.random.default_rng([1, seed]).permutation(photographs)
    chosen = shuffled[(block * count + np.arange(count)) % photographs]
    np.random.default_rng([2, seed, block]).shuffle(chosen)
    random = np.random.default_rng([3, seed, row])
    waiting = [
        random.permutation(chosen[(index - turn) % len(methods) :: len(methods)]).tolist()
        for index in range(len(methods))
    ]
    firsts = [_halves(len(queue), random) for queue in waiting]
    asked: list[Question] = []
    while len(asked) < count:
        for index in random.permutation(len(methods)).tolist():
            if waiting[index]:
                first = firsts[index].pop()
                photograph = waiting[index].pop()
                asked.append(Question("photograph", photograph, methods[index], first))
    return asked


def _halves(count: int, random: np.random.Generator) -> list[bool]:
    """Return `count` booleans, half of them True (to within one), in random order."""
    sides = np.arange(count) + random.integers(2)
    return [bool(side) for side in random.permutation(sides % 2)]


def check_positions(row: int, pictures: int, checks: int, seed: int) -> list[int]:
    """Return the positions of attention checks among a person's pictures: ascending, above 0.

    The pictures are divided into equal parts, one for each check.
    """
    random = np.random.default_rng([4, seed, row])
    ends = np.linspace(1, pictures, checks + 1).astype(int)
    return [int(random.integers(low, high)) for low, high in pairwise(ends)]
