"""What a study consists of, and who is asked what: a Latin square over people.

People come in blocks of as many as there are methods. All of a block see the same photographs, and
within it each photograph is seen once in each method. From block to block it changes which
photographs share a method, and, where a person doesn't see all of them, which are seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import ceil
from typing import Any, Literal

import numpy as np

from irodori.utils.errors import IrodoriError, check_range

TRUTH = "ground truth"
"""The method whose pictures are the true photographs."""
DEFAULT_PER_PERSON = 60
"""Photographs that each person judges at most, unless told otherwise: about five minutes."""
ANSWER_SECONDS = 1.5
"""Seconds that an answer takes in addition to the viewing, about."""
Z = 1.959963984540054
"""The normal quantile of 97.5 %."""

Kind = Literal["photograph", "hues", "card"]
"""What a question is about: a photograph in a method, or one of two attention checks."""


@dataclass(frozen=True)
class Settings:
    """How photographs are shown and asked about; fixed once a study begins.

    Args:
        pairs: ask which of two pictures is real; else whether one is natural.
        photographs: number that each person judges; None: all, at most DEFAULT_PER_PERSON.
        seconds: time for which a picture is shown.
        minimum: seconds for which it must be viewed before an answer is possible.
        checks: attention checks for each photograph, 0 to 0.5.
        size: longer side of the pictures in pixels.

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
                f"--minimum {self.minimum:g} is longer than the {self.seconds:g} seconds for which"
                " pictures are shown: nobody could answer"
            )

    def checks_of(self, count: int) -> tuple[int, int]:
        """Return the numbers of absurd hues and of cards for a person who judges `count` photos.

        In pairs there are no cards: the side of the true picture is random as it is.
        """
        checks = round(self.checks * count)
        hues = checks if self.pairs else (checks + 1) // 2
        return hues, checks - hues


@dataclass(frozen=True)
class Question:
    """One step of a person's study."""

    kind: Kind
    """"hues": a photograph in absurd hues, in pairs beside the true one; "card": a picture that
    says which answer to give."""
    photograph: int
    """Its number; of a check the number of the check."""
    method: int
    first: bool
    """In pairs, whether the picture in question, and not the true one, is the first."""


def meaning(choice: Any, kind: Any, first: Any, pairs: bool) -> Any:
    """Return what a choice of the first (0) or the second (1) button means.

    Of a photograph: whether it was judged natural, or taken for the real one. Of a check: whether
    it was passed.

    Args:
        choice: the button, or a column of them.
        kind, first: of the question, or columns of them.
        pairs: see `Settings`.
    """
    chosen = (choice == 0) == first if pairs else choice == 1
    return chosen != (kind == "hues")


@dataclass(frozen=True)
class Study:
    """All that is fixed before anybody answers."""

    name: str
    """A random one, for browsers that see several studies."""
    seed: int
    settings: Settings
    methods: tuple[str, ...]
    """The first is TRUTH."""
    photographs: tuple[str, ...]
    count: int
    """Photographs that each person judges."""
    hues: int
    cards: int

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Study":
        """Return the study that `dataclasses.asdict` made these plain types of."""
        settings = Settings(**fields["settings"])
        lists = {name: tuple(fields[name]) for name in ("methods", "photographs")}
        return cls(**{**fields, **lists, "settings": settings})

    @property
    def judged(self) -> range:
        """Numbers of the methods that are asked about: in pairs the truth is beside all others."""
        return range(int(self.settings.pairs), len(self.methods))

    @property
    def steps(self) -> int:
        """Number of questions for each person."""
        return self.count + self.hues + self.cards

    @property
    def minutes(self) -> int:
        """Minutes that a person needs, rounded up."""
        return max(1, ceil(self.steps * (self.settings.seconds + ANSWER_SECONDS) / 60))

    def questions(self, row: int) -> list[Question]:
        """Return what the person with a row of the Latin square is asked, in this order."""
        asked = plan(row, len(self.photographs), self.judged, self.count, self.seed)
        kinds = zip_longest(["hues"] * self.hues, ["card"] * self.cards)
        checks: list[Any] = [
            (kind, number) for number, both in enumerate(kinds) for kind in both if kind
        ]
        positions = check_positions(row, self.steps, len(checks), self.seed)
        for position, (kind, number) in zip(positions, checks, strict=True):
            asked.insert(position, Question(kind, number, 0, (row + position) % 2 == 0))
        return asked

    def outlook(self) -> list[str]:
        """Return lines on what each person sees, and how many people a study needs.

        Wilson's interval is widest, z / √(n + z²), where half of n answers are "natural".
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
    """Return the photographs that a person sees, in this order.

    No photograph comes twice. However early the person leaves, the methods that were seen differ in
    number by at most one: each run of as many photographs as there are methods holds each method
    once, in random order.

    Args:
        row: 0-based row of the Latin square.
        photographs: number of them in the study.
        methods: their numbers.
        count: photographs that each person sees, at most `photographs`.
        seed: of the study; the plan depends on nothing but these.
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
    """Return as many True as False, but for one, in random order."""
    sides = np.arange(count) + random.integers(2)
    return [bool(side) for side in random.permutation(sides % 2)]


def check_positions(row: int, pictures: int, checks: int, seed: int) -> list[int]:
    """Return where attention checks stand among a person's pictures: 0-based, rising, never 0.

    The pictures are cut into as many equal parts as there are checks; one stands in each.
    """
    random = np.random.default_rng([4, seed, row])
    ends = np.linspace(1, pictures, checks + 1).astype(int)
    return [int(random.integers(low, high)) for low, high in pairwise(ends)]
