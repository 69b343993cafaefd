"""The authors' network, written by the tests, against its graph run node by node in float64."""

from functools import partial

import numpy as np
import pytest
import torch
import typer
from graphs import MEAN, WIDTH, Colornet
from typer.testing import CliRunner
from writer import Obj, dumps

from irodori.cli.import_ import import_weights
from irodori.color import LumaAb
from irodori.model import load_model
from irodori.network.backbone import scaled_to
from irodori.torch7.colornet import read_model
from irodori.utils.errors import IrodoriError

VARIANTS = {
    "as published": {},
    "each layer a node": {"apart": True},
    "first versions of Torch": {"old": True, "apart": True},
    "copies on both paths": {"copies": True},
    "local features first": {"local_first": True},
    "with scenes": {"classes": 5},
    "another eps": {"eps": 1e-3},
    "first versions, another eps": {"old": True, "eps": 1e-3},
    "of cuDNN": {"cudnn": True},
}


def imported(path, net, mean=MEAN):
    path.write_bytes(dumps(net.content(mean), cuda=net.cudnn))
    return read_model(path)


def photo(height, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 1, 9, 11, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", VARIANTS)
def test_chrominance_is_the_graphs(tmp_path, name):
    net = Colornet(seed=3, **VARIANTS[name])
    network = imported(tmp_path / "net.t7", net).network
    luma = photo(72, 120)
    expected = net.color_photo(luma, scaled_to(luma, 224, 224))
    scenes = None
    if isinstance(expected, list):
        expected, scenes = expected
    with torch.no_grad():
        chroma, logits = network(luma)
    assert expected.std() > 0.02, "a reference without color shows nothing"
    assert (chroma - expected).abs().max() < 1e-5
    assert network.arguments["width"] == WIDTH
    assert network.backbone.input_mean == MEAN
    if scenes is None:
        assert logits is None
        assert network.arguments["num_classes"] == 0
    else:
        assert (logits.log_softmax(1) - scenes).abs().max() < 1e-5


def test_layers_without_norm_affine_or_bias_and_a_sigmoid_fusion(tmp_path):
    net = Colornet(seed=4)
    assert net.mid[1].name == "nn.SpatialBatchNormalization"
    del net.mid[1]
    for field in ("weight", "bias"):
        del net.deep[1].fields[field]
    net.deep[1].fields["affine"] = False
    del net.low[3].fields["bias"]
    net.fusion[2] = Obj("nn.Sigmoid")
    network = imported(tmp_path / "net.t7", net).network
    luma = photo(64, 64)
    with torch.no_grad():
        chroma, _ = network(luma)
    expected = net.color_photo(luma, scaled_to(luma, 224, 224))
    assert (chroma - expected).abs().max() < 1e-5


@pytest.mark.parametrize(
    "mean", [np.array([MEAN], np.float64), np.array([[[MEAN]]], np.float32), MEAN]
)
def test_the_mean_may_be_a_tensor_among_other_numbers(tmp_path, mean):
    path = tmp_path / "net.t7"
    path.write_bytes(dumps(other(mean=mean, epoch=11, name="x", done=True)))
    model = read_model(path)
    assert model.network.backbone.input_mean == pytest.approx(MEAN, abs=1e-7)
    assert isinstance(model.space, LumaAb)


def replaced(net, place, **fields):
    net.__dict__[place[0]][place[1]].fields.update(fields)


def changed_number(layer, value):
    layer.fields["weight"][0, 0] = value


WRONG = {
    "stride (2.0, 2.0)": lambda net: replaced(net, ("mid", 0), dW=2, dH=2),
    "padding (0.0, 0.0)": lambda net: replaced(net, ("mid", 0), padW=0, padH=0),
    "grouped": lambda net: replaced(net, ("mid", 0), groups=2),
    "weights (8, 9)": lambda net: replaced(net, ("mid", 0), weight=np.zeros((8, 9), np.float32)),
    "non-finite numbers": lambda net: changed_number(net.fusion[0], np.nan),
    "weights differ": lambda net: changed_number(net.low_again[0], 0.5),
    "at any width": lambda net: replaced(
        net, ("linear", 0), weight=np.zeros((2**22, 1), np.float32)
    ),
    "threshold": lambda net: replaced(net, ("mid", 2), threshold=0.1),
    "variance isn't positive": lambda net: replaced(
        net, ("mid", 1), running_var=np.full(32, -1, np.float32)
    ),
    "upsampling by 4": lambda net: replaced(net, ("color", 3), scale_factor=4),
    "joined as channels": lambda net: net.join.fields.update(dimension=3),
    "has a Linear": lambda net: net.deep.extend(net.mid[:3]),
    "has a ReLU": lambda net: net.mid.__setitem__(2, Obj("nn.Sigmoid")),
    "nn.Dropout after": lambda net: net.mid.append(Obj("nn.Dropout", p=0.5)),
    "has no weight": lambda net: net.linear[0].fields.pop("weight"),
    "without eps": lambda net: net.mid[1].fields.pop("eps"),
    "two inputs": lambda net: setattr(net, "connect", partial(one_input, net)),
}


def one_input(net, first, second):
    return Colornet.connect(net, first, first)


@pytest.mark.parametrize("reason", WRONG)
def test_another_network_is_refused_in_one_line(tmp_path, reason):
    net = Colornet(copies=True)
    WRONG[reason](net)
    with pytest.raises(IrodoriError) as caught:
        imported(tmp_path / "net.t7", net)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'net.t7'}: ")
    assert "\n" not in str(caught.value)


