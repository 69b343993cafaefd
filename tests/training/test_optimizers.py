import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from irodori.network.encoder_layers import encoder_layers
from torch import nn

from irodori.config import AdadeltaConfig, AdamWConfig, BackboneConfig, OptimizerConfig
from irodori.errors import IrodoriError
from irodori.network import JointNetwork
from irodori.training.optimizers import (
    configured,
    make_optimizer,
    parameter_groups,
    warmup_cosine,
)

SHARE = st.floats(0, 1)
PAPER = BackboneConfig("paper")


@given(st.integers(1, 10_000), SHARE, SHARE, st.data())
def test_the_schedule_is_the_formula(steps, warmup, final, data):
    step = data.draw(st.integers(0, steps))
    rising = max(1, min(round(warmup * steps), steps - 1))
    value = warmup_cosine(step, steps, warmup, final)
    if step < rising:
        assert value == pytest.approx((step + 1) / rising)
    elif rising < steps:
        angle = math.pi * (step - rising) / (steps - rising)
        assert value == pytest.approx(final + (1 - final) * (1 + math.cos(angle)) / 2)
    assert 0 <= value <= 1
    if step < steps:
        assert value > 0


@given(st.integers(2, 500), st.floats(0, 0.9), SHARE)
def test_it_rises_to_its_peak_once_and_falls_to_final(steps, warmup, final):
    values = [warmup_cosine(step, steps, warmup, final) for step in range(steps + 1)]
    peak = values.index(max(values))
    assert max(values) == pytest.approx(1)
    assert peak == max(1, min(round(warmup * steps), steps - 1)) - 1
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert values[-1] == pytest.approx(final)
    assert warmup_cosine(steps + 7, steps, warmup, final) == pytest.approx(final)


def groups(network, config):
    optimizer = make_optimizer(network, config, PAPER, 10)["optimizer"]
    decayed, others = optimizer.param_groups
    return optimizer, decayed, others


