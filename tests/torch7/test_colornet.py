"""The authors' network, written by the tests, against its graph run node by node in float64."""

import numpy as np
import pytest
import torch
import typer
from graphs import MEAN, WIDTH, Colornet, Layers
from typer.testing import CliRunner
from writer import Obj, dumps, function

from irodori.cli.import_ import import_weights
from irodori.color import LumaAb, rgb_to_lab, to_uint8
from irodori.model import color_pictures, load_model
from irodori.network.backbone import scaled_to
from irodori.network.joint import upsample_chroma
from irodori.torch7 import importing
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
}


def imported(path, net, mean=MEAN):
    path.write_bytes(dumps(net.content(mean)))
    return importing.read_model(path)


def photo(height, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 1, 9, 11, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [(224, 224), (72, 120)])
def test_chrominance_is_the_graphs(tmp_path, name, size):
    net = Colornet(seed=3, **VARIANTS[name])
    network = imported(tmp_path / "net.t7", net).network
    luma = photo(*size)
    expected = net.color_photo(luma, scaled_to(luma, 224, 224))
    scenes = None
    if isinstance(expected, list):
        expected, scenes = expected
    with torch.no_grad():
        chroma, logits = network(luma)
    assert expected.std() > 0.02, "a reference without colour shows nothing"
    assert (chroma - expected).abs().max() < 1e-5
    assert network.arguments["width"] == WIDTH
    assert network.backbone.input_mean == MEAN
    if scenes is None:
        assert logits is None
        assert network.arguments["num_classes"] == 0
    else:
        assert (logits.log_softmax(1) - scenes).abs().max() < 1e-5


def test_layers_without_norm_affine_or_bias(tmp_path):
    net = Colornet(seed=4)
    assert net.mid[1].name == "nn.SpatialBatchNormalization"
    del net.mid[1]
    for field in ("weight", "bias"):
        del net.deep[1].fields[field]
    net.deep[1].fields["affine"] = False
    del net.low[3].fields["bias"]
    network = imported(tmp_path / "net.t7", net).network
    luma = photo(64, 64)
    with torch.no_grad():
        chroma, _ = network(luma)
    expected = net.color_photo(luma, scaled_to(luma, 224, 224))
    assert (chroma - expected).abs().max() < 1e-5


def test_a_fusion_layer_with_a_sigmoid(tmp_path):
    net = Colornet(seed=5)
    net.fusion[2] = Obj("nn.Sigmoid")
    network = imported(tmp_path / "net.t7", net).network
    assert network.arguments["fusion"] == "sigmoid"
    luma = photo(64, 64)
    with torch.no_grad():
        chroma, _ = network(luma)
    assert (chroma - net.color_photo(luma, scaled_to(luma, 224, 224))).abs().max() < 1e-5


def test_the_style_of_another_photo(tmp_path):
    net = Colornet(seed=6)
    network = imported(tmp_path / "net.t7", net).network
    luma, style = photo(64, 64), photo(224, 224, seed=9)
    with torch.no_grad():
        chroma, _ = network(luma, style)
    assert (chroma - net.color_photo(luma, style)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "mean", [np.array([MEAN], np.float64), np.array([[[MEAN]]], np.float32), MEAN]
)
def test_the_mean_may_be_a_tensor(tmp_path, mean):
    model = imported(tmp_path / "net.t7", Colornet(), mean)
    assert model.network.backbone.input_mean == pytest.approx(MEAN, abs=1e-7)
    assert isinstance(model.space, LumaAb)


def replaced(net, place, **fields):
    net.__dict__[place[0]][place[1]].fields.update(fields)


def wide(net):
    net.linear[0].fields["weight"] = np.zeros((2**22, 1), np.float32)


def nan(net):
    net.fusion[0].fields["weight"][0, 0] = np.nan


def two_copies(net):
    net.low_again[0].fields["weight"][0, 0] += 1e-3


def swapped(net):
    net.color[3], net.color[4] = net.color[4], net.color[3]