def other(**changes):
    return Colornet().content() | changes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: 1.5, "expected a table"),
        (lambda: {"mean": 0.4}, "found 0"),
        (lambda: other(mean=None), "identify the mean"),
        (lambda: other(mean=114.2), "not between 0 and 1"),
        (lambda: other(mean2=0.2), "identify the mean"),
        (lambda: other(again=Colornet().content()["model"]), "found 2"),
        (lambda: {"model": Obj("nn.gModule"), "mean": 0.4}, "no innode or"),
    ],
)
def test_another_table_is_refused(tmp_path, content, reason):
    path = tmp_path / "net.t7"
    path.write_bytes(dumps(content()))
    with pytest.raises(IrodoriError, match=reason):
        read_model(path)


def test_bombs_of_containers_and_loops_are_refused(tmp_path):
    bomb = Obj("nn.Identity")
    for _ in range(40):
        bomb = Obj("nn.ConcatTable", modules=[bomb, bomb])
    net = Colornet()
    net.mid.append(bomb)
    with pytest.raises(IrodoriError, match="more than 1,000 layers"):
        imported(tmp_path / "net.t7", net)
    within = Obj("nn.Sequential", modules=[])
    within.fields["modules"].append(within)
    net.mid[-1] = within
    with pytest.raises(IrodoriError, match=r"cycle|1,000 layers"):
        imported(tmp_path / "net.t7", net)
    net.mid.pop()
    content = net.content()
    last = net.graph.outnode.sources[0]
    mapindex = dict(last.sources[0].data.pairs[:3])["mapindex"]
    mapindex.pairs[0] = (1, last.data)
    (tmp_path / "loop.t7").write_bytes(dumps(content))
    with pytest.raises(IrodoriError, match=r"cycle|1,000 layers"):
        read_model(tmp_path / "loop.t7")


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(import_weights)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_writes_a_checkpoint_that_colors(tmp_path, command):
    net = Colornet(seed=3, classes=5)
    source, output = tmp_path / "net.t7", tmp_path / "deep" / "net.ckpt"
    source.write_bytes(dumps(net.content()))
    done = command(source, "--output", output)
    assert done.exit_code == 0, done.output
    assert "5 classes" in done.output
    assert "CC BY-NC-SA 4.0" in done.output
    assert f"input mean {MEAN:g}" in done.output
    model = load_model(output)
    assert f"{sum(w.numel() for w in model.network.parameters()):,} parameters" in done.output
    assert len(model.classes) == 5
    luminance = photo(64, 80)
    chroma, logits = model.network(luminance)
    assert logits.shape == (2, 5)
    again, _ = read_model(source).network(luminance)
    assert torch.equal(chroma, again)


def test_an_existing_checkpoint_is_kept(tmp_path, command):
    source, output = tmp_path / "net.t7", tmp_path / "net.ckpt"
    source.write_bytes(dumps(Colornet().content()))
    output.write_bytes(b"mine")
    refused = command(source, "--output", output)
    assert refused.exit_code == 1
    assert output.read_bytes() == b"mine"
    assert "already exists" in refused.stderr
    assert command(source, "--output", output, "--overwrite").exit_code == 0
    load_model(output)
    source.write_bytes(dumps({"mean": 0.4}))
    before = output.read_bytes()
    failed = command(source, "--output", output, "--overwrite")
    assert failed.exit_code == 1
    assert failed.stderr.count("\n") == 1
    assert output.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.ckpt", "net.t7"]
    missing = command(tmp_path / "none.t7", "--output", output, "--overwrite")
    assert "none.t7" in missing.stderr
    assert missing.stderr.count("\n") == 1


def test_double_weights_are_rounded_and_too_large_ones_refused(tmp_path):
    net = Colornet(seed=9)
    weight = net.mid[0].fields["weight"].astype(np.float64) + 1e-12
    net.mid[0].fields["weight"] = weight
    network = imported(tmp_path / "net.t7", net).network
    assert np.array_equal(network.backbone.mid[0][0].weight.detach(), weight.astype(np.float32))
    weight[0, 0] = 1e300
    with pytest.raises(IrodoriError, match="too large"):
        imported(tmp_path / "net.t7", net)
