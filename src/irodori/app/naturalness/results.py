"""Evaluation of answers: shares, differences, agreement, and dropped answers with reasons."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from irodori.app.naturalness.statistics import (
    Agreement,
    Interval,
    agreement,
    difference_interval,
    paired_test,
    share_interval,
    wilson,
)
from irodori.app.naturalness.study import Study, meaning
from irodori.evaluation.statistics import ENOUGH, holm, verdict
from irodori.inference.settings import check_range

REASONS = ("failed attention checks", "left before the end", "viewed too briefly")
"""Reasons why an answer doesn't count; if several apply, the first one is given."""


@dataclass(frozen=True)
class Criteria:
    """Which answers count.

    Args:
        minimum: shortest viewing time in seconds.
        passed: share of the answered attention checks that a person must pass.
        complete: drop the answers of people who left before the end.

    Raises:
        IrodoriError: a value is out of range.
    """

    minimum: float
    passed: float = 0.75
    complete: bool = False

    def __post_init__(self) -> None:
        check_range("--passed", self.passed, 0, 1)
        check_range("--minimum", self.minimum, 0, 600)


@dataclass(frozen=True)
class Share:
    """How often a method's pictures were judged natural, or in pairs taken for the real ones."""

    method: str
    share: float
    """Share in [0, 1]; NaN without answers."""
    answers: int
    natural: int
    wilson: Interval
    clustered: Interval
    """Interval for other people and photographs; NaN if there are too few."""
    agreement: Agreement


@dataclass(frozen=True)
class Difference:
    """The difference between two methods: the first one's share minus the second one's."""

    one: str
    other: str
    difference: float
    interval: Interval
    p_people: float
    people: int
    """Number of people with answers to both methods."""
    p_photographs: float
    photographs: int
    """Number of photographs with answers to both methods."""
    p_corrected: float
    """The larger p of both tests, corrected for the number of pairs by Holm.

    A single test would generalize to other people or to other photographs, not to both (Clark, The
    language-as-fixed-effect fallacy, 1973).
    """
    verdict: str


@dataclass(frozen=True)
class Outcome:
    """A study's results."""

    study: Study
    criteria: Criteria
    people: dict[str, int]
    """Numbers of people who began, answered, finished, and failed the attention checks."""
    checks: dict[str, int]
    """Numbers of attention checks that were answered and passed."""
    answers: pd.DataFrame
    """One row per answer to a photograph, in order of arrival: the columns of `Store.read`;
    natural, see `meaning`; dropped, a reason or ""."""
    shares: tuple[Share, ...]
    differences: tuple[Difference, ...]
    agreement: Agreement

    @property
    def counts(self) -> dict[str, Any]:
        """Numbers of answers to photographs: given, counted, and dropped for each reason."""
        dropped = {reason: int((self.answers.dropped == reason).sum()) for reason in REASONS}
        given = len(self.answers)
        return {"given": given, "counted": given - sum(dropped.values()), "dropped": dropped}


def evaluate(study: Study, began: int, given: pd.DataFrame, criteria: Criteria) -> Outcome:
    """Return the results of a study; `began` and `given` are those of `Store.read`."""
    pairs = study.settings.pairs
    table = given.assign(natural=meaning(given.choice, given.kind, given["first"], pairs))
    checks = table[table.kind != "photograph"]
    passed = checks.groupby("person").natural.mean()
    failed = passed.index[passed < criteria.passed]
    steps = table.groupby("person").size()
    finished = steps.index[steps == study.steps]
    answers = table[table.kind == "photograph"].copy()
    conditions = [
        answers.person.isin(failed),
        ~answers.person.isin(finished) & criteria.complete,
        answers.viewed / 1000 < criteria.minimum,
    ]
    answers["dropped"] = np.select(conditions, REASONS, "")
    counted = answers[answers.dropped == ""]
    by_method = {study.methods[n]: counted[counted.method == n] for n in study.judged}
    people = {"began": began, "answered": len(steps), "finished": len(finished)}
    return Outcome(
        study,
        criteria,
        people | {"failed_checks": len(failed)},
        {"answered": len(checks), "passed": int(checks.natural.sum())},
        answers,
        tuple(_share(name, own) for name, own in by_method.items()),
        _differences({name: own for name, own in by_method.items() if len(own)}),
        agreement(counted),
    )


def _share(method: str, answers: pd.DataFrame) -> Share:
    natural = int(answers.natural.sum())
    share = natural / len(answers) if len(answers) else float("nan")
    intervals = wilson(answers), share_interval(answers)
    return Share(method, share, len(answers), natural, *intervals, agreement(answers))


def _differences(by_method: dict[str, pd.DataFrame]) -> tuple[Difference, ...]:
    found = []
    for (name, one), (other_name, other) in combinations(by_method.items(), 2):
        tests = (*paired_test(one, other, "person"), *paired_test(one, other, "photograph"))
        difference = float(one.natural.mean() - other.natural.mean())
        interval = difference_interval(one, other)
        found.append(Difference(name, other_name, difference, interval, *tests, np.nan, ""))
    corrected = holm([float(np.maximum(x.p_people, x.p_photographs)) for x in found])
    return tuple(
        replace(each, p_corrected=float(p), verdict=_verdict(each, float(p)))
        for each, p in zip(found, corrected, strict=True)
    )


def _verdict(found: Difference, p: float) -> str:
    if found.people < ENOUGH:
        return "too few people"
    return verdict(found.difference, *found.interval, p, "neither", found.photographs)
