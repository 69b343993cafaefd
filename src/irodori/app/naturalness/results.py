"""From answers to shares, differences and agreement; and what was dropped, and why.

Tables of answers have a row an answer: person, photograph, method, natural (bool).
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
"""Why an answer doesn't count; of several reasons the first of these."""
Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """How far people agree on the same picture."""

    alpha: float
    """Krippendorff's: 1 perfect, 0 as by chance, NaN where all answers are alike or none count."""
    share: float
    """Of pairs of answers to the same picture, the share that agrees."""
    pictures: int
    """Pictures that at least two people have judged."""
    answers: int
    """Answers to these pictures."""


@dataclass(frozen=True)
class Criteria:
    """Which answers count.

    Args:
        minimum: seconds of viewing.
        passed: share that a person must pass of the attention checks that were answered.
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
    """NaN without answers."""
    answers: int
    natural: int
    wilson: Interval
    clustered: Interval
    """That for other people and photographs; NaN where there are too few."""
    agreement: Agreement


@dataclass(frozen=True)
class Difference:
    """Two methods: the first's share less the second's."""

    one: str
    other: str
    difference: float
    interval: Interval
    p_people: float
    people: int
    """People with answers to both methods."""
    p_photographs: float
    photographs: int
    """Photographs with answers to both methods."""
    p_corrected: float
    """The larger p of both tests, corrected for the number of pairs by Holm.

    Either alone would take the people, or the photographs, for the only ones there are (Clark, The
    language-as-fixed-effect fallacy, 1973).
    """
    verdict: str


@dataclass(frozen=True)
class Outcome:
    """A study's results."""

    study: Study
    criteria: Criteria
    people: dict[str, int]
    """How many began, answered anything, finished, and failed the attention checks."""
    checks: dict[str, int]
    """How many attention checks were answered and passed."""
    answers: pd.DataFrame
    """A row an answer to a photograph, as they came: see `Store.read`; natural: see `meaning`;
    dropped: a reason or ""."""
    shares: tuple[Share, ...]
    differences: tuple[Difference, ...]
    agreement: Agreement

    @property
    def counts(self) -> dict[str, Any]:
        """Answers to photographs: given, counted, and dropped for each reason."""
        dropped = {reason: int((self.answers.dropped == reason).sum()) for reason in REASONS}
        given = len(self.answers)
        return {"given": given, "counted": given - sum(dropped.values()), "dropped": dropped}


def evaluate(study: Study, began: int, given: pd.DataFrame, criteria: Criteria) -> Outcome:
    """Return the results of a study, from how many began and all answers: see `Store.read`."""
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
    """Return the 95 % interval of a share for other people and photographs; NaN where unknown.

    It isn't narrower than Wilson's: where all answers are alike, their variance says nothing.
    """
    low, high = _clustered(answers.natural.mean(), _influence(answers))
    wilson_low, wilson_high = wilson(answers)
    # In this order, NaN stays NaN.
    return max(min(low, wilson_low), 0.0), min(max(high, wilson_high), 1.0)


def difference_interval(one: pd.DataFrame, other: pd.DataFrame) -> Interval:
    """Return the same for the difference of two methods' shares, one less other.

    That the same people and photographs stand behind both is accounted for. It isn't narrower than
    that of independent answers from Wilson's limits (Newcombe, Interval estimation for the
    difference between independent proportions, 1998, method 10).
    """
    one_share, other_share = one.natural.mean(), other.natural.mean()
    difference = one_share - other_share
    low, high = _clustered(difference, pd.concat([_influence(one), _influence(other, -1)]))
    (one_low, one_high), (other_low, other_high) = wilson(one), wilson(other)
    newcombe_low = difference - np.hypot(one_share - one_low, other_high - other_share)
    newcombe_high = difference + np.hypot(one_high - one_share, other_share - other_low)
    return float(max(min(low, newcombe_low), -1.0)), float(min(max(high, newcombe_high), 1.0))


def _influence(answers: pd.DataFrame, sign: int = 1) -> pd.DataFrame:
    """Return what each answer adds to the error of a share."""
    error = answers.natural.astype(float) - answers.natural.mean()
    return answers[["person", "photograph"]].assign(error=sign * error / max(1, len(answers)))


def _clustered(estimate: float, influence: pd.DataFrame) -> Interval:
    """Return an interval by a variance that is robust to two ways of clustering, and Student's t.

    Variances of sums over people and over photographs are added, and that of single answers, which
    is in both, is taken off (Cameron, Gelbach and Miller, Robust inference with multiway
    clustering, 2011); each is at least what answers alone give. The degrees of freedom are those of
    the fewer clusters.
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
    """Test whether two methods differ in the clusters that have answers to both.

    Returns:
        p of a sign-flip test of the clusters' differences of shares, NaN without such clusters; and
        their number.
    """
    shares = [answers.groupby(cluster).natural.mean() for answers in (one, other)]
    differences = (shares[0] - shares[1]).dropna().to_numpy(float)
    if not len(differences):
        return np.nan, 0
    return float(sign_flip_p(differences[:, None])[0]), len(differences)


def agreement(answers: pd.DataFrame) -> Agreement:
    """Return Krippendorff's α for nominal data; pictures that one person alone judged don't count.

    α = 1 − (n − 1) Σᵤ 2 n₀ᵤ n₁ᵤ / (nᵤ − 1) / (2 n₀ n₁), where of the n answers nᵤ are to picture u
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
