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

from irodori.color import Lab, LumaAb, Rgb
from irodori.inference.colorizer import Colorizer
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import write_safetensors
from networks import checkpoint_of


def refusal(path):
    with pytest.raises(IrodoriError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 300
    return message


@pytest.mark.parametrize(
    ("made_by", "arguments"),
    [(Lab, {}), (Rgb, {"global_features": False}), (LumaAb, {"fusion": "sigmoid"})],
)
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


def nested(depth):
    description = {}
    for _ in range(depth):
        description = {"a": description}
    return description


TIMM = {"_target_": "irodori.network.timm_backbone.TimmBackbone"}
LAB = "irodori.color.lab.Lab"
PAPER = {"_target_": "irodori.network.paper_backbone.PaperBackbone", "width": 0.05}
CHANGES = (
    ("irodori.color_space.ranges.chroma_range", [128.0, 128.0], "trained with other ranges of Lab"),
    ("irodori.color_space._target_", "irodori.color.lab.Cmyk", "Cmyk"),
    ("irodori.color_space", {**PAPER, "ranges": {}}, "not a color space"),
    ("irodori.network", {"_target_": LAB}, "not a JointNetwork"),
    ("irodori.format", 2, "format 2, but this version of irodori reads 3"),
    ("irodori.network.depth", 3, "depth"),
    ("irodori.network.width", 0.125, "classification.layers.0.0.weight has the shape"),
    ("state_dict", {}, "lacks"),
    ("state_dict/network.more", torch.zeros(2), "such as more"),
    ("irodori.classes", None, "its description lacks classes"),
    ("irodori", 7, "not a checkpoint of irodori"),
    ("irodori.network.backbone._target_", "their_package.Backbone", "--trust their_package"),
    ("irodori.network.backbone", {**TIMM, "name": "hf-hub:some/model"}, "hf-hub:some/model"),
    ("irodori.network.output", {"_target_": "irodori.utils.files.os.system"}, "files.os.system"),
    ("irodori.network.backbone", nested(300), "backbone"),
    # What a file claims is bounded before memory is taken.
    ("irodori.network.backbone.width", 1e6, "width is above 0 and at most 4"),
    ("irodori.network.backbone.width", 4.0, "has the shape"),
    ("irodori.network.num_classes", 10**9, "num_classes"),
    ("irodori.network.num_classes", 100_000, "names 3 classes, but its network has 100000"),
    ("irodori.network.decoder.width", 1e9, "width is above 0 and at most 4"),
    ("state_dict/network.fusion.mix.bias", torch.zeros(1).expand(10**6, 10**6), "claims more"),
    ("irodori.classes", ["sea", "hill"], "names 2 classes, but its network has 3"),
    pytest.param(
        *("irodori.network.backbone", {**TIMM, "name": "vit_giant_patch14_224"}, "tensors"),
        marks=pytest.mark.slow,
    ),
)


@pytest.mark.parametrize(("path", "value", "message"), CHANGES)
def test_descriptions_that_do_not_fit_are_refused_in_little_memory(
    tmp_path, path, value, message, make_model
):
    content = node = checkpoint_of(make_model())
    *parents, key = path.split("/") if "/" in path else path.split(".")
    for parent in parents:
        node = node[parent]
    node[key] = value
    if value is None:
        del node[key]
    torch.save(content, tmp_path / "a.ckpt")
    before = peak()
    assert message in refusal(tmp_path / "a.ckpt")
    # Most of it is the import of timm.
    assert peak() - before < 300 << 20


def test_a_space_of_other_channels_is_refused(tmp_path, model, make_model):
    content = checkpoint_of(model)
    content["irodori"]["color_space"] = make_model(Rgb).describe()["color_space"]
    torch.save(content, tmp_path / "a.ckpt")
    assert "names 3 chroma channels, but its network has 2" in refusal(tmp_path / "a.ckpt")


def peak():
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
