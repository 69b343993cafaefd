"""Distances of sets: their formulas, ranks, and the features of Lite0."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import default_metrics, missing_steps, on_two_ranks, smooth
from PIL import Image
from scipy.linalg import sqrtm
from torch import nn

from irodori.metrics import feature_distance
from irodori.metrics.catalog import METRICS
from irodori.metrics.evaluation import Evaluation
from irodori.metrics.feature_distance import FeatureDistance, frechet_distance, kernel_distance
from irodori.metrics.inception import kid
from irodori.metrics.lite0 import Lite0Distance
from irodori.metrics.prior import AbPrior
from irodori.pretrained import imagenet
from irodori.utils.errors import IrodoriError
from photographs import photographs


def features(seed, count, width=12):
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(width, width))
    return torch.from_numpy(random.normal(size=(count, width)) @ mixing + random.normal(size=width))


def frechet_by_scipy(one, other):
    covariances = [np.cov(values.numpy(), rowvar=False) for values in (one, other)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    means = (one - other).mean(0).square().sum().item()
    return means + np.trace(covariances[0] + covariances[1] - 2 * root)


def discrepancy(one, other, paired):
    """The unbiased squared maximum mean discrepancy × 1000, by its sums over (x·y / F + 1)³."""
    count, width = len(one), len(one[0])

    def mean(some, others, different):
        values = [
            (sum(a * b for a, b in zip(x, y, strict=True)) / width + 1) ** 3
            for i, x in enumerate(some)
            for j, y in enumerate(others)
            if i != j or not different
        ]
        return sum(values) / len(values)

    assert count == len(other)
    within = mean(one, one, different=True) + mean(other, other, different=True)
    return 1000 * (within - 2 * mean(one, other, different=paired))


@settings(max_examples=10)
@given(st.integers(2, 24), st.integers(0, 20), st.integers(0, 10**6))
def test_frechet_distance_is_that_of_scipys_square_root(width, more, seed):
    count = 2 * width + more
    one, other = features(seed, count, width), features(seed + 1, count, width)
    assert frechet_distance(one, other) == pytest.approx(frechet_by_scipy(one, other), rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-4)


@settings(max_examples=10)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 10**6), st.integers(1, 10))
def test_kernel_distance_is_that_of_its_sums_over_different_photographs(width, count, seed, rows):
    one, other = features(seed, count, width), features(seed + 1, count, width)
    expected = discrepancy(one.tolist(), other.tolist(), paired=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_distance, "ROWS", rows)
        found = kernel_distance(one, other)
        assert found == pytest.approx(kernel_distance(other, one), rel=1e-9, abs=1e-6)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert kernel_distance(one, one) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [4, 7, 10])
def test_kid_is_the_mean_over_subsets_of_its_sums(count):
    one, other = features(2, count, 5), features(3, count, 5)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = kid(one, other)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    expected = []
    for _ in range(100):
        true = other[torch.randperm(count)[: count // 2]].tolist()
        predicted = one[torch.randperm(count)[: count // 2]].tolist()
        expected.append(discrepancy(predicted, true, paired=False))
    assert found == pytest.approx(np.mean(expected), rel=1e-9)


class Tiny(FeatureDistance):
    """Of means of 5 pieces of the picture."""

    frechet = METRICS["fid"]
    kernel = METRICS["kid"]
    num_features = 5

    @staticmethod
    def make_network():
        return nn.AdaptiveAvgPool1d(5)

    def features(self, picture_13HW):
        return self.network(picture_13HW.float().flatten(1)) / 100


def of_smooth(numbers):
    distance = Tiny()
    distance.frechet_from = 6
    for number in numbers:
        distance.update(smooth(number), smooth(number + 50))
    return distance.compute()


@pytest.mark.parametrize("numbers", [([0, 1, 2, 3, 4], [5]), ([], range(6))])
def test_two_ranks_join_their_features(tmp_path, numbers):
    alone = of_smooth(range(6))
    assert list(alone) == ["fid", "kid"]
    for values in on_two_ranks(of_smooth, numbers, tmp_path):
        assert values == pytest.approx(alone, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_sets_of_few_photographs_have_fewer_metrics():
    distance = Tiny()
    for number in range(6):
        undefined = {name for name, value in distance.compute().items() if math.isnan(value)}
        assert undefined == ({"fid", "kid"} if number < 4 else {"fid"} if number < 5 else set())
        distance.update(smooth(number), smooth(number + 50))
    distance.reset()
    assert all(math.isnan(value) for value in distance.compute().values())
    with pytest.raises(ValueError, match="against"):
        distance.update(smooth(0), smooth(1, 5, 5))


def colored(photo_3HW, saturation):
    """The photograph with its colors moved towards its gray: 1 leaves it, 0 is gray."""
    gray_1HW = photo_3HW.double().mean(0, keepdim=True)
    return (gray_1HW + saturation * (photo_3HW - gray_1HW)).round().to(torch.uint8)


def test_lite0_distance_is_that_of_the_networks_features():
    """Features transcribed: Pillow scales with antialiasing, too, plane by plane in fp32."""
    photos = photographs(4)
    predicted = [colored(photo, 0.3) for photo in photos]
    assert len({photo.shape for photo in photos}) > 1
    network = imagenet.lite0_features().double()

    def transcribed(photo_3HW):
        planes = [Image.fromarray(plane.numpy().astype(np.float32)) for plane in photo_3HW]
        scaled = [plane.resize((224, 224), Image.Resampling.BILINEAR) for plane in planes]
        inputs_13HW = torch.from_numpy(np.stack(scaled))[None].double() / 127.5 - 1
        return network(inputs_13HW)[-1].mean((0, 2, 3))

    one, other = (torch.stack([*map(transcribed, set_)]) for set_ in (predicted, photos))
    distance = Lite0Distance()
    distance.frechet_from = 4
    for pair in zip(predicted, photos, strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            distance.update(*pair)
    for found, expected in ((distance.predicted, one), (distance.true, other)):
        torch.testing.assert_close(torch.cat(found).double(), expected, rtol=1e-3, atol=1e-3)
    frechet, kernel = distance.compute().values()
    assert frechet == pytest.approx(frechet_by_scipy(one, other), rel=1e-2)
    assert kernel == pytest.approx(kernel_distance(one, other), rel=1e-2)


def test_lite0_is_measured_where_its_package_is_and_named_elsewhere(monkeypatch):
    prior = AbPrior.of([smooth(0, 8, 8)], "a picture of a test")

    def measured(perceptual):
        evaluation = Evaluation(
            ["model", "gray"], ["sea"], default_metrics(), torch.device("cpu"), prior, perceptual
        )
        for number in range(4):
            true = smooth(number, 20, 20)
            evaluation.add("model", str(number), 0, smooth(number + 9, 20, 20), true)
        return evaluation.overall()

    found = measured(perceptual=True)
    assert "lite0_kernel" in found["model"]
    assert "lite0_frechet" not in found["model"]
    assert "lite0_kernel" not in found["gray"]
    assert "lite0_kernel" not in measured(perceptual=False)["model"]
    assert not {"lite0_frechet", "lite0_kernel"} & missing_steps().keys()
    monkeypatch.setattr(imagenet.Package, "missing", lambda package: "install it")
    assert {missing_steps()[name] for name in ("lite0_frechet", "lite0_kernel")} == {"install it"}
    assert "lite0_kernel" not in measured(perceptual=True)["model"]
    with pytest.raises(IrodoriError, match=r"^lite0_frechet and lite0_kernel .*: install it$"):
        Lite0Distance()
