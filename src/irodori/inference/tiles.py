"""Predicting the chrominance of a large photo in overlapping tiles."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from irodori.inference.receptive_field import Field
from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError, is_out_of_memory


class Part(NamedTuple):
    """A rectangle in pixels; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


@torch.inference_mode()
def predict_in_tiles(
    network: JointNetwork,
    luminance_1HW: Tensor,
    global_1G: Tensor | None,
    tile: int,
    field: Field,
    report: Callable[[str], None],
) -> Tensor:
    """Compute `network.color` for a whole photo tile by tile.

    Tiles begin at multiples of the field's step and overlap by the receptive field, so that the
    result differs from processing the whole photo only by rounding. If memory runs out, the tile
    size is halved.

    Args:
        network: in evaluation mode.
        luminance_1HW: in [0,1].
        global_1G: global features; None for a network without them.
        tile: side in pixels of a tile including overlaps; increased if the overlaps leave nothing.
        field: the network's receptive field.
        report: called with a message when the tile size is reduced.

    Returns:
        C×⌈H/2⌉×⌈W/2⌉ fp32 on the CPU.

    Raises:
        IrodoriError: there is not enough memory for the smallest tiles.
    """
    height, width = luminance_1HW.shape[-2:]
    above, below, left, right = (
        -(-reach // field.step) * field.step
        for reach in (field.above, field.below, field.left, field.right)
    )
    smallest = field.step + max(above + below, left + right)
    tile = max(tile, smallest)

    def parts_of(part: Part) -> list[Part]:
        """Divide a part into the areas of tiles without overlaps."""
        return cut(
            part,
            height if height <= tile else tile - above - below,
            width if width <= tile else tile - left - right,
            field.step,
        )

    chroma_Chw = torch.empty(network.chroma_channels, (height + 1) // 2, (width + 1) // 2)
    pending = parts_of(Part(0, height, 0, width))
    while pending:
        part = pending[-1]
        top, start = max(part.top - above, 0), max(part.left - left, 0)
        seen_1hw = luminance_1HW[:, top : part.bottom + below, start : part.right + right]
        try:
            seen_Chw = network.color(seen_1hw[None].contiguous(), global_1G)[0]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            tile = smaller(min(tile, max(height, width)), smallest, report)
            pending = [finer for coarse in pending for finer in parts_of(coarse)]
            continue
        pending.pop()
        # Chrominance has half the resolution, and parts begin at even pixels.
        half = Part(*((side + 1) // 2 for side in part))
        y, x = (part.top - top) // 2, (part.left - start) // 2
        chroma_Chw[:, half.top : half.bottom, half.left : half.right] = seen_Chw[
            :, y : y + half.bottom - half.top, x : x + half.right - half.left
        ]
    return chroma_Chw


def cut(part: Part, height: int, width: int, step: int) -> list[Part]:
    """Divide a part into equal parts of at most height×width pixels, at multiples of step."""
    return [
        Part(top, bottom, left, right)
        for top, bottom in _spans(part.top, part.bottom, height, step)
        for left, right in _spans(part.left, part.right, width, step)
    ]


def _spans(start: int, end: int, longest: int, step: int) -> list[tuple[int, int]]:
    count = -(-(end - start) // longest)
    length = -(-(end - start) // (count * step)) * step
    return [(first, min(first + length, end)) for first in range(start, end, length)]


def smaller(tile: int, smallest: int, report: Callable[[str], None]) -> int:
    """Return half the side of a tile, but at least the smallest one.

    Raises:
        IrodoriError: the tile is already the smallest.
    """
    if tile <= smallest:
        raise IrodoriError(
            f"not enough memory even for tiles of {tile}×{tile} pixels: close other programs, or"
            " choose a smaller --work-size"
        )
    half = max(tile // 2, smallest)
    report(f"not enough memory for tiles of {tile}×{tile} pixels: trying {half}×{half}")
    return half
