"""Predicting the chrominance of a large photo in overlapping tiles, by the receptive field."""

from bisect import bisect_left
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from irodori.network import JointNetwork
from irodori.utils.errors import IrodoriError, is_out_of_memory

LIMIT = 4096
"""Length in pixels of the longest probe; a larger field counts as unbounded."""


@dataclass(frozen=True)
class Field:
    """Numbers of luminance pixels around an aligned block that its chrominance depends on.

    A block has `step`×`step` pixels, with its corner at multiples of `step`.
    """

    step: int
    above: int
    below: int
    left: int
    right: int


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


@torch.inference_mode()
def receptive_field(network: JointNetwork) -> Field | None:
    """Return the field of `network.color` for given global features; None if it is unbounded.

    It is measured, not calculated: NaN propagates through convolutions, norms, activations, pooling
    and attention for any weights, so that a NaN pixel makes exactly the outputs NaN that depend on
    it. Attention over the whole photo, squeeze-and-excitation and other means over all positions
    are unbounded.

    Args:
        network: in evaluation mode.
    """
    # On a GPU, algorithms may spread NaN further than values.
    network = deepcopy(network).cpu().float()
    step = network.backbone.step
    global_BC = None
    if network.fusion is not None:
        global_BC = torch.zeros(1, network.backbone.global_channels)

    def rows(luminance_HW: Tensor) -> Tensor:
        return network.color(luminance_HW[None, None], global_BC).isnan().any(1).any(2)[0]

    def columns(luminance_HW: Tensor) -> Tensor:
        return network.color(luminance_HW.T[None, None], global_BC).isnan().any(1).any(1)[0]

    reaches: list[int] = []
    for spoiled in (rows, columns):
        blocks = 8
        while (reach := _reach(spoiled, step, blocks)) is None:
            blocks *= 2
            if blocks * step > LIMIT:
                return None
        reaches += reach
    return Field(step, *reaches)


def _reach(spoiled: Callable[[Tensor], Tensor], step: int, blocks: int) -> tuple[int, int] | None:
    """Return the field before and after a block in pixels; None if the probe is too short.

    Args:
        spoiled: returns which lines of chrominance are NaN, for luminance (length × step) whose
            first dimension is the probed one.
        blocks: length of the probe in blocks.
    """

    def spoiled_blocks(first: int, last: int) -> list[bool]:
        luminance_HW = torch.full((blocks * step, step), 0.5)
        luminance_HW[first:last] = torch.nan
        found: list[bool] = spoiled(luminance_HW).unflatten(0, (blocks, -1)).any(1).tolist()
        return found

    # The field is the same for every block. First all pixels on one side of the middle are set to
    # NaN, then as few lines of the middle block as still affect the outermost block found.
    start, end = blocks // 2 * step, (blocks // 2 + 1) * step
    first = spoiled_blocks(start, blocks * step).index(True)
    last = blocks - 1 - spoiled_blocks(0, end)[::-1].index(True)
    if first == 0 or last == blocks - 1:
        return None
    lines = range(step)
    fewest = bisect_left(lines, True, key=lambda n: spoiled_blocks(0, start + n + 1)[last])
    before = last * step - (start + fewest)
    fewest = bisect_left(
        lines, True, key=lambda n: spoiled_blocks(end - 1 - n, blocks * step)[first]
    )
    after = end - 1 - fewest - ((first + 1) * step - 1)
    return max(before, 0), max(after, 0)
