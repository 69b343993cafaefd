"""Intervals and tests for answers that share people and photographs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from irodori.app.naturalness.wilson import wilson
from irodori.evaluation.statistics import Floats, sign_flip_p

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """n answers. people_n, photographs_n: whose and to which; values_n: 0 or 1."""

    people_n: Ints
    photographs_n: Ints
    values_n: Floats

    def __len__(self) -> int:
        return len(self.values_n)

    @property
    def share(self) -> float:
        """Of ones; NaN without answers."""
        return float(self.values_n.mean()) if len(self) else float("nan")


def share_interval(answers: Answers) -> tuple[float, float]:
    """The 95 % interval of a share, for other people and other photographs; NaN where unknown.

    It isn't narrower than Wilson's: where all answers are alike, their variance says nothing.
    """
    low, high = _interval(answers.share, _influence([answers], [1.0]))
    least_low, least_high = _wilson(answers)
    # In this order, NaN stays NaN.
    return max(min(low, least_low), 0.0), min(max(high, least_high), 1.0)


def difference_interval(one: Answers, other: Answers) -> tuple[float, float]:
    """The same for the difference of two methods' shares, one less other.

    That the same people and photographs stand behind both is accounted for. It isn't narrower than
    that of independent answers from Wilson's limits (Newcombe, Interval estimation for the
    difference between independent proportions, 1998, method 10).
    """
    difference = one.share - other.share
    low, high = _interval(difference, _influence([one, other], [1.0, -1.0]))
    (one_low, one_high), (other_low, other_high) = _wilson(one), _wilson(other)
    least_low = difference - np.hypot(one.share - one_low, other_high - other.share)
    least_high = difference + np.hypot(one_high - one.share, other.share - other_low)
    return float(max(min(low, least_low), -1.0)), float(min(max(high, least_high), 1.0))


def _wilson(answers: Answers) -> tuple[float, float]:
    return wilson(float(answers.values_n.sum()), len(answers))


def _influence(sides: list[Answers], signs: list[float]) -> Answers:
    """What each answer adds to the error of a difference of shares."""
    return Answers(
        np.concatenate([side.people_n for side in sides]),
        np.concatenate([side.photographs_n for side in sides]),
        np.concatenate(
            [
                sign * (side.values_n - side.share) / max(1, len(side))
                for sign, side in zip(signs, sides, strict=True)
            ]
        ),
    )


def _interval(middle: float, influence: Answers) -> tuple[float, float]:
    """By a variance that is robust to two ways of clustering, and Student's t.

    Variances of sums over people and over photographs are added, and that of single answers, which
    is in both, is taken off (Cameron, Gelbach and Miller, Robust inference with multiway
    clustering, 2011); each is at least what answers alone give. The degrees of freedom are those of
    the fewer clusters.
    """
    if not len(influence) or np.isnan(middle):
        return np.nan, np.nan
    clusters = (influence.people_n, influence.photographs_n)
    counts = [len(np.unique(numbers)) for numbers in clusters]
    if min(counts) < 2:
        return np.nan, np.nan
    by_people, by_photographs = (
        _variance(numbers, influence.values_n, count)
        for numbers, count in zip(clusters, counts, strict=True)
    )
    alone = float((influence.values_n**2).sum())
    variance = max(by_people, by_photographs, by_people + by_photographs - alone, alone)
    reach = float(stdtrit(min(counts) - 1, 0.975)) * variance**0.5
    return middle - reach, middle + reach


def _variance(clusters_n: Ints, influence_n: Floats, count: int) -> float:
    """Of a sum whose terms depend on each other within clusters."""
    _, places_n = np.unique(clusters_n, return_inverse=True)
    return float((np.bincount(places_n, influence_n) ** 2).sum()) * count / (count - 1)


@dataclass(frozen=True)
class Paired:
    """Two paired tests of a difference; p is the larger: it shall hold for people and photographs.

    Either alone would take the people, or the photographs, for the only ones there are (Clark, The
    language-as-fixed-effect fallacy, 1973).

    p_people, p_photographs: of sign-flip tests of the differences of shares of each person, and of
    each photograph. people, photographs: with answers to both methods.
    """

    p_people: float
    p_photographs: float
    people: int
    photographs: int

    @property
    def p(self) -> float:
        """The larger; NaN where one is."""
        return float(np.maximum(self.p_people, self.p_photographs))


def paired(one: Answers, other: Answers) -> Paired:
    """Compare two methods over the people and over the photographs that both have."""
    (p_people, people), (p_photographs, photographs) = (
        _sign_flips(one, other, one.people_n, other.people_n),
        _sign_flips(one, other, one.photographs_n, other.photographs_n),
    )
    return Paired(p_people, p_photographs, people, photographs)


def _sign_flips(
    one: Answers, other: Answers, clusters_of_one: Ints, clusters_of_other: Ints
) -> tuple[float, int]:
    """p of the differences of shares of clusters that both have, and how many these are."""
    common = np.intersect1d(clusters_of_one, clusters_of_other)
    if not len(common):
        return np.nan, 0
    differences = np.array(
        [
            one.values_n[clusters_of_one == cluster].mean()
            - other.values_n[clusters_of_other == cluster].mean()
            for cluster in common
        ]
    )
    return float(sign_flip_p(differences[:, None])[0]), len(common)