WRONG = {
    "stride 2×2 in place of 1×1": lambda net: replaced(net, ("mid", 0), dW=2, dH=2),
    "padding 0×0 in place of 1×1": lambda net: replaced(net, ("mid", 0), padW=0, padH=0),
    "kernel 5×5 in place of 3×3": lambda net: replaced(net, ("mid", 0), kW=5, kH=5),
    "groups": lambda net: replaced(net, ("mid", 0), groups=2),
    "weights 8×9 in place of": lambda net: replaced(
        net, ("mid", 0), weight=np.zeros((8, 9), np.float32)
    ),
    "no finite number": nan,
    "not the same on both paths": two_copies,
    "is no network's": wide,
    "follows no layer": swapped,
    "threshold": lambda net: replaced(net, ("mid", 2), threshold=0.1),
    "variance isn't above 0": lambda net: replaced(
        net, ("mid", 1), running_var=np.full(32, -1, np.float32)
    ),
    "an enlargement by 4": lambda net: replaced(net, ("color", 3), scale_factor=4),
    "joined along dimension 3": lambda net: net.join.fields.update(dimension=3),
    "in the order of the paper's": lambda net: net.deep.extend(net.mid[:3]),
    "activation is sigmoid": lambda net: net.mid.__setitem__(2, Obj("nn.Sigmoid")),
    "running_mean 3 in place of 32": lambda net: replaced(
        net, ("mid", 1), running_mean=np.zeros(3, np.float32)
    ),
    "Dropout of an old kind": lambda net: net.mid.append(Obj("nn.Dropout", p=0.5)),
    "has no weight": lambda net: net.linear[0].fields.pop("weight"),
    "without eps": lambda net: net.mid[1].fields.pop("eps"),
    "of class 'nn.Tanh'": lambda net: net.mid.append(Obj("nn.Tanh")),
}


@pytest.mark.parametrize("said", WRONG)
def test_another_network_is_refused_in_one_line(tmp_path, said):
    net = Colornet(copies=True)
    WRONG[said](net)
    with pytest.raises(IrodoriError) as caught:
        imported(tmp_path / "net.t7", net)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'net.t7'}: ")
    assert "\n" not in str(caught.value)


def other(change):
    content = Colornet().content()
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: 1.5, "holds no table"),
        (lambda: {"mean": 0.4}, "0 networks"),
        (lambda: other(lambda c: c.pop("mean")), "which number is the mean"),
        (lambda: other(lambda c: c.update(mean=114.2)), "not between 0 and 1"),
        (lambda: other(lambda c: c.update(mean2=0.2)), "which number is the mean"),
        (lambda: other(lambda c: c.update(again=Colornet().content()["model"])), "2 networks"),
        (lambda: {"model": Obj("nn.gModule"), "mean": 0.4}, "no innode"),
    ],
)
def test_another_table_is_refused(tmp_path, content, said):
    path = tmp_path / "net.t7"
    path.write_bytes(dumps(content()))
    with pytest.raises(IrodoriError, match=said):
        importing.read_model(path)


def test_other_numbers_do_not_hide_the_mean(tmp_path):
    path = tmp_path / "net.t7"
    path.write_bytes(dumps(other(lambda c: c.update(epoch=11, name="x", done=True))))
    assert importing.read_model(path).network.backbone.input_mean == MEAN


def test_a_bomb_of_containers_is_refused(tmp_path):
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
    with pytest.raises(IrodoriError, match="within each other"):
        imported(tmp_path / "net.t7", net)


def test_a_graph_that_leads_back_to_itself_is_refused(tmp_path):
    net = Colornet()
    content = net.content()
    last = net.graph.outnode.sources[0]
    before = last.sources[0]
    mapindex = dict(before.data.pairs[:3])["mapindex"]
    mapindex.pairs[0] = (1, last.data)
    path = tmp_path / "net.t7"
    path.write_bytes(dumps(content))
    with pytest.raises(IrodoriError, match="leads back to itself"):
        importing.read_model(path)


