"""Intervals, tests and agreement against scipy and published examples."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from irodori.app.naturalness.results import (
    agreement,
    difference_interval,
    paired_test,
    share_interval,
    wilson,
)


def answers(people, photographs, values):
    return pd.DataFrame(
        {
            "person": np.asarray(people, int),
            "photograph": np.asarray(photographs, int),
            "method": 0,
            "natural": np.asarray(values, bool),
        }
    )


def judged(pairs):
    """Answers from (picture, answer)."""
    pictures, values = zip(*pairs, strict=True) if pairs else ((), ())
    return answers(range(len(pairs)), pictures, values)


def test_alpha_of_krippendorffs_published_example():
    """Computing Krippendorff's Alpha-Reliability, 2011, A: two observers, binary data."""
    meg = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    owen = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    found = agreement(judged([*enumerate(meg), *enumerate(owen)]))
    assert found.alpha == pytest.approx(0.095, abs=5e-4)
    assert found.share == pytest.approx(0.6)
    assert (found.pictures, found.answers) == (10, 20)


def alpha_by_definition(pairs):
    """1 − observed/expected disagreement over pairs of answers, one by one."""
    units = {}
    for picture, answer in pairs:
        units.setdefault(picture, []).append(answer)
    units = [answers for answers in units.values() if len(answers) > 1]
    everything = list(itertools.chain(*units))
    n = len(everything)
    if not n:
        return math.nan
    observed = sum(
        sum(a != b for a, b in itertools.permutations(answers, 2)) / (len(answers) - 1)
        for answers in units
    )
    expected = sum(a != b for a, b in itertools.permutations(everything, 2)) / (n - 1)
    return 1 - observed / expected if expected else math.nan


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=30))
def test_alpha_is_its_definition(pairs):
    found = agreement(judged(pairs))
    assert found.alpha == pytest.approx(alpha_by_definition(pairs), nan_ok=True)
    counts = Counter(picture for picture, _ in pairs)
    assert found.pictures == sum(count > 1 for count in counts.values())


def test_the_robust_variance_is_that_of_its_paper():
    """Cameron, Gelbach and Miller 2011, transcribed with matrices of who shares a cluster."""
    random = np.random.default_rng(1)
    people, photographs = random.integers(0, 9, 200), random.integers(0, 30, 200)
    effects = random.normal(size=9)[people] + random.normal(size=30)[photographs]
    values = (effects + random.normal(size=200) > 0).astype(float)
    errors = values - values.mean()
    same_person = people[:, None] == people
    same_photograph = photographs[:, None] == photographs
    products = np.outer(errors, errors) / 200**2
    variance = (
        (products * same_person).sum() * 9 / 8
        + (products * same_photograph).sum() * 30 / 29
        - np.diag(products).sum()
    )
    reach = scipy.stats.t.ppf(0.975, 8) * math.sqrt(variance)
    low, high = share_interval(answers(people, photographs, values))
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_where_all_answers_are_alike_intervals_are_wilsons_and_newcombes():
    people, photographs = np.repeat(np.arange(5), 8), np.tile(np.arange(8), 5)
    always = answers(people, photographs, np.ones(40))
    never = answers(people, photographs, np.zeros(40))
    assert share_interval(always) == wilson(always)
    low, high = difference_interval(always, never)
    reach = 1 - wilson(always)[0]
    assert (low, high) == (pytest.approx(1 - math.sqrt(2) * reach), 1.0)
    # Newcombe's first example: 56 of 70 and 48 of 80.
    one = answers(np.arange(70), np.arange(70), np.arange(70) < 56)
    other = answers(np.arange(70, 150), np.arange(70, 150), np.arange(80) < 48)
    assert difference_interval(one, other)[0] == pytest.approx(0.0524, abs=5e-5)


def test_what_cannot_be_known_is_nan():
    lonely = answers([0, 0, 0], [1, 2, 3], [1, 0, 1])
    assert all(map(math.isnan, share_interval(lonely)))
    nothing = answers([], [], [])
    assert all(map(math.isnan, share_interval(nothing)))
    assert all(map(math.isnan, difference_interval(lonely, nothing)))
    assert paired_test(lonely, nothing, "person") == (pytest.approx(math.nan, nan_ok=True), 0)
    assert wilson(nothing) == (0, 1)


def test_the_paired_tests_are_scipys_on_people_and_on_photographs():
    random = np.random.default_rng(2)
    people = np.repeat(np.arange(8), 9)
    photographs = np.tile(np.arange(9), 8)
    one = answers(people, photographs, random.random(72) < 0.8)
    other = answers(people, photographs, random.random(72) < 0.5)
    difference = one.natural.to_numpy(float) - other.natural.to_numpy(float)
    for cluster, axis, count in (("person", 1, 8), ("photograph", 0, 9)):
        theirs = scipy.stats.permutation_test(
            (difference.reshape(8, 9).mean(axis),),
            np.sum,
            permutation_type="samples",
            n_resamples=np.inf,
        )
        assert paired_test(one, other, cluster) == (pytest.approx(theirs.pvalue), count)
