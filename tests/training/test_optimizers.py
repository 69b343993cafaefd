from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning import Callback
from torch import nn

import tiny
from irodori.config.instantiate import instantiate
from irodori.network import JointNetwork
from irodori.network.timm_backbone import TimmBackbone
from irodori.training import schedules
from irodori.training.objectives import MeanSquaredError
from irodori.training.optimizers import (
    parameter_groups,
    reconfigure,
    remember_settings,
    schedule,
    settings_of,
)
from irodori.training.schedules import warmup_cosine_share
from irodori.training.settings import EncoderTraining

SHARE = st.floats(0, 1)


def network_with(backbone=None):
    if backbone is not None:
        backbone = TimmBackbone(backbone, 0.05)
    return JointNetwork(3, width=0.05, backbone=backbone)


def groups_of(network, make, encoder=None, objective=None):
    """Parameter groups for an optimizer of the configuration."""
    encoder = encoder or EncoderTraining()
    return parameter_groups(network, objective or MeanSquaredError(), settings_of(make), encoder)


def adamw(**settings):
    return partial(torch.optim.AdamW, **settings)


def cosine(warmup=0.05, final=0.0):
    return partial(schedules.warmup_cosine, warmup=warmup, final=final)


@given(st.integers(2, 500), st.floats(0, 0.9), SHARE)
def test_it_rises_to_its_peak_once_and_falls_to_final(steps, warmup, final):
    values = [warmup_cosine_share(step, steps, warmup, final) for step in range(steps + 1)]
    peak = values.index(max(values))
    assert max(values) == pytest.approx(1)
    assert peak == max(1, min(round(warmup * steps), steps - 1)) - 1
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert values[-1] == pytest.approx(final)
    assert warmup_cosine_share(steps + 7, steps, warmup, final) == pytest.approx(final)


@pytest.mark.parametrize(
    "make",
    [adamw(weight_decay=0.3, lr=0.1), partial(torch.optim.Adadelta, weight_decay=0.3, lr=0.1)],
)
def test_weights_decay_and_biases_and_norms_do_not(make):
    network = network_with()
    optimizer = make(groups_of(network, make))
    decayed, others = optimizer.param_groups
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
    if make.func is torch.optim.AdamW:
        rate = optimizer.param_groups[0]["lr"]
        for parameter in decayed["params"]:
            expected = before[id(parameter)] * (1 - rate * 0.3)
            torch.testing.assert_close(parameter.detach(), expected)


def test_settings_of_the_configuration_arrive():
    config = tiny.compose("optimizer=adadelta", "optimizer.lr=0.5", "optimizer.rho=0.8")
    make = instantiate(config.optimizer)
    made = make(groups_of(network_with(), make))
    assert isinstance(made, torch.optim.Adadelta)
    group = made.param_groups[0]
    assert (group["lr"], group["rho"], group["eps"]) == (0.5, 0.8, 1e-6)
    config = tiny.compose(
        *("optimizer=adamw", "optimizer.lr=0.2", "optimizer.betas=[0.7,0.8]"),
        *("scheduler=warmup_cosine", "scheduler.warmup=0.5", "scheduler.final=0.25"),
    )
    make = instantiate(config.optimizer)
    made = make(groups_of(network_with(), make))
    assert isinstance(made, torch.optim.AdamW)
    assert tuple(made.param_groups[0]["betas"]) == (0.7, 0.8)
    entry = schedule(instantiate(config.scheduler), made, 8)
    assert entry["interval"] == "step"
    rates = []
    for _ in range(9):
        rates.append(made.param_groups[1]["lr"])
        made.step()
        entry["scheduler"].step()
    expected = [0.2 * warmup_cosine_share(step, 8, 0.5, 0.25) for step in range(9)]
    assert rates == pytest.approx(expected)


