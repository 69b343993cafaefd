"""ONNX from sRGB to sRGB, against `Colorizer`."""

import io
import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from irodori.color import Lab, Rgb, Yuv
from irodori.inference.colorizer import STARTER, Colorizer, seen_size
from irodori.model import load_model
from irodori.utils.model_file import KEY

onnx = pytest.importorskip("onnx", reason="needs `pip install 'irodori[export]'`")
photo_graph = pytest.importorskip("irodori.inference.export.photo_graph")

SIZES = ((301, 211), (97, 131), (33, 301), (900, 37))
"""Odd ones: larger and smaller than the working size, and long ones."""


def picture(height, width):
    """Gray, in all lightnesses, H×W×1."""
    torch.manual_seed(height)
    coarse = torch.rand(1, 1, 6, 5)
    smooth = functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (smooth[0, 0] * 255).round().byte().numpy()[..., None]


def as_input(pixels_HW1):
    return torch.from_numpy(pixels_HW1 / 255).float().permute(2, 0, 1)[None].repeat(1, 3, 1, 1)


def check(run, model, mean, most):
    colorizer = Colorizer(model, precision="fp32")
    for size in SIZES:
        pixels = picture(*size)
        wanted = colorizer.color(pixels)
        colorized, logits = run(as_input(pixels))
        levels = colorized[0].permute(1, 2, 0).numpy() * 255
        assert levels.shape == (*size, 3)
        difference = np.abs(levels - wanted.pixels_HW3)
        assert difference.mean() < mean
        assert difference.max() < most
        assert np.ptp(levels, axis=2).max() > 3
        shares = dict(zip(model.classes, logits.softmax(1)[0].tolist(), strict=True))
        assert shares == pytest.approx(wanted.scenes, abs=5e-3)


@pytest.mark.parametrize("made_by", [Lab, Yuv, Rgb])
@torch.no_grad()
def test_its_parts_are_colorizers(make_model, made_by):
    model = make_model(made_by)
    seen, joined = photo_graph.SeenPhoto(model), photo_graph.JoinedPhoto(model)

    def run(rgb):
        size = seen_size(*rgb.shape[2:], 256)
        levels = (rgb * 255).byte()
        scaled = functional.interpolate(levels, size, mode="bilinear", antialias=True) / 255
        chroma, luminance, logits = seen(scaled)
        return joined(rgb, chroma, luminance), logits

    check(run, model, 0.3, 0.7)


@pytest.mark.long  # the export takes most of a minute
def test_onnxruntime_colorizes_pictures_of_odd_sizes():
    model = load_model(STARTER)
    runtime = pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    photo_graph.write_photo_onnx(file, model)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(file.getvalue(), options)
    assert [value.name for value in session.get_inputs()] == ["rgb"]

    def run(rgb):
        return [torch.from_numpy(part) for part in session.run(None, {"rgb": rgb.numpy()})]

    # Levels of the scaled picture may be rounded the other way, which is a step of luminance.
    check(run, model, 0.4, 4)
    both = torch.cat(
        [as_input(picture(97, 131)), as_input(picture(97, 131).max() - picture(97, 131))]
    )
    for number in (0, 1):
        torch.testing.assert_close(
            run(both)[0][number], run(both[number : number + 1])[0][0], atol=1e-4, rtol=0
        )
    stored = {p.key: p.value for p in onnx.load_from_string(file.getvalue()).metadata_props}
    assert "colorized" in json.loads(stored[KEY])["use"]
