"""`Colorizer` as one ONNX graph, from sRGB to sRGB pictures of any size."""

from typing import Any, BinaryIO

import onnx
import torch
from onnx import compose, parser
from torch import Tensor, nn
from torch.nn import functional

from irodori.inference.colorizer import MAX_SEEN, MIN_SIDE
from irodori.inference.export.write import described, folded, global_features, to_onnx, traced
from irodori.inference.gamut import STEPS, TOLERANCE
from irodori.inference.prepared_photo import MARGIN
from irodori.inference.settings import WORK_SIZE
from irodori.inference.upsampling import planes_of, with_detail
from irodori.model import Model
from irodori.network.joint import reduce_chroma
from irodori.utils.model_file import KEY

USE = (
    "rgb, B×3×H×W in [0,1], is sRGB, of which only the luminance is used. colorized has the same"
    " size. logits, B×classes, are scene scores before softmax. A batch has one size."
)
RESIZE = f"""
<ir_version: 10, opset_import: ["": 18]>
resize (float[B,3,H,W] rgb) => (float[B,3,H,W] same, float[B,3,h,w] scaled) {{
    same = Identity(rgb)
    count = Shape<start=0, end=2>(rgb)
    whole = Shape<start=2, end=4>(rgb)
    sides = Cast<to=11>(whole)
    short = ReduceMin(sides)
    area = ReduceProd(sides)
    wanted = Constant<value: tensor = double[1] {{{WORK_SIZE}}}>()
    max_area = Constant<value: tensor = double[1] {{{MAX_SEEN * WORK_SIZE**2}}}>()
    min_side = Constant<value: tensor = double[1] {{{MIN_SIDE}}}>()
    by_side = Div(wanted, short)
    share = Div(max_area, area)
    by_area = Sqrt(share)
    scale = Min(by_side, by_area)
    exact = Mul(sides, scale)
    rounded = Round(exact)
    bounded = Max(rounded, min_side)
    longer = ReduceMax(bounded)
    shorter = ReduceMin(bounded)
    quotient = Div(max_area, shorter)
    longest = Floor(quotient)
    cut = Min(longer, longest)
    is_longer = Equal(bounded, longer)
    seen = Where(is_longer, cut, bounded)
    seen_sides = Cast<to=7>(seen)
    white = Constant<value: tensor = float[1] {{255}}>()
    levels = Mul(rgb, white)
    height, width = Split<num_outputs=2>(seen_sides)
    own_height, own_width = Split<num_outputs=2>(whole)
    narrow = Concat<axis=0>(count, own_height, width)
    sizes = Concat<axis=0>(count, seen_sides)
    across = Resize<mode="linear", antialias=1>(levels, , , narrow)
    across_levels = Round(across)
    down = Resize<mode="linear", antialias=1>(across_levels, , , sizes)
    down_levels = Round(down)
    scaled = Div(down_levels, white)
}}
"""
"""`colorizer.seen_size` and `PhotoLuminance.at` (which scales 8-bit levels horizontally, then
vertically, and rounds after each) in ONNX's text format."""