@pytest.mark.parametrize(
    "config", [AdamWConfig(weight_decay=0.3, lr=0.1), AdadeltaConfig(weight_decay=0.3, lr=0.1)]
)
def test_weights_decay_and_biases_and_norms_do_not(config):
    network = JointNetwork(3, width=0.05)
    optimizer, decayed, others = groups(network, config)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    free = {
        id(parameter)
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, nn.modules.batchnorm._BatchNorm)
    }
    assert {id(parameter) for parameter in others["params"]} == free
    everything = {id(parameter) for parameter in network.parameters()}
    assert {id(parameter) for parameter in decayed["params"]} == everything - free
    # A step without a gradient moves what decays, and that alone.
    before = {id(p): p.detach().clone() for p in network.parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert all(torch.equal(p, before[id(p)]) for p in others["params"])
    if isinstance(config, AdamWConfig):
        # The schedule's first step already stands in the learning rate.
        rate = optimizer.param_groups[0]["lr"]
        for parameter in decayed["params"]:
            expected = before[id(parameter)] * (1 - rate * 0.3)
            torch.testing.assert_close(parameter.detach(), expected)


def test_the_settings_arrive():
    network = JointNetwork(3, width=0.02)
    made = make_optimizer(network, AdadeltaConfig(lr=0.5, rho=0.8, eps=1e-4), PAPER, 10)
    assert isinstance(made["optimizer"], torch.optim.Adadelta)
    assert "lr_scheduler" not in made
    defaults = made["optimizer"].param_groups[0]
    assert (defaults["lr"], defaults["rho"], defaults["eps"]) == (0.5, 0.8, 1e-4)
    config = AdamWConfig(lr=0.2, betas=(0.7, 0.8), warmup=0.5, final=0.25)
    made = make_optimizer(network, config, PAPER, 8)
    assert isinstance(made["optimizer"], torch.optim.AdamW)
    assert made["optimizer"].param_groups[0]["betas"] == (0.7, 0.8)
    assert made["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(9):
        rates.append(made["optimizer"].param_groups[1]["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    expected = [0.2 * warmup_cosine(step, 8, 0.5, 0.25) for step in range(9)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    "config",
    [OptimizerConfig("sgd", 0.1), AdadeltaConfig(name="adamw"), AdamWConfig(name="adadelta")],
)
def test_a_name_that_is_not_the_options_is_refused(config):
    with pytest.raises(IrodoriError, match=rf"^optimizer.name={config.name} can't .*optimizer="):
        make_optimizer(JointNetwork(3, width=0.02), config, PAPER, 10)


@pytest.fixture(scope="module")
def resnet():
    return JointNetwork(3, width=0.05, backbone="resnet18")


def test_an_encoder_learns_layer_by_layer(resnet):
    backbone = BackboneConfig("resnet18", lr_scale=0.5, layer_decay=0.8)
    groups = parameter_groups(resnet, AdamWConfig(lr=0.01, weight_decay=0.3), backbone)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(resnet.named_parameters())
    assert len(rate) == sum(len(group["params"]) for group in groups) == len(named)
    # The stem, and the two blocks of each of the four stages.
    blocks = [f"layer{stage}.{block}." for stage in (1, 2, 3, 4) for block in (0, 1)]
    order = [("conv1.", "bn1."), *((block,) for block in blocks)]
    for name, weight in named.items():
        if not name.startswith("backbone.encoder."):
            assert rate[id(weight)] == 0.01
        else:
            place = name.removeprefix("backbone.encoder.")
            (number,) = (k for k, beginning in enumerate(order) if place.startswith(beginning))
            assert rate[id(weight)] == pytest.approx(0.01 * 0.5 * 0.8 ** (8 - number)), name
        assert decay[id(weight)] == (0.3 if weight.ndim > 1 else 0.0)


@pytest.mark.parametrize(
    "name", ["convnext_tiny", "tf_efficientnet_lite0", "mobilenetv4_conv_small", "pvt_v2_b0"]
)
def test_layers_go_from_the_first_to_the_last(name):
    network = JointNetwork(3, width=0.02, backbone=name)
    layers = encoder_layers(network.backbone)
    encoder = list(network.backbone.encoder.parameters())
    assert {id(p) for layer in layers for p in layer} == {id(p) for p in encoder}
    assert sum(map(len, layers)) == len(encoder)
    assert len(layers) >= 5
    assert any(encoder[0] is weight for weight in layers[0])
    assert any(encoder[-1] is weight for weight in layers[-1])


def test_models_that_timm_holds_whole_have_layers_too():
    layers = encoder_layers(JointNetwork(3, width=0.02, backbone="twins_svt_small").backbone)
    assert len(layers) >= 5


def test_layers_that_timm_does_not_count_are_asked_for_by_layer_decay_only():
    network = JointNetwork(3, width=0.02, backbone="poolformer_s12")
    name = network.backbone.name
    groups = parameter_groups(network, AdamWConfig(), BackboneConfig(name, lr_scale=0.5))
    assert {group["lr"] for group in groups} == {1e-3, 5e-4}
    with pytest.raises(ValueError, match=rf"timm doesn't count the layers of {name}"):
        parameter_groups(network, AdamWConfig(), BackboneConfig(name, layer_decay=0.9))


def test_settings_that_have_changed_are_taken_over_layer_by_layer(resnet):
    before = BackboneConfig("resnet18", lr_scale=0.5, layer_decay=0.7)
    after = BackboneConfig("resnet18", lr_scale=0.25, layer_decay=0.9)
    made = make_optimizer(resnet, AdamWConfig(lr=0.01), before, 10)
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    for _ in range(4):
        optimizer.step()
        schedule.step()
    share = optimizer.param_groups[0]["lr"] / 0.01
    asked = parameter_groups(resnet, AdamWConfig(lr=0.02), after)
    configured(optimizer, schedule, asked)
    for group, wanted in zip(optimizer.param_groups, asked, strict=True):
        assert group["lr"] == pytest.approx(wanted["lr"] * share)
    optimizer.step()
    schedule.step()
    share = warmup_cosine(5, 10, 0.05, 0.0)
    for group, wanted in zip(optimizer.param_groups, asked, strict=True):
        assert group["lr"] == pytest.approx(wanted["lr"] * share)