def test_a_graph_with_one_input_is_refused(tmp_path):
    net = Colornet()
    paths = Colornet.connect
    net.connect = lambda first, second: paths(net, first, first)
    with pytest.raises(IrodoriError, match="begin at the same input"):
        imported(tmp_path / "net.t7", net)


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(import_weights)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_writes_a_checkpoint_that_colours(tmp_path, command):
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
    # 16 layers with both paths and fusion, 5 of colorization, 2 of classification.
    assert "23 layers" in done.output
    assert len(model.classes) == 5
    picture = (torch.rand(3, 64, 80) * 255).byte()
    (colored,), logits = color_pictures(model.network, model.space, [picture])
    assert logits.shape == (1, 5)
    luminance, _ = model.space.encode(picture[None] / 255)
    chroma, _ = importing.read_model(source).network(luminance)
    again, _ = model.network(luminance)
    assert torch.equal(chroma, again)
    expected, _ = net.color_photo(luminance, scaled_to(luminance, 224, 224))
    # ab = 200·output - 100, on the photo's own luma.
    full = upsample_chroma(expected, 64, 80)
    assert (color_ab(model.space, luminance, full) - (200 * full - 100)).abs().max() < 0.01
    shown = to_uint8(model.space.decode(luminance, full.float()))[0]
    assert (shown.int() - colored.int()).abs().max() <= 1


def color_ab(space, luminance, chroma):
    """a* and b* of the decoded colours, by this project's own Lab."""
    rgb = space.decode(luminance.double(), chroma.double())
    back = rgb_to_lab(rgb)[:, 1:]
    inside = ((rgb >= 0) & (rgb <= 1)).all(1, keepdim=True)
    assert inside.double().mean() > 0.2
    return torch.where(inside, back, 200 * chroma - 100)


def test_an_existing_checkpoint_is_kept(tmp_path, command):
    source, output = tmp_path / "net.t7", tmp_path / "net.ckpt"
    source.write_bytes(dumps(Colornet().content()))
    output.write_bytes(b"mine")
    refused = command(source, "--output", output)
    assert refused.exit_code == 1
    assert output.read_bytes() == b"mine"
    assert "exists already" in refused.stderr
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
    assert "none.t7: no such file" in missing.stderr


def test_a_cudnn_network(tmp_path):
    net = Colornet(seed=7)
    renamed = {
        "nn.SpatialConvolution": "cudnn.SpatialConvolution",
        "nn.SpatialBatchNormalization": "cudnn.SpatialBatchNormalization",
        "nn.ReLU": "cudnn.ReLU",
        "nn.Sigmoid": "cudnn.Sigmoid",
    }
    plain = imported(tmp_path / "net.t7", net).network.state_dict()
    for part in (net.low, net.mid, net.deep, net.fusion, net.color):
        for layer in part:
            layer.name = renamed.get(layer.name, layer.name)
            if layer.name == "cudnn.SpatialConvolution":
                layer.fields["groups"] = 1
    path = tmp_path / "cuda.t7"
    path.write_bytes(dumps(net.content(), cuda=True))
    for name, weight in importing.read_model(path).network.state_dict().items():
        assert torch.equal(weight, plain[name]), name


def test_functions_that_sharing_leaves_are_passed_over(tmp_path):
    """Torch's Module:share puts one into each layer; it says nothing about the layer."""
    net = Colornet(seed=8)
    net.low[0].fields["accUpdateGradParameters"] = function()
    imported(tmp_path / "net.t7", net)
    net.low[0].fields["updateOutput"] = function()
    with pytest.raises(IrodoriError, match="holds a function"):
        imported(tmp_path / "net.t7", net)


def test_double_weights_are_rounded_and_too_large_ones_refused(tmp_path):
    net = Colornet(seed=9)
    weight = net.mid[0].fields["weight"].astype(np.float64) + 1e-12
    net.mid[0].fields["weight"] = weight
    network = imported(tmp_path / "net.t7", net).network
    assert np.array_equal(network.backbone.mid[0][0].weight.detach(), weight.astype(np.float32))
    weight[0, 0] = 1e300
    with pytest.raises(IrodoriError, match="too large"):
        imported(tmp_path / "net.t7", net)


def test_layers_makes_what_it_says():
    old, new = Layers(old=True), Layers()
    assert old.convolution(2, 3).fields["weight"].shape == (3, 18)
    assert new.convolution(2, 3).fields["weight"].shape == (3, 2, 3, 3)