class SeenPhoto(nn.Module):
    """The part of the graph from a picture at the working size to chrominance and logits."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = folded(model)
        self.space = model.space

    def forward(self, rgb_B3hw: Tensor) -> tuple[Tensor, ...]:
        """Map B×3×h×w in [0,1] to B×C×⌈h/2⌉×⌈w/2⌉, B×1×h×w and B×classes."""
        luminance_B1hw = luminance_of(self.space, rgb_B3hw)
        global_BC, logits_BC = global_features(self.network, luminance_B1hw)
        mirrored = functional.pad(luminance_B1hw, (MARGIN,) * 4, mode="reflect")
        half = slice(MARGIN // 2, -(MARGIN // 2))
        chroma_BChw = self.network.color(mirrored, global_BC)[:, :, half, half]
        seen = (chroma_BChw, luminance_B1hw)
        return seen if logits_BC is None else (*seen, logits_BC)


class JoinedPhoto(nn.Module):
    """The part of the graph that joins chrominance with the photo's own luminance."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.space = model.space

    def forward(self, rgb_B3HW: Tensor, chroma_BChw: Tensor, seen_B1hw: Tensor) -> Tensor:
        """Map B×3×H×W, B×C×h/2×w/2 and B×1×h×w to sRGB B×3×H×W in [0,1]."""
        own_B1HW = luminance_of(self.space, rgb_B3HW)
        rows_Hh, columns_Ww = (
            between(rgb_B3HW.shape[axis], seen_B1hw.shape[axis], chroma_BChw.shape[axis])
            for axis in (2, 3)
        )
        planes_BPhw = planes_of(chroma_BChw, reduce_chroma(seen_B1hw))
        planes_BPHW = rows_Hh @ (planes_BPhw @ columns_Ww.T)
        return self._into_gamut(own_B1HW, with_detail(planes_BPHW, chroma_BChw.shape[1], own_B1HW))

    def _into_gamut(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """`gamut.into_gamut` applied to all pixels, since a graph can't select some."""

        def decoded(share: Tensor) -> tuple[Tensor, Tensor]:
            rgb_B3HW = decode(self.space, luminance_B1HW, torch.lerp(gray, chroma_BCHW, share))
            return rgb_B3HW, (rgb_B3HW - 0.5).abs().amax(1, keepdim=True) <= 0.5 + TOLERANCE

        gray = self.space.gray_chroma(luminance_B1HW)
        rgb_B3HW, fits = decoded(torch.ones_like(luminance_B1HW))
        share = torch.zeros_like(luminance_B1HW)
        for step in range(1, STEPS + 1):
            more = share + 0.5**step
            share = torch.where(decoded(more)[1], more, share)
        return torch.where(fits, rgb_B3HW, decoded(share)[0]).clamp(0, 1)


def write_photo_onnx(file: BinaryIO, model: Model) -> None:
    """Write an ONNX file from sRGB to sRGB, with the description in metadata_props[KEY].

    Raises:
        ImportError: onnx or onnxscript isn't installed.
        Exception: of many kinds, if the network can't be traced.
    """
    resize = parser.parse_model(RESIZE)
    picture = torch.zeros(2, 3, 75, 109)
    seen = SeenPhoto(model)
    with torch.no_grad():
        parts = seen(picture)
    has_logits = len(parts) > 2
    outputs = ["chroma", "luminance", *["logits"] * has_logits]
    network = to_onnx(traced(seen, (picture,)), ["seen_rgb"], outputs).model_proto
    full = torch.zeros(2, 3, 131, 67)
    inputs = ["own_rgb", "own_chroma", "own_luminance"]
    joined = to_onnx(traced(JoinedPhoto(model), (full, *parts[:2])), inputs, ["colorized"])
    # Node names are only unique within their graphs.
    network = compose.add_prefix(network, "network_", rename_inputs=False, rename_outputs=False)
    join: Any = compose.add_prefix(
        joined.model_proto, "join_", rename_inputs=False, rename_outputs=False
    )
    resize.ir_version = network.ir_version
    whole: Any = compose.merge_models(resize, network, [("scaled", "seen_rgb")])
    pairs = [("same", "own_rgb"), ("chroma", "own_chroma"), ("luminance", "own_luminance")]
    whole = compose.merge_models(
        whole, join, pairs, outputs=["colorized", *["logits"] * has_logits]
    )
    ordered = sorted(whole.graph.output, key=lambda value: value.name == "logits")
    del whole.graph.output[:]
    whole.graph.output.extend(ordered)
    onnx.helper.set_model_props(whole, {KEY: described(model, USE)})
    file.write(whole.SerializeToString())


def luminance_of(space: Any, rgb_B3HW: Tensor) -> Tensor:
    """`ColorSpace.luminance` without precision contexts, which can't be traced."""
    native: Tensor = space.native_from_rgb(rgb_B3HW)[:, :1]
    luminance: Tensor = native / space.luminance_range
    return luminance


def decode(space: Any, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
    """`ColorSpace.decode` without precision contexts, which can't be traced."""
    ranges = chroma_BCHW.new_tensor(space.chroma_range)[:, None, None]
    native_BCHW = (chroma_BCHW - 0.5) * (2 * ranges) + space.chroma_center
    luminance_B1HW = luminance_B1HW * space.luminance_range
    rgb_B3HW: Tensor = space.rgb_from_native(torch.cat([luminance_B1HW, native_BCHW], dim=1))
    return rgb_B3HW


def between(size: int, work_size: int, count: int) -> Tensor:
    """Return the size×count interpolation matrix for `upsampling.source_positions`."""
    lines = torch.arange(size, dtype=torch.float64)
    positions = ((lines + 0.5) * (work_size / size) / 2 - 0.5).clamp(min=0)
    # `clamp` doesn't accept symbolic sizes.
    positions = torch.minimum(positions, torch.full_like(positions, 1.0) * (count - 1))
    distances = (positions[:, None] - torch.arange(count, dtype=torch.float64)).abs()
    return (1 - distances).clamp(min=0).float()
