"""LPIPS, FID and KID, by networks whose weights lie in a folder of their own."""

import importlib.util
import math
import socket

import numpy as np
import pytest
import torch
import torchvision
from pairs import default_metrics, missing_steps, smooth
from scipy.linalg import sqrtm
from torch import nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from irodori.metrics.factories import make_metrics
from irodori.metrics.inception import InceptionDistance, kid
from irodori.metrics.pair import Pair
from irodori.metrics.perceptual import LPIPSAlex, LPIPSVgg
from irodori.metrics.prior import AbPrior
from irodori.metrics.weight_files import ALEXNET, INCEPTION, VGG16
from irodori.utils.errors import IrodoriError


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    """Weights lie in a folder of the test, and nothing is ever fetched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub home"))

    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(socket, "create_connection", refuse)


def stored(file, network):
    """Put a network's random weights where the file is looked for."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), file.path)


def test_names_of_files_are_those_that_libraries_look_for():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert INCEPTION.url == URL_INCEPTION_V3
    assert ALEXNET.url == torchvision.models.AlexNet_Weights.DEFAULT.url
    assert VGG16.url == torchvision.models.VGG16_Weights.DEFAULT.url


def test_missing_and_damaged_files_are_told_in_one_line(monkeypatch, tmp_path):
    folder = tmp_path / "hub home" / "hub" / "checkpoints"
    with pytest.raises(
        IrodoriError, match=f"lpips_vgg can't be measured here: put .* into {folder}$"
    ):
        LPIPSVgg(2)
    with pytest.raises(
        IrodoriError, match=r"fid and kid can't be measured here: put .*-6726825d.pth into"
    ):
        InceptionDistance()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing_steps()["kid"].startswith("install torch-fidelity")
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub home"))
    folder.mkdir(parents=True)
    for file, metric in ((ALEXNET, lambda: LPIPSAlex(2)), (INCEPTION, InceptionDistance)):
        for content in (b"", b"<html>not found</html>"):
            file.path.write_bytes(content)
            with pytest.raises(IrodoriError, match=f"{file.path.name} is damaged") as caught:
                metric()
            assert "\n" not in str(caught.value)
        stored(file, nn.Linear(2, 2))
        with pytest.raises(IrodoriError, match="is damaged"):
            metric()


@pytest.mark.slow
def test_lpips_with_weights_in_the_folder_is_torchmetrics_own():
    stored(ALEXNET, torchvision.models.alexnet(weights=None))
    assert "lpips_alex" not in missing_steps()
    state = torch.get_rng_state()
    prior = AbPrior.of([smooth(0, 8, 8)], "a picture of a test")
    fast = make_metrics(default_metrics(), 2, prior, slow=False)
    assert not any(isinstance(m, LPIPSAlex) for m in fast)
    (metric,) = make_metrics({"lpips_alex": LPIPSAlex}, 2, prior)
    assert torch.equal(torch.get_rng_state(), state)
    direct = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    for size in ((31, 31), (64, 47)):
        pair = Pair(smooth(0, *size), smooth(1, *size))
        expected = direct(pair.predicted_3HW[None] / 255, pair.true_3HW[None] / 255).item()
        assert expected > 0
        with torch.autocast("cpu", torch.bfloat16):
            assert metric.measure(pair).item() == pytest.approx(expected, rel=1e-5)
        metric.add(metric.measure(pair), 1)
        assert metric.measure(Pair(pair.true_3HW, pair.true_3HW)) == 0
    assert metric.measure(Pair(smooth(0, 30, 64), smooth(1, 30, 64))) is None
    assert metric.counts.tolist() == [0, 2, 0]
    assert LPIPSAlex(2).distance is metric.distance


@pytest.mark.long
def test_vgg_sees_pictures_of_16_pixels():
    net = torchvision.models.vgg16(weights=None).features[:30].eval()
    smallest = LPIPSVgg.smallest
    assert net(torch.zeros(1, 3, smallest, smallest)).shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 3, smallest - 1, smallest))


@pytest.mark.long
def test_fid_and_kid_with_weights_in_the_folder(monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    with monkeypatch.context() as patch, torch.random.fork_rng():
        # The extractor can't be made without weights: catch its state before it loads any.
        torch.manual_seed(0)
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *args: None)
        network = fidelity.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    stored(INCEPTION, network)
    assert not {"fid", "kid"} & missing_steps().keys()
    metric = InceptionDistance()
    collected = [[], []]
    for number in range(6):
        pictures = smooth(number, 40, 50), smooth(number + 50, 40, 50)
        metric.update(*pictures)
        for values, picture in zip(collected, pictures, strict=True):
            values.append(network(picture[None])[0])
    predicted, true = (torch.cat(values).double() for values in collected)
    values = metric.compute()
    assert values["kid"] == pytest.approx(kid(predicted, true), rel=1e-4, abs=1e-6)
    assert math.isnan(values["fid"])
    metric.frechet_from = 6
    metric.update(smooth(6, 40, 50), smooth(56, 40, 50))
    metric.reset()
    for number in range(6):
        metric.update(smooth(number, 40, 50), smooth(number + 50, 40, 50))
    value = metric.compute()["fid"]
    # Covariances AᵀA and BᵀB of 6 photographs have a small ABᵀ, whose root has the same trace.
    a, b = ((values - values.mean(0)).numpy() / math.sqrt(5) for values in (predicted, true))
    root = sqrtm(a @ b.T @ b @ a.T).real
    means = (predicted - true).mean(0).square().sum().item()
    expected = means + (a**2).sum() + (b**2).sum() - 2 * np.trace(root)
    assert value == pytest.approx(expected, rel=1e-3)
