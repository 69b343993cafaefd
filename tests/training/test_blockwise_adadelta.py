"""`BlockwiseAdadelta` against torch's own Adadelta."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from irodori.training import blockwise_adadelta
from irodori.training.blockwise_adadelta import BlockwiseAdadelta


def network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.Conv2d(7, 1, 1), nn.Linear(9, 5)
    )
    return layers.to(memory_format=torch.channels_last).double()


def stepped(optimizer, layers, steps, *, layout=torch.preserve_format):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for weight in layers.parameters():
            gradient = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.grad = torch.empty_like(weight, memory_format=layout).copy_(gradient)
        optimizer.step()
    return layers


@pytest.mark.parametrize("layout", [torch.preserve_format, torch.contiguous_format])
@settings(max_examples=20, deadline=None)
@given(
    rho=st.floats(0, 1),
    eps=st.floats(1e-9, 1),
    decay=st.sampled_from([0.0, 0.1]),
    lr=st.floats(0, 2),
    block=st.integers(1, 200),
)
def test_a_step_is_that_of_torch(layout, rho, eps, decay, lr, block):
    plain = network()
    ours = copy.deepcopy(plain)
    arguments = {"rho": rho, "eps": eps, "weight_decay": decay, "lr": lr}
    optimizers = [
        kind(layers.parameters(), **arguments)
        for kind, layers in ((torch.optim.Adadelta, plain), (BlockwiseAdadelta, ours))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise_adadelta, "BLOCK", block)
        for optimizer, layers in zip(optimizers, (plain, ours), strict=True):
            stepped(optimizer, layers, 3, layout=layout)
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    torch.testing.assert_close(states[1], states[0], rtol=1e-12, atol=1e-12)


def test_it_goes_on_from_the_state_of_torch_and_back():
    plain, ours = network(), network()
    first = torch.optim.Adadelta(plain.parameters())
    second = BlockwiseAdadelta(ours.parameters())
    stepped(first, plain, 2)
    ours.load_state_dict(plain.state_dict())
    # Loaded tensors would be shared.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    stepped(first, plain, 2)
    stepped(second, ours, 2)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-12, atol=1e-12)
    first.load_state_dict(second.state_dict())


def test_a_state_of_another_memory_format_is_put_in_order():
    plain = network()
    ours = copy.deepcopy(plain)
    first = torch.optim.Adadelta(plain.parameters())
    stepped(first, plain, 2)
    state = copy.deepcopy(first.state_dict())
    for one in state["state"].values():
        one |= {name: value.contiguous() for name, value in one.items()}
    ours.load_state_dict(plain.state_dict())
    second = BlockwiseAdadelta(ours.parameters())
    second.load_state_dict(state)
    stepped(first, plain, 2)
    stepped(second, ours, 2)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(second.state_dict()["state"], first.state_dict()["state"])


def test_weights_without_a_gradient_stay():
    layers = network()
    before = copy.deepcopy(layers)
    optimizer = BlockwiseAdadelta(layers.parameters(), lr=1.0, weight_decay=0.1)
    layers[0].weight.grad = torch.ones_like(layers[0].weight)
    optimizer.step()
    assert not torch.equal(layers[0].weight, before[0].weight)
    assert torch.equal(layers[3].weight, before[3].weight)
    assert len(optimizer.state) == 1


def test_a_closure_is_called():
    layers = network()
    optimizer = BlockwiseAdadelta(layers.parameters())
    assert optimizer.step(lambda: 3.0) == 3.0
