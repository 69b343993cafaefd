"""Intervals, tests and corrections against scipy and their definitions."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from irodori.evaluation.statistics import (
    Stratum,
    bootstrap,
    holm,
    interval,
    means,
    restricted,
    sign_flip_p,
    verdict,
)


def whole(*values_SN):
    """One stratum of one metric, S seeds."""
    values = np.array(values_SN, np.float64)
    return [Stratum(np.arange(values.shape[1]), values[..., None])]


def ones(count):
    return np.ones((count, 1))


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=40)
    ours = interval(bootstrap([whole(values)], ones(40))[:, 0, 0])
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=2
    ).confidence_interval
    assert ours == pytest.approx(theirs, abs=0.02)


def test_a_resample_is_the_same_photographs_for_all_variants():
    values = np.random.default_rng(4).normal(size=30)
    resampled = bootstrap([whole(values), whole(values + 1)], ones(30), 200)
    assert resampled[:, 1] - resampled[:, 0] == pytest.approx(1.0)


def test_the_bootstrap_depends_on_its_seed_alone_and_not_on_blocks(monkeypatch):
    values = np.random.default_rng(5).normal(size=(2, 30))
    first = bootstrap([whole(*values)], ones(30), 100)
    assert np.array_equal(first, bootstrap([whole(*values)], ones(30), 100))
    assert not np.array_equal(first, bootstrap([whole(*values)], ones(30), 100, seed=1))
    monkeypatch.setattr("irodori.evaluation.statistics.BLOCK", 70)
    assert bootstrap([whole(*values[:1])], ones(30), 99).shape == (99, 1, 1)
    assert np.isfinite(bootstrap([whole(*values)], ones(30), 99)).all()


def test_seeds_widen_the_interval_by_what_they_differ():
    """All photographs of a fold share the luck of its network."""
    values = np.zeros(1000)
    resampled = bootstrap([whole(values - 1, values + 1)], ones(1000), 4000)[:, 0, 0]
    # Two seeds drawn of two: −1, 0, 0, 1.
    assert resampled.std() == pytest.approx(np.sqrt(0.5), abs=0.03)
    # With folds, each has luck of its own.
    folds = [
        Stratum(np.arange(n, 1000, 2), np.stack([values[::2] - 1, values[::2] + 1])[..., None])
        for n in (0, 1)
    ]
    assert bootstrap([folds], ones(1000), 4000)[:, 0, 0].std() == pytest.approx(0.5, abs=0.03)


def test_folds_are_pooled_and_weights_are_weights():
    values = np.arange(6.0)
    weights = np.array([[1.0], [2], [0], [1], [0.5], [3]])
    folds = [Stratum(np.array(p), values[p][None, :, None]) for p in ([0, 2, 4], [5, 1, 3])]
    expected = np.average(values, weights=weights[:, 0])
    assert means(folds, weights)[0] == pytest.approx(expected)
    resampled = bootstrap([folds], weights, 20_000)[:, 0, 0]
    drawn = np.random.default_rng(6).integers(0, 6, (20_000, 6))
    with np.errstate(invalid="ignore"):
        direct = (values[drawn] * weights[drawn, 0]).sum(1) / weights[drawn, 0].sum(1)
    assert np.nanmean(resampled) == pytest.approx(np.nanmean(direct), abs=0.02)
    assert np.nanstd(resampled) == pytest.approx(np.nanstd(direct), abs=0.02)


def test_what_has_no_weight_may_be_anything():
    values = np.array([1.0, np.nan, 3.0])
    weights = np.array([[1.0], [0.0], [1.0]])
    assert means(whole(values), weights)[0] == 2.0
    resampled = bootstrap([whole(values)], weights, 500)[:, 0, 0]
    assert np.isnan(resampled).any()  # the second photograph three times
    assert interval(resampled) == (1.0, 3.0)
    assert np.isnan(means(whole(values), np.zeros((3, 1)))[0])
    assert np.isnan(interval(np.full(3, np.nan))).all()


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=12))
def test_small_samples_are_tested_exactly_as_by_scipy(differences):
    values = np.array(differences, np.float64)
    theirs = scipy.stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(values[:, None])[0] == pytest.approx(theirs.pvalue)
    assert np.isnan(sign_flip_p(np.append(values, np.nan)[:, None])[0])


def test_large_samples_agree_with_the_t_test_and_scipy():
    random = np.random.default_rng(7)
    differences = random.normal([0.0, 0.08, 0.13], 1.0, (500, 3))
    ours = sign_flip_p(differences)
    for number in range(3):
        values = differences[:, number]
        assert ours[number] == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue, abs=0.02)
        theirs = scipy.stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=5000, vectorized=True, rng=8
        )
        assert ours[number] == pytest.approx(theirs.pvalue, abs=0.03)


@given(st.lists(st.floats(0, 1) | st.just(np.nan), max_size=10))
def test_holm_is_as_defined_and_leaves_out_what_is_no_test(p):
    order = sorted((i for i in range(len(p)) if p[i] == p[i]), key=lambda i: p[i])
    expected = np.full(len(p), np.nan)
    for place, i in enumerate(order):
        steps = [(len(order) - k) * p[j] for k, j in enumerate(order[: place + 1])]
        expected[i] = min(1.0, max(steps))
    assert holm(p) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("difference", "better", "expected"),
    [
        (-1, "lower", "better"),
        (1, "lower", "worse"),
        (1, "higher", "better"),
        (-1, "higher", "worse"),
        (-1, "near zero", "better"),
        (1, "neither", "higher"),
        (-1, "neither", "lower"),
    ],
)
def test_verdicts(difference, better, expected):
    low, high = difference - 0.5, difference + 0.5
    assert verdict(difference, low, high, 0.01, better, 50) == expected
    assert verdict(difference, low, high, 0.05, better, 50) == "not distinguishable"
    assert verdict(difference, -2, 2, 0.01, better, 50) == "not distinguishable"
    assert verdict(difference, low, high, np.nan, better, 50) == "not distinguishable"
    assert verdict(difference, low, high, 0.01, better, 5) == "too few photographs"


def test_a_scene_is_a_data_set_of_its_photographs():
    random = np.random.default_rng(9)
    chosen, weights_N1 = np.arange(1, 60, 4), random.integers(1, 3, (60, 1)).astype(float)
    values_SNK = random.normal(size=(2, 60, 3))
    # Two folds, of which the second has no photograph of the scene.
    order = np.concatenate([chosen, np.setdiff1d(np.arange(60), chosen)])
    folds = [Stratum(part, values_SNK[:, part]) for part in (order[:30], order[30:])]
    found = restricted(folds, chosen, 1)
    assert len(found) == 1
    alone = [Stratum(np.arange(15), values_SNK[:, chosen, 1:2])]
    weights_n1 = weights_N1[chosen]
    assert means(found, weights_n1) == means(alone, weights_n1)
    np.testing.assert_array_equal(
        bootstrap([found], weights_n1, 50), bootstrap([alone], weights_n1, 50)
    )
