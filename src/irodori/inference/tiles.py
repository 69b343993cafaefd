"""Coloring a photo in tiles, as if it were seen whole."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from irodori.inference.receptive_field import Field
from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError, is_out_of_memory


class Part(NamedTuple):
    """A rectangle of a photo in pixels; the last row and column don't belong to it."""

    top: int
    bottom: int
    left: int
    right: int


@torch.inference_mode()
def color_in_tiles(
    network: JointNetwork,
    luminance_1HW: Tensor,
    global_BC: Tensor | None,
    tile: int,
    field: Field,
    report: Callable[[str], None],
) -> Tensor:
    """Chrominance of a photo, computed tile by tile: what `network.color` says of the whole.

    Tiles begin at multiples of the field's step and overlap by the field, so that each place is
    computed from all that it depends on; the difference to the whole is of floating-point rounding.
    Where memory runs out, tiles are halved.

    Args:
        network: in evaluation mode.
        luminance_1HW: in [0,1], as `network.color` takes it.
        global_BC: 1×G, see `JointNetwork.global_features`; None without a global path.
        tile: the side of the square that goes through the network at once, overlaps included, in
            pixels; see `tile_for`. It is enlarged where overlaps leave nothing of it.
        field: the network's.
        report: takes a line when tiles are made smaller.

    Returns:
        C×⌈H/2⌉×⌈W/2⌉, on the CPU, fp32.

    Raises:
        IrodoriError: memory doesn't suffice for the smallest tiles.
    """
    height, width = luminance_1HW.shape[-2:]
    above, below, left, right = (
        -(-reach // field.step) * field.step
        for reach in (field.above, field.below, field.left, field.right)
    )
    smallest = field.step + max(above + below, left + right)
    tile = max(tile, smallest)

    def parts_of(part: Part) -> list[Part]:
        """What tiles yield without their overlaps; along a side that fits there are none."""
        return cut(
            part,
            height if height <= tile else tile - above - below,
            width if width <= tile else tile - left - right,
            field.step,
        )

    channels = network.chroma_channels
    chroma_CHW = torch.empty(channels, (height + 1) // 2, (width + 1) // 2)
    pending = parts_of(Part(0, height, 0, width))
    while pending:
        part = pending[-1]
        seen = Part(
            max(part.top - above, 0),
            min(part.bottom + below, height),
            max(part.left - left, 0),
            min(part.right + right, width),
        )
        try:
            seen_CHW = color_part(network, luminance_1HW, global_BC, seen)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            tile = smaller(min(tile, max(height, width)), smallest, report)
            pending = [finer for coarse in pending for finer in parts_of(coarse)]
            continue
        pending.pop()
        half = halved(part)
        y, x = (part.top - seen.top) // 2, (part.left - seen.left) // 2
        chroma_CHW[:, half.top : half.bottom, half.left : half.right] = seen_CHW[
            :, y : y + half.bottom - half.top, x : x + half.right - half.left
        ]
    return chroma_CHW


def cut(part: Part, height: int, width: int, step: int) -> list[Part]:
    """A part in equal parts of at most height×width pixels, cut at multiples of step."""
    return [
        Part(top, bottom, left, right)
        for top, bottom in _spans(part.top, part.bottom, height, step)
        for left, right in _spans(part.left, part.right, width, step)
    ]


def _spans(start: int, end: int, longest: int, step: int) -> list[tuple[int, int]]:
    count = -(-(end - start) // longest)
    length = -(-(end - start) // (count * step)) * step
    return [(first, min(first + length, end)) for first in range(start, end, length)]


def halved(part: Part) -> Part:
    """The part in pixels of chrominance; it begins at even ones of the photo."""
    return Part(*((side + 1) // 2 for side in part))


def color_part(
    network: JointNetwork, luminance_1HW: Tensor, global_BC: Tensor | None, part: Part
) -> Tensor:
    """Chrominance of a part for itself, C×⌈h/2⌉×⌈w/2⌉."""
    luminance_1hw = luminance_1HW[:, part.top : part.bottom, part.left : part.right]
    chroma_1Chw = network.color(luminance_1hw[None].contiguous(), global_BC)
    return chroma_1Chw[0]


def smaller(tile: int, smallest: int, report: Callable[[str], None]) -> int:
    """The side of tiles after memory ran out with this one: half, but no less than the smallest.

    Raises:
        IrodoriError: it is the smallest already.
    """
    if tile <= smallest:
        raise IrodoriError(
            f"there is no memory even for tiles of {tile}×{tile} pixels: close other programs, or"
            " choose a smaller --work-size"
        )
    half = max(tile // 2, smallest)
    report(f"not enough memory for tiles of {tile}×{tile} pixels: going on with {half}×{half}")
    return half
