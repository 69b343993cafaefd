"""Edge-aware upsampling of chrominance from the working size to the photo's size."""

import torch
from torch import Tensor
from torch.nn import functional

from irodori.network.joint import reduce_chroma

RADIUS = 1
"""Radius of the windows in which chrominance is modeled as linear in luminance."""
EPSILON = 1e-4
"""Variance of luminance, in [0,1]², below which a difference is not treated as an edge.

Both minimize the error in `experiments/colorize/bleeding.py` for a working size of 256, among radii
of 1 to 3 and values of 1e-4 to 1e-2."""
REACH = RADIUS + 1
"""Number of rows above and below that a slope depends on, one of them by averaging slopes."""


class GuidedUpsampler:
    """Upsamples chrominance to the size of a photo, computed on demand for rows.

    Luminance is known at full size, and colors mostly change where it does. The guided filter (K.
    He, J. Sun, X. Tang, 2010) gives the slope of chrominance over luminance around each position.
    This slope times the detail of luminance (its difference from its own bilinear upsampling) is
    added to the bilinearly upsampled chrominance, clamped to the range of neighbors. Unlike the
    filter itself, this doesn't blur the chrominance (as in residual interpolation for demosaicking,
    D. Kiku and others, 2013).

    Args:
        chroma_1Chw: chrominance, 1×C×⌈h/2⌉×⌈w/2⌉, for a network input of h×w.
        seen_11hw: luminance of the network's input, in [0,1].
        height, width: size of the photo.
    """

    def __init__(self, chroma_1Chw: Tensor, seen_11hw: Tensor, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.seen_height, self.seen_width = seen_11hw.shape[-2:]
        self.chroma_1Chw = chroma_1Chw
        self.luminance_11hw = reduce_chroma(seen_11hw)

    def rows(self, top: int, bottom: int, luminance_11HW: Tensor) -> Tensor:
        """Return the chrominance of rows top … bottom − 1, 1×C×(bottom − top)×width.

        Args:
            top, bottom: rows of the photo.
            luminance_11HW: luminance of these rows, 1×1×(bottom − top)×width.
        """
        channels, height, width = self.chroma_1Chw.shape[1:]
        lines = torch.arange(top, bottom)
        rows = source_positions(self.height, self.seen_height, lines, height)
        columns = source_positions(self.width, self.seen_width, torch.arange(self.width), width)
        first = int(rows[0])
        planes_1Phw = self._planes(first, min(int(rows[-1]) + 2, height))
        # Columns first, on fewer values.
        planes_1PhW = interpolate_columns(planes_1Phw, columns)
        planes_1PHW = interpolate_rows(planes_1PhW, rows - first)
        return with_detail(planes_1PHW, channels, luminance_11HW)

    def at(self, rows_N: Tensor, columns_N: Tensor, luminance_N: Tensor) -> Tensor:
        """Return the chrominance of N pixels, C×N; see `rows`.

        Args:
            rows_N, columns_N: pixels of the photo, int64 on the CPU.
            luminance_N: luminance of these pixels.
        """
        channels, height, width = self.chroma_1Chw.shape[1:]
        y_N = source_positions(self.height, self.seen_height, rows_N, height)
        x_N = source_positions(self.width, self.seen_width, columns_N, width)
        # grid_sample's coordinates are -1 to 1 between the outer edges.
        place_N2 = torch.stack([(x_N + 0.5) * 2 / width - 1, (y_N + 0.5) * 2 / height - 1], 1)
        planes_1P1N = functional.grid_sample(
            self._planes(0, height),
            place_N2[None, None].to(self.chroma_1Chw),
            padding_mode="border",
            align_corners=False,
        )
        return with_detail(planes_1P1N, channels, luminance_N[None, None, None])[0, :, 0]

    def _planes(self, first: int, last: int) -> Tensor:
        """Return rows first … last − 1 of `planes_of`: 1×P×(last − first)×w."""
        top = max(0, first - REACH)
        chroma_1Chw = self.chroma_1Chw[:, :, top : last + REACH]
        luminance_11hw = self.luminance_11hw[:, :, top : last + REACH]
        return planes_of(chroma_1Chw, luminance_11hw)[:, :, first - top : last - top]


def planes_of(chroma_BChw: Tensor, luminance_B1hw: Tensor) -> Tensor:
    """Return the planes to upsample, B×P×h×w.

    They are chrominance, its slopes, its minimum and maximum among neighbors, and luminance.
    """
    low_BChw = -functional.max_pool2d(-chroma_BChw, 3, stride=1, padding=1)
    high_BChw = functional.max_pool2d(chroma_BChw, 3, stride=1, padding=1)
    slopes_BChw = slopes(luminance_B1hw, chroma_BChw)
    return torch.cat([chroma_BChw, slopes_BChw, low_BChw, high_BChw, luminance_B1hw], 1)


def with_detail(planes_1PHW: Tensor, channels: int, luminance_11HW: Tensor) -> Tensor:
    """Add the detail of luminance to upsampled chrominance; planes are those of `planes_of`."""
    chroma, slope, low, high, luminance = planes_1PHW.split([*4 * [channels], 1], dim=1)
    # The slope isn't valid where luminance is far outside the neighbors' range.
    return torch.addcmul(chroma, slope, luminance_11HW - luminance).clamp(low, high)


def slopes(luminance_11hw: Tensor, chroma_1Chw: Tensor) -> Tensor:
    """Return the slopes of chrominance over luminance, 1×C×h×w (`a` in the guided filter).

    Slope = covariance / (variance of luminance + EPSILON), in windows of (2·RADIUS + 1)², averaged
    over 3×3 neighbors.
    """
    mean_l, mean_c = box_mean(luminance_11hw, RADIUS), box_mean(chroma_1Chw, RADIUS)
    variance = box_mean(luminance_11hw.square(), RADIUS) - mean_l.square()
    covariance = box_mean(luminance_11hw * chroma_1Chw, RADIUS) - mean_l * mean_c
    # Rounding can make a variance negative.
    return box_mean(covariance / (variance.clamp(min=0) + EPSILON), 1)


def box_mean(planes_1Chw: Tensor, radius: int) -> Tensor:
    """Return means over windows of (2·radius + 1)², with replicated borders."""
    padded = functional.pad(planes_1Chw, (radius,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * radius + 1, stride=1)


def source_positions(size: int, seen: int, lines_N: Tensor, count: int) -> Tensor:
    """Return the positions of lines of the photo among `count` lines of chrominance, float64.

    Args:
        size: number of lines of the photo.
        seen: number of lines of the network's input, two per line of chrominance.
    """
    # Pixel centers are at halves. float64, since fp32 is inexact for 10,000 lines.
    return ((lines_N.double() + 0.5) * (seen / size) / 2 - 0.5).clamp(0, count - 1)


def interpolate_columns(planes_1Chw: Tensor, positions_W: Tensor) -> Tensor:
    """Interpolate linearly between columns at given positions."""
    left_W = positions_W.long()
    right_W = (left_W + 1).clamp(max=planes_1Chw.shape[3] - 1)
    left, right = (
        planes_1Chw.index_select(3, columns_W.to(planes_1Chw.device))
        for columns_W in (left_W, right_W)
    )
    return torch.lerp(left, right, (positions_W - left_W).to(planes_1Chw))


def interpolate_rows(planes_1Chw: Tensor, positions_H: Tensor) -> Tensor:
    """Interpolate linearly between rows at given ascending positions.

    All rows between the same two are computed at once, to avoid copies.
    """
    upper_H = positions_H.long()
    share_H1 = (positions_H - upper_H).to(planes_1Chw)[:, None]
    result = planes_1Chw.new_empty(*planes_1Chw.shape[:2], len(positions_H), planes_1Chw.shape[3])
    first = 0
    for upper, count in zip(
        *(each.tolist() for each in upper_H.unique_consecutive(return_counts=True)), strict=True
    ):
        last, lower = first + count, min(upper + 1, planes_1Chw.shape[2] - 1)
        torch.lerp(
            planes_1Chw[:, :, upper : upper + 1],
            planes_1Chw[:, :, lower : lower + 1],
            share_H1[first:last],
            out=result[:, :, first:last],
        )
        first = last
    return result
