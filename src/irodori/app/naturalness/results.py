"""From answers to shares, differences and agreement; and what was dropped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from irodori.app.naturalness.agreement import Agreement, agreement
from irodori.app.naturalness.clusters import (
    Answers,
    Paired,
    difference_interval,
    paired,
    share_interval,
)
from irodori.app.naturalness.store import Given
from irodori.app.naturalness.study import Study
from irodori.app.naturalness.wilson import wilson
from irodori.evaluation.statistics import ENOUGH, SIGNIFICANT, holm
from irodori.utils.errors import IrodoriError

Dropped = Literal["", "failed attention checks", "left before the end", "viewed too briefly"]
"""Why an answer doesn't count; of several reasons the first of these."""


@dataclass(frozen=True)
class Criteria:
    """Which answers count.

    minimum: seconds of viewing. passed: share of the attention checks that a person has seen which
    must be passed. complete: answers of people who left before the end don't count.

    Raises:
        IrodoriError: one is out of range.
    """

    minimum: float
    passed: float = 0.75
    complete: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= 1:
            raise IrodoriError(f"--passed is {self.passed:g}: give a share from 0 to 1")
        if not 0 <= self.minimum <= 600:
            raise IrodoriError(f"--minimum is {self.minimum:g}: give seconds from 0 to 600")


@dataclass(frozen=True)
class Judged:
    """An answer to a photograph, and what became of it."""

    given: Given
    natural: bool
    dropped: Dropped


@dataclass(frozen=True)
class Share:
    """How often a method's pictures were judged natural, or in pairs taken for the real ones.

    low, high: Wilson's interval. wide_low, wide_high: that for other people and photographs; NaN
    where there are too few.
    """

    method: str
    answers: int
    natural: int
    low: float
    high: float
    wide_low: float
    wide_high: float
    agreement: Agreement

    @property
    def share(self) -> float:
        """NaN without answers."""
        return self.natural / self.answers if self.answers else float("nan")


@dataclass(frozen=True)
class Difference:
    """Two methods: the first's share less the second's.

    p_corrected: the larger p of both tests, corrected for the number of pairs by Holm.
    """

    one: str
    other: str
    difference: float
    low: float
    high: float
    tests: Paired
    p_corrected: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.tests.people < ENOUGH:
            return "too few people"
        if self.tests.photographs < ENOUGH:
            return "too few photographs"
        # Comparisons with NaN are false.
        if not (self.p_corrected < SIGNIFICANT and (self.low > 0 or self.high < 0)):
            return "not distinguishable"
        return "higher" if self.difference > 0 else "lower"


@dataclass(frozen=True)
class People:
    """How many began, answered anything, reached the end, and failed the attention checks."""

    began: int
    answered: int
    finished: int
    failed: int


@dataclass(frozen=True)
class Outcome:
    """A study's results. checks: attention checks that were answered and passed."""

    study: Study
    criteria: Criteria
    people: People
    checks: tuple[int, int]
    judged: tuple[Judged, ...]
    shares: tuple[Share, ...]
    differences: tuple[Difference, ...]
    agreement: Agreement

    @property
    def counted(self) -> int:
        """Answers that were not dropped."""
        return sum(not one.dropped for one in self.judged)

    @property
    def dropped(self) -> dict[str, int]:
        """Answers dropped for each reason, also where there are none."""
        return {
            reason: sum(one.dropped == reason for one in self.judged)
            for reason in get_args(Dropped)
            if reason
        }


def evaluate(study: Study, began: int, given: Sequence[Given], criteria: Criteria) -> Outcome:
    """The results of a study.

    Args:
        study: what was asked.
        began: people who have begun.
        given: all answers, to attention checks too.
        criteria: which of them count.
    """
    pairs = study.settings.pairs
    meant = [one.question.answer(one.choice, pairs) for one in given]
    checks: dict[int, list[bool]] = {}
    counts: dict[int, int] = {}
    for one, right in zip(given, meant, strict=True):
        counts[one.person] = counts.get(one.person, 0) + 1
        if one.question.kind != "photograph":
            checks.setdefault(one.person, []).append(right)
    # Divided, not multiplied: 0.28 * 25 is above 7.
    failed = {
        person for person, right in checks.items() if sum(right) / len(right) < criteria.passed
    }
    finished = {person for person, count in counts.items() if count == study.steps}

    def dropped(one: Given) -> Dropped:
        if one.person in failed:
            return "failed attention checks"
        if criteria.complete and one.person not in finished:
            return "left before the end"
        return "viewed too briefly" if one.viewed / 1000 < criteria.minimum else ""

    judged = tuple(
        Judged(one, natural, dropped(one))
        for one, natural in zip(given, meant, strict=True)
        if one.question.kind == "photograph"
    )
    counted = [one for one in judged if not one.dropped]
    by_method = {
        method: [one for one in counted if one.given.question.method == method]
        for method in study.judged
    }
    return Outcome(
        study,
        criteria,
        People(began, len(counts), len(finished), len(failed)),
        (sum(map(len, checks.values())), sum(map(sum, checks.values()))),
        judged,
        tuple(_share(study.methods[method], own) for method, own in by_method.items()),
        _differences({study.methods[method]: _answers(own) for method, own in by_method.items()}),
        _agreement(counted),
    )


def _answers(judged: Sequence[Judged]) -> Answers:
    return Answers(
        np.array([one.given.person for one in judged], np.int64),
        np.array([one.given.question.photograph for one in judged], np.int64),
        np.array([one.natural for one in judged], np.float64),
    )


def _share(method: str, judged: Sequence[Judged]) -> Share:
    natural = sum(one.natural for one in judged)
    return Share(
        method,
        len(judged),
        natural,
        *wilson(natural, len(judged)),
        *share_interval(_answers(judged)),
        _agreement(judged),
    )


def _agreement(judged: Sequence[Judged]) -> Agreement:
    return agreement(
        ((one.given.question.photograph, one.given.question.method), one.natural) for one in judged
    )


def _differences(answers: dict[str, Answers]) -> tuple[Difference, ...]:
    """Of all pairs of methods that have answers."""
    pairs = [
        (one, other) for one, other in combinations(answers, 2) if answers[one] and answers[other]
    ]
    tests = [paired(answers[one], answers[other]) for one, other in pairs]
    corrected = holm([test.p for test in tests])
    return tuple(
        Difference(
            one,
            other,
            answers[one].share - answers[other].share,
            *difference_interval(answers[one], answers[other]),
            test,
            float(p),
        )
        for (one, other), test, p in zip(pairs, tests, corrected, strict=True)
    )
