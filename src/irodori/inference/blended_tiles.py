"""Coloring a photo in tiles with a network whose every place sees the whole of it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from irodori.inference.tiles import Part, color_part, halved, smaller
from irodori.network import JointNetwork
from irodori.network.backbone import scaled_to
from irodori.utils.errors import is_out_of_memory

SMALLEST = 512
"""Side in pixels below which tiles say little of a photo."""
OVERLAP = 4
"""Neighbours share this part of a tile's side: a quarter."""
KEPT_OUT = 3
"""This part of an overlap, a third, isn't taken at a tile's very border, which knows least of the
photo; tiles fade within what is left between the two borders."""


@torch.inference_mode()
def color_in_blended_tiles(
    network: JointNetwork,
    luminance_1HW: Tensor,
    global_BC: Tensor | None,
    tile: int,
    work_size: int,
    report: Callable[[str], None],
) -> Tensor:
    """Chrominance of a photo: its coarse part from the whole photo reduced, detail from tiles.

    With attention over all places a tile isn't colored as it would be within the photo. So the
    means over the places of the reduced photo's chrominance are taken from that, and tiles give
    only what differs from these means; where they overlap, they are blended linearly.

    Seams, for pvt_v2_b0 with random weights and tiles of 768 pixels, against the whole photo at its
    own size with the same coarse part: below 1/255 of chrominance's range in the root mean square,
    and a step below a quarter of that in the mean over a column. A tile's error is largest at its
    border and has fallen to a hundredth 128 pixels further in.

    Args:
        network, luminance_1HW, global_BC, report: see `color_in_tiles`.
        tile: the side of the square that goes through the network at once, in pixels.
        work_size: longer side in pixels to which the whole photo is reduced.

    Returns:
        C×⌈H/2⌉×⌈W/2⌉ in [0,1], on the CPU, fp32.

    Raises:
        IrodoriError: memory doesn't suffice for the smallest tiles or for the reduced photo.
    """
    height, width = luminance_1HW.shape[-2:]
    scale = min(1.0, work_size / max(height, width))
    reduced_11hw = scaled_to(
        luminance_1HW[None], max(1, round(height * scale)), max(1, round(width * scale))
    )
    coarse_1Chw = network.color(reduced_11hw, global_BC).float().cpu()
    step = network.backbone.step
    smallest = max(SMALLEST, OVERLAP * step)
    tile = max(tile, smallest)
    while True:
        try:
            chroma_1CHW = _blend(network, luminance_1HW, global_BC, tile)[None]
            break
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            tile = smaller(min(tile, max(height, width)), smallest, report)
    return with_coarse(chroma_1CHW, coarse_1Chw)[0]


def with_coarse(chroma_1CHW: Tensor, coarse_1Chw: Tensor) -> Tensor:
    """Chrominance in [0,1] with the coarse part of another one, in place.

    Its means over the places of the other become what the other says there.
    """
    lacking_1Chw = coarse_1Chw - functional.adaptive_avg_pool2d(
        chroma_1CHW, (coarse_1Chw.shape[-2], coarse_1Chw.shape[-1])
    )
    chroma_1CHW += functional.interpolate(lacking_1Chw, chroma_1CHW.shape[-2:], mode="bilinear")
    return chroma_1CHW.clamp_(0, 1)


def _blend(
    network: JointNetwork, luminance_1HW: Tensor, global_BC: Tensor | None, tile: int
) -> Tensor:
    """Tiles side by side, C×⌈H/2⌉×⌈W/2⌉; where they overlap, one fades into the other."""
    height, width = luminance_1HW.shape[-2:]
    step = network.backbone.step
    channels = network.chroma_channels
    chroma_CHW = torch.zeros(channels, (height + 1) // 2, (width + 1) // 2)
    rows, columns = spans(height, tile, step), spans(width, tile, step)
    for (top, bottom), weight_H in zip(rows, fades(rows), strict=True):
        for (left, right), weight_W in zip(columns, fades(columns), strict=True):
            part = Part(top, bottom, left, right)
            colored_Chw = color_part(network, luminance_1HW, global_BC, part).float().cpu()
            half = halved(part)
            chroma_CHW[:, half.top : half.bottom, half.left : half.right] += (
                colored_Chw * weight_H[:, None] * weight_W
            )
    return chroma_CHW


def spans(size: int, tile: int, step: int) -> list[tuple[int, int]]:
    """Where tiles of a side begin and end: at multiples of step, overlapping by about a quarter.

    Args:
        size: of the photo along this side, in pixels.
    """
    if size <= tile:
        return [(0, size)]
    tile = tile // step * step
    more = -(-(size - tile) // (tile - tile // OVERLAP))
    starts = [(size - tile) * number // more // step * step for number in range(more)]
    starts.append(-(-(size - tile) // step) * step)
    return [(start, min(start + tile, size)) for start in starts]


def fades(spans: list[tuple[int, int]]) -> list[Tensor]:
    """Weights of each tile's chrominance along a side; at every place they sum to 1."""
    weights = []
    for number, (start, end) in enumerate(spans):
        place = torch.arange(start, end, 2) + 1.0
        weight = torch.ones(len(place))
        if number:
            weight = weight * _rise(place, start, spans[number - 1][1])
        if number + 1 < len(spans):
            weight = weight * (1 - _rise(place, spans[number + 1][0], end))
        weights.append(weight)
    total = torch.zeros((spans[-1][1] + 1) // 2)
    for (start, _), weight in zip(spans, weights, strict=True):
        total[start // 2 : start // 2 + len(weight)] += weight
    return [
        weight / total[start // 2 : start // 2 + len(weight)]
        for (start, _), weight in zip(spans, weights, strict=True)
    ]


def _rise(place: Tensor, start: int, end: int) -> Tensor:
    """From 0 to 1 over an overlap, without what is kept out at both of its ends."""
    out = (end - start) / KEPT_OUT
    return ((place - start - out) / (end - start - 2 * out)).clamp(0, 1)
