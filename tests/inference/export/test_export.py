import io
import json
from copy import deepcopy

import pytest
import torch
from torch.nn import functional
from typer import Typer
from typer.testing import CliRunner

from irodori.cli.export import export
from irodori.inference.export import write
from irodori.inference.export.write import (
    EXTRA_FILE,
    INPUT,
    export_model,
    write_onnx,
    write_torch_export,
)
from irodori.inference.fast_network import fold
from irodori.model import load_model
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import KEY
from networks import save_checkpoint, varied_model

PRESETS = [
    ("paper", "paper"),
    ("resnet18", "skips"),
    ("resnet50", "skips"),
    ("convnext_tiny", "skips"),
    ("tf_efficientnet_lite0", "queries"),
    ("mobilenetv4_conv_small", "skips"),
    ("pvt_v2_b0", "skips"),
]
"""Of conf/backbone, with the decoder that its experiments have."""
SHAPES = ((1, 64, 96), (3, 75, 109), (1, 224, 224), (2, 33, 100), (1, 224, 131), (1, 1, 1))


def agree(run, network, tolerance, smallest=1):
    """At several sizes and numbers of pictures."""
    varied = []
    for number, height, width in SHAPES:
        if min(height, width) < smallest:
            continue
        coarse = torch.rand(number, 1, 5, 5)
        luminance = functional.interpolate(coarse, (height, width), mode="bilinear")
        with torch.no_grad():
            expected = [part for part in network(luminance) if part is not None]
        found = run(luminance)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance, rtol=0)
        varied.append(expected[0].std().item())
    assert max(varied) > 0.005


def check_onnx(model):
    pytest.importorskip("onnxruntime")
    import onnx
    import onnxruntime

    file = io.BytesIO()
    write_onnx(file, model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options)
    names = [output.name for output in session.get_outputs()]
    assert [value.name for value in session.get_inputs()] == [INPUT]
    assert names == ["chroma", "logits"][: len(names)]

    def run(luminance):
        found = session.run(None, {INPUT: luminance.numpy()})
        return [torch.from_numpy(part) for part in found]

    agree(run, model.network, 1e-3)
    stored = {p.key: p.value for p in onnx.load_from_string(file.getvalue()).metadata_props}
    check_description(stored[KEY], model)


FROM_33 = ("convnext_tiny", "pvt_v2_b0")
"""Encoders that torch.export takes for more than one step of 32 pixels only."""


def check_torch_export(model):
    file = io.BytesIO()
    write_torch_export(file, model)
    file.seek(0)
    extra = {EXTRA_FILE: ""}
    program = torch.export.load(file, extra_files=extra)
    backbone = getattr(model.network.backbone, "name", "paper")
    # What is exported is folded, which is tested for itself: here it is the same operations.
    folded = deepcopy(model.network)
    fold(folded)
    agree(program.module(), folded, 1e-5, smallest=33 if backbone.startswith(FROM_33) else 1)
    check_description(extra[EXTRA_FILE], model)
    norms = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert not norms


def check_description(text, model):
    description = json.loads(text)
    assert "chroma_range" in description.pop("use")
    assert description == json.loads(json.dumps(model.describe()))


BOTH = pytest.mark.parametrize("check", [check_onnx, check_torch_export])


@pytest.mark.long
@BOTH
@pytest.mark.parametrize(("backbone", "decoder"), PRESETS)
def test_every_preset(check, backbone, decoder):
    check(varied_model(backbone=backbone, decoder=decoder))


@pytest.mark.long
@BOTH
@pytest.mark.parametrize(
    "arguments",
    [
        {"global_features": False},
        {"decoder": "skips", "output": "ab_classes", "temperature": 0.38, "num_classes": 0},
    ],
)
def test_other_networks(check, arguments):
    check(varied_model(**arguments))


def test_color_queries_take_any_number_of_photos():
    check_torch_export(varied_model(decoder="queries"))


@pytest.fixture
def checkpoint(tmp_path, model):
    return save_checkpoint(model, tmp_path / "a.ckpt")


def test_the_command_writes_what_it_reads_again(tmp_path, checkpoint, model):
    app = Typer()
    app.command()(export)
    output = tmp_path / "new folder" / "a.safetensors"
    wanted = ["--checkpoint", checkpoint, "--format", "safetensors", "--output", output, "--half"]
    wanted = [str(part) for part in wanted]
    result = CliRunner().invoke(app, wanted)
    assert result.exit_code == 0, result.output
    assert str(output) in result.output
    assert load_model(output).describe() == model.describe()
    before = output.read_bytes()
    result = CliRunner().invoke(app, wanted)
    assert result.exit_code == 1
    assert f"error: {output} already exists" in result.stderr
    assert output.read_bytes() == before
    assert CliRunner().invoke(app, [*wanted, "--overwrite"]).exit_code == 0


def test_saturation_multiplies_the_logits_of_colors(tmp_path):
    model = varied_model(backbone="tf_efficientnet_lite0", decoder="skips")
    output = tmp_path / "a.safetensors"
    checkpoint = save_checkpoint(model, tmp_path / "a.ckpt")
    export_model(checkpoint, "safetensors", output, saturation=1.3)
    luminance_B1HW = torch.rand(1, 1, 64, 64)
    plain, stronger = (
        load_model(path).network(luminance_B1HW)[0].logit() for path in (checkpoint, output)
    )
    torch.testing.assert_close(stronger, 1.3 * plain, atol=1e-5, rtol=1e-4)
    assert "--saturation" in refusal(
        checkpoint, "safetensors", tmp_path / "b.safetensors", saturation=-1
    )


def test_saturation_of_a_network_without_such_logits(tmp_path, checkpoint):
    output = tmp_path / "a.safetensors"
    assert "--saturation" in refusal(checkpoint, "safetensors", output, saturation=1.3)


def refusal(*arguments, **options):
    with pytest.raises(IrodoriError) as caught:
        export_model(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes_are_said_in_one_line(tmp_path, checkpoint):
    output = tmp_path / "a.onnx"
    assert "--format onxx is unknown: choose one of onnx" in refusal(checkpoint, "onxx", output)
    assert "--part photo requires" in refusal(
        checkpoint, "torch-export", tmp_path / "a.pt2", part="photo"
    )
    assert "--half requires --format safetensors" in refusal(checkpoint, "onnx", output, half=True)
    assert "no such checkpoint" in refusal(tmp_path / "gone", "onnx", output)
    (tmp_path / "file").write_text("")
    assert "can't be written" in refusal(
        checkpoint, "safetensors", tmp_path / "file" / "a.safetensors"
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("Unsupported\noperator"),
            "PaperBackbone can't be exported as onnx: Unsup",
        ),
        (ImportError("No module", name="onnx"), "needs the package onnx: pip install"),
    ],
)
def test_what_fails_leaves_nothing_behind(tmp_path, checkpoint, monkeypatch, error, message):
    def fail(file, *_):
        file.write(b"half a file")
        raise error

    monkeypatch.setattr(write, "write_model", fail)
    assert message in refusal(checkpoint, "onnx", tmp_path / "a.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"a.ckpt"}
