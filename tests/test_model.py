import os
import pickle
from pathlib import Path

import pytest
import torch

from irodori.color import Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv
from irodori.errors import IrodoriError
from irodori.model import load_model


def checkpoint_of(model):
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    # What else a LightningModule may hold.
    weights["val_rmse.sums"] = torch.zeros(4)
    return {"irodori": model.describe(), "state_dict": weights, "epoch": 3}


def refusal(path):
    with pytest.raises(IrodoriError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 300
    return message


@pytest.mark.parametrize("made_by", [Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv])
@pytest.mark.parametrize("arguments", [{}, {"global_features": False, "fusion": "sigmoid"}])
def test_a_checkpoint_gives_the_model_again(tmp_path, made_by, arguments, make_model):
    model = make_model(made_by, **arguments)
    torch.save(checkpoint_of(model), tmp_path / "a.ckpt")
    again = load_model(str(tmp_path / "a.ckpt"))
    assert again.describe() == model.describe()
    assert (again.classes, again.alpha) == (("sea", "hill", "town"), 0.25)
    assert type(again.space) is type(model.space)
    assert not again.network.training
    for key, value in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], value)
    luminance = torch.rand(1, 1, 20, 30)
    assert torch.equal(again.network(luminance)[0], model.network(luminance)[0])


@pytest.mark.parametrize("name", ["gone.ckpt", "."])
def test_no_file_is_refused(tmp_path, name):
    assert "no such checkpoint" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n" * 50, bytes(1000), b"PK\x03\x04" + bytes(99)]
)
def test_garbage_is_refused(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    assert "not a checkpoint of irodori" in refusal(tmp_path / "a.ckpt")


def test_a_checkpoint_cut_short_is_refused(tmp_path, model):
    path = tmp_path / "a.ckpt"
    torch.save(checkpoint_of(model), path)
    os.truncate(path, path.stat().st_size // 2)
    assert "not a checkpoint of irodori" in refusal(path)


@pytest.mark.parametrize(
    "content", [{"state_dict": {}, "epoch": 1}, {"irodori": {}}, [1, 2], torch.zeros(3)]
)
def test_foreign_checkpoints_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    assert "not a checkpoint of irodori" in refusal(tmp_path / "a.ckpt")


class Malicious:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))]
)
def test_a_checkpoint_runs_no_code(tmp_path, model, save):
    touched = tmp_path / "touched"
    save({**checkpoint_of(model), "more": Malicious(touched)}, tmp_path / "a.ckpt")
    assert "not a checkpoint of irodori" in refusal(tmp_path / "a.ckpt")
    assert not touched.exists()


def change_ranges(content):
    content["irodori"]["color_space"]["chroma_range"] = [128.0, 128.0]


def change_space(content):
    content["irodori"]["color_space"]["class"]["_target_"] = "irodori.color.cmyk.Cmyk"


def change_format(content):
    content["irodori"]["format"] = 3


def change_network(content):
    content["irodori"]["network"]["depth"] = 3


def change_width(content):
    content["irodori"]["network"]["width"] = 0.125


def lose_weights(content):
    content["state_dict"] = {}


def lose_a_key(content):
    del content["irodori"]["classes"]


def describe_nothing(content):
    content["irodori"] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_ranges, "trained with other ranges of lab"),
        (change_space, "unknown color space 'cmyk'"),
        (change_format, "format 3, but this version of irodori reads 2"),
        (change_network, "depth"),
        (change_width, "size mismatch"),
        (lose_weights, "Missing key"),
        (lose_a_key, "its description lacks classes"),
        (describe_nothing, "not a checkpoint of irodori"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path, change, message, make_model):
    content = checkpoint_of(make_model())
    change(content)
    torch.save(content, tmp_path / "a.ckpt")
    assert message in refusal(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("classes", ["sea", "hill"], "names 2 classes, and its network has 3"),
        ("color_space", None, "names 3 chroma channels, and its network has 2"),
    ],
)
def test_a_description_that_does_not_fit_its_network_is_refused(tmp_path, model, key, value, line):
    described = checkpoint_of(model)
    rgb = {"class": Rgb().describe(), **Rgb().ranges()}
    described["irodori"][key] = rgb if value is None else value
    torch.save(described, tmp_path / "a.ckpt")
    assert line in refusal(tmp_path / "a.ckpt")
