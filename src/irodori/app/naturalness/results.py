"""Evaluation of answers: shares, differences, agreement, and dropped answers with reasons.

Tables of answers have one row per answer: person, photograph, method, natural (bool).
"""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from scipy.stats import binomtest

from irodori.app.naturalness.study import Study, meaning
from irodori.evaluation.statistics import ENOUGH, holm, sign_flip_p, verdict
from irodori.utils.errors import check_range

REASONS = ("failed attention checks", "left before the end", "viewed too briefly")
"""Reasons why an answer doesn't count; if several apply, the first one is given."""
Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """How well people agree on the same picture."""

    alpha: float
    """Krippendorff's α: 1 is perfect, 0 is chance; NaN if all answers are equal or none count."""
    share: float
    """Share of pairs of answers to the same picture that agree."""
    pictures: int
    """Number of pictures that at least two people judged."""
    answers: int
    """Number of answers to these pictures."""


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


def wilson(answers: pd.DataFrame) -> Interval:
    """Return Wilson's 95 % interval of the share of natural answers; (0, 1) without answers."""
    if answers.empty:
        return 0.0, 1.0
    found = binomtest(int(answers.natural.sum()), len(answers)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def share_interval(answers: pd.DataFrame) -> Interval:
    """Return the 95 % interval of a share for other people and photographs; NaN if undefined.

    It is at least as wide as Wilson's, since the variance of equal answers is 0.
    """
    low, high = _clustered(answers.natural.mean(), _influence(answers))
    wilson_low, wilson_high = wilson(answers)
    # This order of arguments keeps NaN.
    return max(min(low, wilson_low), 0.0), min(max(high, wilson_high), 1.0)


def difference_interval(one: pd.DataFrame, other: pd.DataFrame) -> Interval:
    """Return the 95 % interval of the difference of two methods' shares, one minus other.

    It accounts for the people and photographs that both share. It is at least as wide as Newcombe's
    interval of independent answers from Wilson's limits (Interval estimation for the difference
    between independent proportions, 1998, method 10).
    """
    one_share, other_share = one.natural.mean(), other.natural.mean()
    difference = one_share - other_share
    low, high = _clustered(difference, pd.concat([_influence(one), _influence(other, -1)]))
    (one_low, one_high), (other_low, other_high) = wilson(one), wilson(other)
    newcombe_low = difference - np.hypot(one_share - one_low, other_high - other_share)
    newcombe_high = difference + np.hypot(one_high - one_share, other_share - other_low)
    return float(max(min(low, newcombe_low), -1.0)), float(min(max(high, newcombe_high), 1.0))


def _influence(answers: pd.DataFrame, sign: int = 1) -> pd.DataFrame:
    """Return each answer's influence on a share."""
    error = answers.natural.astype(float) - answers.natural.mean()
    return answers[["person", "photograph"]].assign(error=sign * error / max(1, len(answers)))


def _clustered(estimate: float, influence: pd.DataFrame) -> Interval:
    """Return an interval from a two-way cluster-robust variance and Student's t.

    Variances clustered by people and by photographs are added, and that of single answers, which
    both contain, is subtracted (Cameron, Gelbach and Miller, Robust inference with multiway
    clustering, 2011); each is at least that of single answers. The smaller number of clusters
    determines the degrees of freedom.
    """
    counts = {name: influence[name].nunique() for name in ("person", "photograph")}
    fewer = min(counts.values())
    if fewer < 2:
        return np.nan, np.nan
    alone = (influence.error**2).sum()
    clustered = [
        (influence.groupby(name).error.sum() ** 2).sum() * count / (count - 1)
        for name, count in counts.items()
    ]
    variance = max(*clustered, sum(clustered) - alone, alone)
    reach = stdtrit(fewer - 1, 0.975) * np.sqrt(variance)
    return float(estimate - reach), float(estimate + reach)


def paired_test(
    one: pd.DataFrame, other: pd.DataFrame, cluster: Literal["person", "photograph"]
) -> tuple[float, int]:
    """Test whether two methods differ, over the clusters with answers to both.

    Returns:
        The p-value of a sign-flip test on the clusters' differences of shares (NaN without
        clusters), and the number of clusters.
    """
    shares = [answers.groupby(cluster).natural.mean() for answers in (one, other)]
    differences = (shares[0] - shares[1]).dropna().to_numpy(float)
    if not len(differences):
        return np.nan, 0
    return float(sign_flip_p(differences[:, None])[0]), len(differences)


def agreement(answers: pd.DataFrame) -> Agreement:
    """Return Krippendorff's α for nominal data; pictures with a single answer don't count.

    α = 1 − (n − 1) Σᵤ 2 n₀ᵤ n₁ᵤ / (nᵤ − 1) / (2 n₀ n₁), where nᵤ of the n answers are to picture u
    (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, for two categories).
    """
    pictures = answers.groupby(["photograph", "method"]).natural.agg(["sum", "size"])
    ones_U, sizes_U = pictures[pictures["size"] > 1].to_numpy(float).T
    if not len(sizes_U):
        return Agreement(np.nan, np.nan, 0, 0)
    differing_U = 2 * ones_U * (sizes_U - ones_U)
    n, ones = sizes_U.sum(), ones_U.sum()
    expected = 2 * ones * (n - ones) / (n - 1)
    alpha = 1 - (differing_U / (sizes_U - 1)).sum() / expected if expected else np.nan
    share = 1 - differing_U.sum() / (sizes_U * (sizes_U - 1)).sum()
    return Agreement(float(alpha), float(share), len(sizes_U), int(n))
