"""The training step in its forms: plain, recomputing, by Winograd's convolutions, compiled."""

import pytest
import torch
from irodori.network.recompute import _active
from lightning import seed_everything

import tiny
from irodori.training.building import build
from irodori.training.hardware import choose

FORMS = {
    "plain": ["trainer.convolution=direct", "trainer.recompute=false"],
    "as it is": [],
    "compiled": ["compile=default"],
}


def module_of(data, form):
    config = tiny.config(*data.on, "network.width=0.25", "seed=5", *FORMS[form])
    seed_everything(config.seed, verbose=False)
    return build(config, choose(config.trainer))[1].train()


def gradients(module):
    torch.manual_seed(1)
    batch = {
        "luminance": torch.rand(3, 1, 64, 64).to(next(module.parameters())),
        "chroma": torch.rand(3, 2, 64, 64),
        "labels": torch.tensor([0, 1, -1]),
        "valid": torch.tensor([True, True, False]),
    }
    loss = module.training_step(batch, 0)["loss"]
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in module.named_parameters()}


def test_forms_differ_by_rounding(data, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call, mode: compiled.append(mode) or call)
    modules = {form: module_of(data, form).double() for form in FORMS}
    assert compiled == ["default"]
    recomputes = {}
    for form, module in modules.items():
        predict = module.predict
        recomputes[form] = []
        module.predict = lambda values, seen=recomputes[form], predict=predict: (
            seen.append(_active.get() is not None) or predict(values)
        )
    assert [sum(getattr(m, "winograd", False) for m in x.modules()) for x in modules.values()] == [
        0,
        3,
        0,
    ]
    (loss, expected), *others = (gradients(module) for module in modules.values())
    assert recomputes == {"plain": [False], "as it is": [True], "compiled": [False]}
    for other_loss, found in others:
        torch.testing.assert_close(other_loss, loss, rtol=1e-6, atol=0)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.long
def test_it_compiles(data):
    modules = [module_of(data, form).double() for form in ("plain", "compiled")]
    (loss, expected), (other_loss, found) = (gradients(module) for module in modules)
    torch.testing.assert_close(other_loss, loss, rtol=1e-6, atol=0)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)
