"""Intervals and tests for figures of the same photographs; arrays in, arrays out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from irodori.metrics.catalog import Better

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RESAMPLES = 10_000
SEED = 20160711
LEVEL = 0.95
"""Of the intervals."""
SIGNIFICANT = 0.05
"""A corrected p below it counts."""
ENOUGH = 6
"""With fewer photographs no sign flips give p < 0.05."""
BLOCK = 4_000_000
"""Numbers that a block of resamples may hold at a time: 32 MB."""


@dataclass(frozen=True)
class Stratum:
    """Photographs that were judged by the same networks: a fold, or the whole validation set."""

    photographs: Ints
    """n places among all N photographs."""
    values_SNK: Floats
    """Of each of S seeds, n photographs and K figures; where the weight is 0, anything."""


def means(strata: Sequence[Stratum], weights_NK: Floats) -> Floats:
    """K means over N photographs of the mean over seeds; NaN where all weights are 0."""
    with np.errstate(invalid="ignore"):
        sums_K = sum(
            _weighted(s.values_SNK.mean(0), weights_NK[s.photographs]).sum(0) for s in strata
        )
        result: Floats = sums_K / weights_NK.sum(0)
    return result


def bootstrap(
    variants: Sequence[Sequence[Stratum]],
    weights_NK: Floats,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Floats:
    """The means of resamples with replacement: of the photographs, and of the seeds of a fold.

    All variants share a resample's photographs, so that differences of their means are paired. A
    seed is drawn for all photographs of a fold at once: one network has judged them all, and they
    share its luck (Owen, The pigeonhole bootstrap, 2007).

    Args:
        variants: of each of V variants, strata that together hold every photograph once.
        weights_NK: of N photographs in the mean of each of K figures; 0 where it isn't defined.
        resamples: R.
        seed: of the resampling; the result depends on nothing else.

    Returns:
        R×V×K means; NaN where a resample drew no photograph with a weight.
    """
    of_photographs, of_seeds = np.random.default_rng(seed).spawn(2)
    weighted = [
        [_weighted(s.values_SNK, weights_NK[s.photographs]) for s in strata] for strata in variants
    ]
    means_RVK = np.empty((resamples, len(variants), weights_NK.shape[1]))
    start = 0
    for counts_BN in _counts(len(weights_NK), resamples, of_photographs):
        block = means_RVK[start : start + len(counts_BN)]
        for v, strata in enumerate(variants):
            sums_BK = np.zeros((len(counts_BN), weights_NK.shape[1]))
            for stratum, values_SNK in zip(strata, weighted[v], strict=True):
                seeds = len(values_SNK)
                shares_BS = of_seeds.multinomial(seeds, [1 / seeds] * seeds, len(counts_BN)) / seeds
                drawn_BN = counts_BN[:, stratum.photographs]
                for s in range(seeds):
                    sums_BK += shares_BS[:, s, None] * (drawn_BN @ values_SNK[s])
            block[:, v] = sums_BK
        with np.errstate(invalid="ignore", divide="ignore"):
            block /= (counts_BN @ weights_NK)[:, None]
        start += len(counts_BN)
    return means_RVK


def _weighted(values: Floats, weights: Floats) -> Floats:
    """The products, 0 where the weight is 0, whatever the value."""
    return np.where(weights > 0, values * weights, 0.0)


def _counts(photographs: int, resamples: int, random: np.random.Generator) -> Iterator[Floats]:
    """Blocks of B×N numbers: how often a resample holds each photograph."""
    rows = max(1, BLOCK // photographs)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn_BN = random.integers(0, photographs, (size, photographs))
        drawn_BN += np.arange(size)[:, None] * photographs
        counts = np.bincount(drawn_BN.ravel(), minlength=size * photographs)
        yield counts.reshape(size, photographs).astype(np.float64)


def interval(means_R: Floats) -> tuple[float, float]:
    """The percentile interval of resampled means; NaN if none is defined."""
    defined = means_R[np.isfinite(means_R)]
    if not len(defined):
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def sign_flip_p(
    differences_NP: Floats, resamples: int = RESAMPLES, seed: int = SEED
) -> npt.NDArray[np.float64]:
    """Two-sided paired permutation tests: could each difference as well have the other sign?

    The statistic is the sum of N differences. If there are no more than `resamples` patterns of
    signs, all are tried and p is exact; else p = (1 + k) / (1 + resamples), where k random patterns
    give a sum as far from 0 (Phipson and Smyth, 2010).

    Args:
        differences_NP: of N photographs in P tests; for a weighted mean, times the weights.
        resamples: random patterns of signs.
        seed: of the patterns.

    Returns:
        P p-values; NaN where a difference isn't a number.
    """
    observed_P = np.abs(differences_NP.sum(0))
    # Sums of the same numbers in another order may differ in the last places.
    limit_P = observed_P - 1e-12 * np.abs(differences_NP).sum(0)
    exact = 2 ** len(differences_NP) <= resamples
    reached_P = np.zeros(differences_NP.shape[1], np.int64)
    for signs_BN in _signs(len(differences_NP), None if exact else resamples, seed):
        reached_P += (np.abs(signs_BN @ differences_NP) >= limit_P).sum(0)
    p_P = reached_P / 2 ** len(differences_NP) if exact else (1 + reached_P) / (1 + resamples)
    return np.where(np.isfinite(observed_P), p_P, np.nan)


def _signs(photographs: int, resamples: int | None, seed: int) -> Iterator[Floats]:
    """Blocks of B×N numbers −1 or 1: random, or (None) all patterns there are."""
    if resamples is None:
        patterns = np.arange(2**photographs)
        bits = (patterns[:, None] >> np.arange(photographs)) & 1
        yield _plus_minus(bits)
        return
    random = np.random.default_rng(seed)
    rows = max(1, BLOCK // photographs)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        packed = np.frombuffer(random.bytes(size * -(-photographs // 8)), np.uint8)
        heads = np.unpackbits(packed.reshape(size, -1), axis=1, count=photographs)
        yield _plus_minus(heads)


def _plus_minus(bits: npt.NDArray[np.integer]) -> Floats:
    """0 → −1, 1 → 1; in place, which takes a fraction of the time of np.where."""
    signs = bits.astype(np.float64)
    signs *= 2
    signs -= 1
    return signs


def holm(p: Sequence[float]) -> Floats:
    """p-values corrected for their number by Holm's step-down procedure (1979); NaN stays NaN."""
    given = np.asarray(p, np.float64)
    corrected = np.full(given.shape, np.nan)
    tests = np.flatnonzero(np.isfinite(given))
    order = tests[np.argsort(given[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * given[order]))
    return corrected


def verdict(
    difference: float, low: float, high: float, p: float, better: Better, photographs: int
) -> str:
    """What a difference says of its first side, in words.

    Args:
        difference: first side less second.
        low, high: its interval.
        p: corrected.
        better: the figure's direction; for "near zero" the difference is one of distances from 0.
        photographs: that it was measured on.

    Returns:
        "better", "worse", "not distinguishable" or "too few photographs"; of a figure that is
        neither good nor bad, "higher" and "lower" in place of the first two.
    """
    if photographs < ENOUGH:
        return "too few photographs"
    # Comparisons with NaN are false.
    if not (p < SIGNIFICANT and (low > 0 or high < 0)):
        return "not distinguishable"
    if better == "neither":
        return "higher" if difference > 0 else "lower"
    return "better" if (difference > 0) == (better == "higher") else "worse"
