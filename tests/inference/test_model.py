import importlib
import os
import pickle
import resource
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from irodori.color import Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv
from irodori.inference.colorizer import Colorizer
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import write_safetensors


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


@pytest.mark.parametrize(("name", "line"), [("gone.ckpt", "no such"), (".", "no run folder")])
def test_no_file_is_refused(tmp_path, name, line):
    assert line in refusal(tmp_path / name)


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
    content["irodori"]["color_space"]["ranges"]["chroma_range"] = [128.0, 128.0]


def change_space(content):
    content["irodori"]["color_space"]["_target_"] = "irodori.color.lab.Cmyk"


def change_space_to_a_network(content):
    content["irodori"]["color_space"] = {**content["irodori"]["network"], "ranges": {}}


def change_network_to_a_space(content):
    content["irodori"]["network"] = {"_target_": "irodori.color.lab.Lab"}


def change_format(content):
    content["irodori"]["format"] = 2


def change_network(content):
    content["irodori"]["network"]["depth"] = 3


def change_width(content):
    content["irodori"]["network"]["width"] = 0.125


def lose_weights(content):
    content["state_dict"] = {}


def add_weights(content):
    content["state_dict"]["network.more"] = torch.zeros(2)


def lose_a_key(content):
    del content["irodori"]["classes"]


def describe_nothing(content):
    content["irodori"] = None


def name_others(content):
    content["irodori"]["network"]["backbone"]["_target_"] = "their_package.Backbone"


def name_a_hub(content):
    content["irodori"]["network"]["backbone"] = {
        "_target_": "irodori.network.timm_backbone.TimmBackbone",
        "name": "hf-hub:someone/model",
    }


def call_the_system(content):
    content["irodori"]["network"]["output"] = {"_target_": "irodori.utils.files.os.system"}


def nest(content):
    description = {}
    for _ in range(300):
        description = {"a": description}
    content["irodori"]["network"]["backbone"] = description


def claim_a_wide_network(content):
    content["irodori"]["network"]["backbone"]["width"] = 1e6


def claim_a_network_of_gigabytes(content):
    content["irodori"]["network"]["backbone"]["width"] = 4.0


def claim_many_classes(content):
    content["irodori"]["network"]["num_classes"] = 10**9


def claim_a_hundred_thousand_classes(content):
    content["irodori"]["network"]["num_classes"] = 100_000
    content["irodori"]["classes"] = ["a"] * 100_000


def claim_a_large_encoder(content):
    content["irodori"]["network"]["backbone"] = {
        "_target_": "irodori.network.timm_backbone.TimmBackbone",
        "name": "vit_giant_patch14_224",
    }


def claim_many_channels(content):
    content["irodori"]["network"]["decoder"]["width"] = 1e9


def claim_more_than_there_is(content):
    wide = torch.zeros(1).expand(10**6, 10**6)
    content["state_dict"] = dict.fromkeys(content["state_dict"], wide)


CHANGES = (
    (change_ranges, "trained with other ranges of Lab"),
    (change_space, "Cmyk"),
    (change_space_to_a_network, "not a color space"),
    (change_network_to_a_space, "not a JointNetwork"),
    (change_format, "format 2, but this version of irodori reads 3"),
    (change_network, "depth"),
    (change_width, "classification.layers.0.0.weight has the shape"),
    (lose_weights, "lacks"),
    (add_weights, "such as more"),
    (lose_a_key, "its description lacks classes"),
    (describe_nothing, "not a checkpoint of irodori"),
    (name_others, "--trust their_package"),
    (name_a_hub, "hf-hub:someone/model"),
    (call_the_system, "irodori.utils.files.os.system"),
    (nest, "backbone"),
    (claim_a_wide_network, "width is above 0 and at most 4"),
    (claim_a_network_of_gigabytes, "has the shape"),
    (claim_many_classes, "num_classes"),
    (claim_a_hundred_thousand_classes, "has the shape"),
    (claim_many_channels, "width is above 0 and at most 4"),
    (claim_more_than_there_is, "claims more weights than it holds"),
    pytest.param(claim_a_large_encoder, "tensors", marks=pytest.mark.slow),
)


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_descriptions_that_do_not_fit_are_refused_in_little_memory(
    tmp_path, change, message, make_model
):
    content = checkpoint_of(make_model())
    change(content)
    torch.save(content, tmp_path / "a.ckpt")
    before = peak()
    assert message in refusal(tmp_path / "a.ckpt")
    # Most of it is the import of timm.
    assert peak() - before < 300 << 20


def peak():
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("classes", ["sea", "hill"], "names 2 classes, but its network has 3"),
        ("color_space", None, "names 3 chroma channels, but its network has 2"),
    ],
)
def test_a_description_that_does_not_fit_its_network_is_refused(
    tmp_path, model, make_model, key, value, line
):
    content = checkpoint_of(model)
    content["irodori"][key] = value or make_model(Rgb).describe()["color_space"]
    torch.save(content, tmp_path / "a.ckpt")
    assert line in refusal(tmp_path / "a.ckpt")


def test_flipped_bits_are_found_and_named(tmp_path, model):
    path = tmp_path / "a.ckpt"
    torch.save(checkpoint_of(model), path)
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 4
    path.write_bytes(content)
    # torch itself says nothing.
    torch.load(path, weights_only=True)
    assert f"{largest.filename} in it is damaged" in refusal(path)


def test_compressed_checkpoints_are_refused(tmp_path, model):
    """Few bytes may become very many then."""
    torch.save(checkpoint_of(model), tmp_path / "a.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "a.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert "compressed" in refusal(tmp_path / "b.ckpt")


THEIRS = """
import torch
from irodori.network import Backbone, Local

class Mine(Backbone):
    local_channels = 4

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = float(torch.tensor(scale).item())
        self.layer = torch.nn.Conv2d(1, 4, 8, stride=8, padding=4)

    def local_features(self, luminance):
        return Local(self.layer(luminance) * self.scale, {})
"""


@pytest.mark.parametrize("form", ["ckpt", "safetensors"])
def test_a_backbone_of_ones_own_needs_trust(tmp_path, monkeypatch, form):
    """Also where it can't be built without numbers."""
    (tmp_path / "own_backbone.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("own_backbone").Mine(2.0)
    network = JointNetwork(0, backbone=mine, global_features=False).eval()
    model = Model(network, Lab(), (), 0.0, (0.0, 0.0))
    path = tmp_path / "a"
    if form == "ckpt":
        torch.save(checkpoint_of(model), path)
    else:
        with path.open("wb") as file:
            write_safetensors(file, network, model.describe())
    monkeypatch.delitem(sys.modules, "own_backbone")
    assert "--trust own_backbone" in refusal(path)
    assert "own_backbone" not in sys.modules
    again = load_model(path, trust=["own_backbone"])
    luminance = torch.rand(1, 1, 20, 30)
    assert again.network.backbone.scale == 2
    assert torch.equal(again.network(luminance)[0], network(luminance)[0])
    colorizer = Colorizer.load(path, precision="fp32", trust=["own_backbone"])
    assert colorizer(Image.new("L", (30, 20), 99)).size == (30, 20)
