"""The compiled training step."""

import pytest
import torch

import tiny


def module_of(data, folder, *overrides):
    overrides = [*data.on, "network.width=0.25", "seed=5", *overrides]
    return tiny.parts(folder, *overrides).module.train()


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


def test_the_network_is_compiled_on_demand(data, tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(torch, "compile", lambda call, mode: modes.append(mode) or call)
    module_of(data, tmp_path)
    module_of(data, tmp_path, "compile=max-autotune")
    assert modes == ["max-autotune"]


@pytest.mark.long
def test_compiled_and_eager_differ_by_rounding(data, tmp_path):
    modules = [module_of(data, tmp_path, *mode).double() for mode in ([], ["compile=default"])]
    (loss, expected), (other_loss, found) = (gradients(module) for module in modules)
    torch.testing.assert_close(other_loss, loss, rtol=1e-6, atol=0)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_hints_are_learned_beside_the_rest(data, tmp_path):
    plain, hinted = (
        tiny.parts(tmp_path, *data.on, "network.width=0.25", f"network.hints={hints}")
        for hints in (False, True)
    )
    batches = [next(iter(parts.data.train_dataloader())) for parts in (plain, hinted)]
    steps = []
    for parts, batch in zip((plain, hinted), batches, strict=True):
        module = parts.module.train()
        batch = parts.data.on_before_batch_transfer(batch, 0)
        steps.append(module.training_step(parts.data.on_after_batch_transfer(batch, 0), 0))
        steps[-1]["loss"].backward()
    gradients = [dict(parts.module.named_parameters()) for parts in (plain, hinted)]
    for name, weight in gradients[0].items():
        assert torch.equal(weight.grad, gradients[1][name].grad), name
    assert steps[1]["sums"]["hinted"][0] > 0
    assert steps[0]["sums"].keys() == steps[1]["sums"].keys() - {"hinted"}
    assert gradients[1]["network.hint_spread.embedding.weight"].grad.abs().sum() > 0
