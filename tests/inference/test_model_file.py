import json
import os

import pytest
import torch
from safetensors.torch import save_file

from irodori.model import load_model
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import KEY, is_safetensors, write_safetensors


def written(model, path, half=False):
    with path.open("wb") as file:
        write_safetensors(file, model.network, model.describe(), half)
    return path


def refusal(path):
    with pytest.raises(IrodoriError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: not a checkpoint of irodori")
    return message


@pytest.mark.parametrize("arguments", [{}, {"global_features": False}])
def test_a_file_gives_the_model_again_whatever_its_name(tmp_path, make_model, arguments):
    model = make_model(**arguments)
    path = written(model, tmp_path / "a.ckpt")
    assert is_safetensors(path)
    again = load_model(path)
    assert again.describe() == model.describe()
    assert not again.network.training
    stored = again.network.state_dict()
    for name, value in model.network.state_dict().items():
        assert stored[name].dtype == value.dtype
        assert torch.equal(stored[name], value), name


def test_half_precision_is_half_the_size_and_becomes_fp32_again(tmp_path, model):
    full, half = written(model, tmp_path / "a"), written(model, tmp_path / "b", half=True)
    parameters = sum(weight.numel() for weight in model.network.parameters())
    assert full.stat().st_size - half.stat().st_size == pytest.approx(2 * parameters, rel=0.01)
    again = load_model(half).network
    names = dict(model.network.named_parameters())
    for name, value in again.state_dict().items():
        original = model.network.state_dict()[name]
        assert value.dtype == original.dtype
        if name in names:
            assert torch.equal(value, original.half().float())
            assert not (torch.equal(value, original) and value.numel() > 100)
        else:
            assert torch.equal(value, original)
    luminance = torch.rand(1, 1, 40, 30)
    with torch.no_grad():
        one, other = again(luminance)[0], model.network(luminance)[0]
    assert (one - other).abs().mean() < 0.004


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path, make_model):
    model = make_model()
    with torch.no_grad():
        model.network.colorization.layers[-1].bias[0] = 1e5
    with pytest.raises(ValueError, match=r"colorization.layers.6.bias has weights too large"):
        written(model, tmp_path / "a", half=True)


@pytest.mark.parametrize("left", [9, 200, 0.5, 0.99])
def test_files_cut_short_are_refused(tmp_path, model, left):
    path = written(model, tmp_path / "a.safetensors")
    os.truncate(path, left if left > 1 else int(path.stat().st_size * left))
    refusal(path)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {KEY: "no JSON"},
        {KEY: "[1, 2]"},
        {KEY: "null"},
        {KEY: "{}"},
        {KEY: "[" * 100_000},
    ],
)
def test_other_safetensors_are_refused(tmp_path, metadata):
    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors", metadata)
    refusal(tmp_path / "a.safetensors")


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**60).to_bytes(8, "little") + b'{"a": 1}')
    refusal(path)


def test_what_a_network_lacks_is_said(tmp_path, model):
    weights = dict(model.network.state_dict())
    del weights["fusion.mix.bias"]
    save_file(weights, tmp_path / "a.safetensors", {KEY: json.dumps(model.describe())})
    with pytest.raises(IrodoriError, match=r"lacks 1 tensors, such as fusion.mix.bias"):
        load_model(tmp_path / "a.safetensors")
