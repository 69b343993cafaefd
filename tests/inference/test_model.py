import importlib
import json
import os
import pickle
import resource
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from irodori.color import Lab, LumaAb, Rgb
from irodori.inference.colorizer import Colorizer
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import KEY, write_safetensors
from networks import checkpoint_of


def refusal(path):
    with pytest.raises(IrodoriError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 300
    return message


def as_checkpoint(model, path):
    torch.save(checkpoint_of(model), path)
    return path


def as_safetensors(model, path, half=False):
    with path.open("wb") as file:
        write_safetensors(file, model.network, model.describe(), half)
    return path


BOTH = pytest.mark.parametrize("save", [as_checkpoint, as_safetensors])


@BOTH
@pytest.mark.parametrize(
    ("made_by", "arguments"),
    [(Lab, {}), (Rgb, {"global_features": False}), (LumaAb, {"fusion": "sigmoid"})],
)
def test_a_file_gives_the_model_again_whatever_its_name(
    tmp_path, made_by, arguments, save, make_model
):
    model = make_model(made_by, **arguments)
    again = load_model(str(save(model, tmp_path / "a.ckpt")))
    assert again.describe() == model.describe()
    assert (again.classes, again.alpha) == (("sea", "hill", "town"), 0.25)
    assert type(again.space) is type(model.space)
    assert not again.network.training
    stored = again.network.state_dict()
    for key, value in model.network.state_dict().items():
        assert stored[key].dtype == value.dtype
        assert torch.equal(stored[key], value), key
    luminance = torch.rand(1, 1, 20, 30)
    # Where the weights lie in memory decides how sums are rounded.
    torch.testing.assert_close(again.network(luminance)[0], model.network(luminance)[0])


@pytest.mark.parametrize(("name", "line"), [("gone.ckpt", "no such"), (".", "not a run folder")])
def test_no_file_is_refused(tmp_path, name, line):
    assert line in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n" * 50, bytes(1000), b"PK\x03\x04" + bytes(99)]
)
def test_garbage_is_refused(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    assert "not a checkpoint of irodori" in refusal(tmp_path / "a.ckpt")


@BOTH
@pytest.mark.parametrize("left", [9, 200, 0.5, 0.99])
def test_files_cut_short_are_refused(tmp_path, model, save, left):
    path = save(model, tmp_path / "a")
    os.truncate(path, left if left > 1 else int(path.stat().st_size * left))
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
    ("irodori.network.num_classes", 100_000, "has 3 classes, but its network has 100000"),
    ("irodori.network.decoder.width", 1e9, "width is above 0 and at most 4"),
    ("state_dict/network.fusion.mix.bias", torch.zeros(1).expand(10**6, 10**6), "claims more"),
    ("irodori.classes", ["sea", "hill"], "has 2 classes, but its network has 3"),
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
    assert "has 3 chroma channels, but its network has 2" in refusal(tmp_path / "a.ckpt")


def peak():
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_flipped_bits_are_found_and_named(tmp_path, model):
    path = as_checkpoint(model, tmp_path / "a.ckpt")
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
    with (
        zipfile.ZipFile(as_checkpoint(model, tmp_path / "a.ckpt")) as plain,
        zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert "compressed" in refusal(tmp_path / "b.ckpt")


def test_half_precision_is_half_the_size_and_becomes_fp32_again(tmp_path, model):
    full, half = (
        as_safetensors(model, tmp_path / "a"),
        as_safetensors(model, tmp_path / "b", half=True),
    )
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
        as_safetensors(model, tmp_path / "a", half=True)


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
    assert "not a checkpoint of irodori" in refusal(tmp_path / "a.safetensors")


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**60).to_bytes(8, "little") + b'{"a": 1}')
    assert "not a checkpoint of irodori" in refusal(path)


def test_what_a_network_lacks_is_said(tmp_path, model):
    weights = dict(model.network.state_dict())
    del weights["fusion.mix.bias"]
    save_file(weights, tmp_path / "a.safetensors", {KEY: json.dumps(model.describe())})
    assert "lacks 1 tensors, such as fusion.mix.bias" in refusal(tmp_path / "a.safetensors")


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


@BOTH
def test_a_backbone_of_ones_own_needs_trust(tmp_path, monkeypatch, save):
    """Also where it can't be built without numbers."""
    (tmp_path / "own_backbone.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("own_backbone").Mine(2.0)
    network = JointNetwork(0, backbone=mine, global_features=False).eval()
    model = Model(network, Lab(), (), 0.0, (0.0, 0.0))
    path = save(model, tmp_path / "a")
    monkeypatch.delitem(sys.modules, "own_backbone")
    assert "--trust own_backbone" in refusal(path)
    assert "own_backbone" not in sys.modules
    again = load_model(path, trust=["own_backbone"])
    luminance = torch.rand(1, 1, 20, 30)
    assert again.network.backbone.scale == 2
    assert torch.equal(again.network(luminance)[0], network(luminance)[0])
    colorizer = Colorizer.load(path, precision="fp32", trust=["own_backbone"])
    assert colorizer(Image.new("L", (30, 20), 99)).size == (30, 20)
