"""The receptive field of a network, for colorizing photos in tiles."""

from bisect import bisect_left
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from irodori.network import JointNetwork

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
