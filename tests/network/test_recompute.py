"""Features that are computed again: same gradients, less memory."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from irodori.network import JointNetwork
from irodori.network.blocks import conv_block
from irodori.network.recompute import Recomputing, recomputed, recomputing

BACKBONES = [{}, {"decoder": "skips"}, {"global_features": False}, {"fusion": "sigmoid"}]


def gradients(network, luminance, *, again, backward=1):
    network.zero_grad()
    with recomputing() if again else torch.enable_grad():
        chroma, logits = network(luminance)
    loss = chroma.square().sum() + (0 if logits is None else logits.square().sum())
    for left in reversed(range(backward)):
        loss.backward(retain_graph=left > 0)
    return {name: weight.grad for name, weight in network.named_parameters()}


@pytest.mark.parametrize("settings", BACKBONES)
@pytest.mark.parametrize("backward", [1, 2])
def test_gradients_and_statistics_are_equal_to_the_last_bit(settings, backward):
    torch.manual_seed(0)
    plain = JointNetwork(3, width=0.1, **settings).train()
    other = JointNetwork(3, width=0.1, **settings).train()
    other.load_state_dict(plain.state_dict())
    luminance = torch.rand(3, 1, 48, 40)
    expected = gradients(plain, luminance, again=False, backward=backward)
    found = gradients(other, luminance, again=True, backward=backward)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (gradient is None and found[name] is None) or torch.equal(found[name], gradient), (
            name
        )
    for name, value in plain.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_under_autocast_too():
    torch.manual_seed(0)
    network = JointNetwork(3, width=0.1).train()
    luminance = torch.rand(2, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(network, luminance, again=False)
        found = gradients(network, luminance, again=True)
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name


def size_of(tensors):
    """Bytes, each memory counted once."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def held(network, luminance):
    """Bytes that the graph holds as it is."""
    kept = []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        network(luminance)
    return size_of(kept)


def held_when_recomputing(network, luminance, monkeypatch):
    """Bytes that the graph and the recipes in it hold."""
    kept = []
    keep = Recomputing.keep
    monkeypatch.setattr(
        Recomputing, "keep", lambda state, tensor: kept.append(keep(state, tensor)) or kept[-1]
    )
    with recomputing():
        network(luminance)
    tensors = []
    while kept:
        one = kept.pop()
        if one.recipe is None:
            tensors.append(one.tensor)
        else:
            assert one.tensor is None
            assert one.recipe.result is None
            kept.append(one.recipe.source)
    return size_of(tensors)


def test_the_graph_holds_about_half(monkeypatch):
    network = nn.Sequential(*(conv_block(8, 8) for _ in range(6))).train()
    features = torch.rand(2, 8, 64, 64)
    one = features.numel() * 4
    plain = held(network, features)
    # The input, and of each block what the convolution and what the activation gives.
    assert 13 * one <= plain < 13.5 * one
    ours = held_when_recomputing(network, features, monkeypatch)
    # The input, and of each block what the convolution gives.
    assert 7 * one <= ours < 7.5 * one


def test_a_convolution_of_few_channels_is_computed_again_too(monkeypatch):
    network = nn.Sequential(conv_block(1, 8), conv_block(8, 8)).train()
    luminance = torch.rand(2, 1, 64, 64)
    one = 8 * luminance.numel() * 4
    assert 4 * one < held(network, luminance) < 4.5 * one
    # The input, and what the second convolution gives.
    assert one < held_when_recomputing(network, luminance, monkeypatch) < 1.5 * one


def test_a_result_that_is_changed_afterwards_is_kept_itself():
    source = torch.rand(4, 4, requires_grad=True)
    with recomputing():
        result = recomputed(lambda x: x * 2, lambda x: x * 2, source)
        result.add_(1)
        (result * result).sum().backward()
    torch.testing.assert_close(source.grad, 2 * 2 * (2 * source.detach() + 1))


def test_memory_of_a_result_that_is_gone_may_be_another_tensors():
    source = torch.rand(64, 64, requires_grad=True)
    places, total, others = set(), 0, []
    with recomputing():
        for factor in range(1, 20):
            # Not used: its memory is free.
            places.add(recomputed(torch.exp, torch.exp, source).data_ptr())
            others.append((source.detach() * factor).requires_grad_())
            total = total + (others[-1] * others[-1]).sum()
    assert places & {other.data_ptr() for other in others}
    total.backward()
    for other in others:
        assert torch.equal(other.grad, 2 * other.detach())


def test_without_the_context_the_step_is_taken_once():
    calls = []
    source = torch.rand(3, requires_grad=True)
    result = recomputed(lambda x: calls.append("first") or x.exp(), calls.append, source)
    result.sum().backward()
    assert calls == ["first"]
    with recomputing(), torch.no_grad():
        recomputed(lambda x: calls.append("first") or x.exp(), calls.append, source)
    assert calls == ["first", "first"]


def rectified(source, places):
    """A step that ends with a ReLU; notes where its result and its gradient lie."""

    def first(source):
        doubled = source * 2
        doubled.register_hook(lambda gradient: places.append(gradient.data_ptr()))
        return doubled

    def again(source):
        doubled = source * 2
        places.append(doubled.data_ptr())
        return doubled

    return recomputed(first, again, source, rectify=True)


def test_the_gradient_of_a_relu_takes_the_place_of_its_result():
    source = torch.randn(4, 5, requires_grad=True)
    places = []
    with recomputing():
        result = rectified(source, places)
        (result * result).sum().backward()
    assert places == [places[0]] * 2
    torch.testing.assert_close(source.grad, 8 * source.detach().clamp_min(0))


def test_a_result_that_others_may_ask_for_stays():
    source = torch.randn(4, 5, requires_grad=True)
    places = []
    with recomputing():
        result = rectified(source, places)
        squared, cubed = result.square().sum(), (result * result * result).sum()
    squared.backward(retain_graph=True)
    expected = 8 * source.detach().clamp_min(0)
    torch.testing.assert_close(source.grad, expected)
    cubed.backward()
    positive = source.detach().clamp_min(0)
    torch.testing.assert_close(source.grad, expected + 24 * positive * positive)
    # Computed once, for the first; the gradient doesn't overwrite it.
    assert places[1] != places[0]