def test_schedules_of_torch_can_be_used():
    made = adamw(lr=0.1)(groups_of(network_with(), adamw(lr=0.1)))
    step = schedule(partial(torch.optim.lr_scheduler.StepLR, step_size=3), made, 8)
    assert step["interval"] == "step"
    plateau = schedule(torch.optim.lr_scheduler.ReduceLROnPlateau, made, 8)
    assert (plateau["interval"], plateau["monitor"]) == ("epoch", "val/chroma_rmse")
    once = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1)
    assert schedule(once, made, 8)["scheduler"].total_steps == 8


def test_parameters_of_an_objective_are_trained():
    objective = MeanSquaredError()
    objective.scale = torch.nn.Parameter(torch.ones(()))
    groups = groups_of(network_with(), adamw(lr=0.1), objective=objective)
    assert any(weight is objective.scale for group in groups for weight in group["params"])


def test_an_optimizer_keeps_its_own_learning_rate_if_none_is_configured(resnet):
    groups = groups_of(resnet, torch.optim.Adagrad, EncoderTraining(lr_scale=0.5))
    assert [group["lr"] for group in groups] == [0.01, 0.01, 0.005, 0.005]
    assert {group["weight_decay"] for group in groups} == {0}


@pytest.fixture(scope="module")
def resnet():
    return network_with("resnet18")


def test_an_encoder_learns_layer_by_layer(resnet):
    encoder = EncoderTraining(lr_scale=0.5, layer_decay=0.8)
    groups = groups_of(resnet, adamw(lr=0.01, weight_decay=0.3), encoder)
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


def test_settings_that_have_changed_are_taken_over_layer_by_layer(resnet):
    before = EncoderTraining(lr_scale=0.5, layer_decay=0.7)
    after = EncoderTraining(lr_scale=0.25, layer_decay=0.9)
    optimizer = adamw(lr=0.01)(groups_of(resnet, adamw(lr=0.01), before))
    remember_settings(optimizer)
    scheduler = schedule(cosine(), optimizer, 10)["scheduler"]
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    share = optimizer.param_groups[0]["lr"] / 0.01
    asked = groups_of(resnet, adamw(lr=0.02), after)
    reconfigure(optimizer, scheduler, asked)
    for group, wanted in zip(optimizer.param_groups, asked, strict=True):
        assert group["lr"] == pytest.approx(wanted["lr"] * share)
    optimizer.step()
    scheduler.step()
    share = warmup_cosine_share(5, 10, 0.05, 0.0)
    for group, wanted in zip(optimizer.param_groups, asked, strict=True):
        assert group["lr"] == pytest.approx(wanted["lr"] * share)


def test_reconfiguring_what_has_not_changed_changes_nothing(resnet):
    make = adamw(lr=0.01, weight_decay=0.3)
    optimizer = make(groups_of(resnet, make))
    remember_settings(optimizer)
    # A schedule that moves more than the learning rate.
    once = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=10)
    scheduler = schedule(once, optimizer, 10)["scheduler"]
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    before = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    reconfigure(optimizer, scheduler, groups_of(resnet, make))
    assert before == [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]


class GradientNorms(Callback):
    """Notes the norm of all gradients that an optimizer step has used."""

    def __init__(self):
        self.norms = []

    def on_train_start(self, trainer, module):
        def note(optimizer, *_):
            weights = [w for group in optimizer.param_groups for w in group["params"]]
            self.norms.append(torch.nn.utils.get_total_norm([w.grad for w in weights]).item())

        trainer.optimizers[0].register_step_post_hook(note)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_of_a_fused_optimizer_are_clipped(data, tmp_path, precision):
    overrides = [*data.on, "optimizer=adamw", "trainer.max_steps=1"]
    overrides += [f"trainer.precision={precision}", "trainer.gradient_clip_val=0.001"]
    norms = GradientNorms()
    parts = tiny.parts(tmp_path, *overrides, callbacks=[norms])
    parts.trainer.fit(parts.module, parts.data)
    assert norms.norms == pytest.approx([0.001], rel=1e-3)
