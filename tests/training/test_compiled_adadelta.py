"""`optimizer.compile` against torch's own Adadelta."""

import copy

import pytest
import torch
from torch import nn

import tiny
from irodori.network import JointNetwork
from irodori.training.compiled_adadelta import CompiledAdadelta
from irodori.training.optimizers import make_optimizer


def stepped(kind, layers, steps=3):
    optimizer = kind(layers.parameters(), lr=0.9, weight_decay=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for weight in layers.parameters():
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return optimizer


def test_the_step_is_what_is_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call: compiled.append(call) or call)
    torch.manual_seed(0)
    plain = nn.Linear(5, 3)
    ours = copy.deepcopy(plain)
    states = [
        stepped(kind, layers).state_dict()["state"]
        for kind, layers in ((torch.optim.Adadelta, plain), (CompiledAdadelta, ours))
    ]
    assert [call.__name__ for call in compiled] == ["step"]
    assert torch.equal(ours.weight, plain.weight)
    torch.testing.assert_close(states[1], states[0], rtol=0, atol=0)


def test_the_closure_is_not_compiled_and_has_gradients():
    layer = nn.Linear(2, 1)
    optimizer = CompiledAdadelta(layer.parameters())
    optimizer._compiled = lambda: None

    def closure():
        assert torch.is_grad_enabled()
        assert not torch.compiler.is_compiling()
        return 7

    assert optimizer.step(closure) == 7


@pytest.mark.parametrize("chosen", [False, True])
def test_the_config_chooses_it(chosen):
    config = tiny.config(
        *tiny.on("a.tar", "b.tar"), "optimizer=adadelta", f"optimizer.compile={chosen}"
    )
    network = JointNetwork(2, width=0.05)
    made = make_optimizer(network, config.optimizer, config.backbone, 1)["optimizer"]
    assert isinstance(made, CompiledAdadelta) == chosen


@pytest.mark.long
def test_it_compiles_and_is_that_of_torch():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.Linear(9, 5))
    ours = copy.deepcopy(plain)
    states = [
        stepped(kind, layers).state_dict()["state"]
        for kind, layers in ((torch.optim.Adadelta, plain), (CompiledAdadelta, ours))
    ]
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(other, one)
    torch.testing.assert_close(states[1], states[0])
