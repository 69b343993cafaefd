"""Upsample chrominance from the working size to the photo's size, along the photo's own edges."""

import torch
from torch import Tensor
from torch.nn import functional

from irodori.network.joint import reduce_chroma

RADIUS = 1
"""Radius of the window in which chrominance is a linear function of luminance."""
EPSILON = 1e-4
"""Variance of luminance, in [0,1]², below which a difference is no edge.

Both minimize the error of `experiments/colorize/bleeding.py` for a working size of 256, among radii
of 1 to 3 and 1e-4 to 1e-2."""
REACH = RADIUS + 1
"""Rows above and below that a slope depends on: the mean of slopes sees one more."""


class GuidedUpsampler:
    """Chrominance at the size of a photo, computed for the rows that are asked for.

    Luminance is known at full size, and color changes where it does. The guided filter (K. He,
    J. Sun, X. Tang, 2010) gives the slope of chrominance over luminance around each position.
    That slope times the detail of luminance, which is what its own bilinear upsampling lacks, is
    added to the bilinearly upsampled chrominance, clamped to the range of the neighbors. So
    chrominance keeps its means, which the filter itself would blur (as residual interpolation does
    in demosaicking: D. Kiku and others, 2013).

    Args:
        chroma_1Chw: 1×C×⌈h/2⌉×⌈w/2⌉ for a photo that was seen at h×w.
        seen_11hw: its luminance at that size, in [0,1].
        height, width: the photo's size.
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
            luminance_11HW: of these rows, 1×1×(bottom − top)×width.
        """
        channels, height, width = self.chroma_1Chw.shape[1:]
        lines = torch.arange(top, bottom)
        rows = source_positions(self.height, self.seen_height, lines, height)
        columns = source_positions(self.width, self.seen_width, torch.arange(self.width), width)
        first = int(rows[0])
        planes_1Phw = self._planes(first, min(int(rows[-1]) + 2, height))
        # Columns first: there are fewer values at that point.
        planes_1PhW = interpolate_columns(planes_1Phw, columns)
        planes_1PHW = interpolate_rows(planes_1PhW, rows - first)
        return with_detail(planes_1PHW, channels, luminance_11HW)

    def at(self, rows_N: Tensor, columns_N: Tensor, luminance_N: Tensor) -> Tensor:
        """Return the chrominance of single pixels, C×N, as `rows` does.

        Args:
            rows_N, columns_N: of the photo, int64 on the CPU.
            luminance_N: of these pixels.
        """
        channels, height, width = self.chroma_1Chw.shape[1:]
        y_N = source_positions(self.height, self.seen_height, rows_N, height)
        x_N = source_positions(self.width, self.seen_width, columns_N, width)
        # grid_sample counts from -1 to 1 between the outer edges.
        place_N2 = torch.stack([(x_N + 0.5) * 2 / width - 1, (y_N + 0.5) * 2 / height - 1], 1)
        planes_1P1N = functional.grid_sample(
            self._planes(0, height),
            place_N2[None, None].to(self.chroma_1Chw),
            padding_mode="border",
            align_corners=False,
        )
        return with_detail(planes_1P1N, channels, luminance_N[None, None, None])[0, :, 0]

    def _planes(self, first: int, last: int) -> Tensor:
        """Return all that is upsampled, of rows first … last − 1: 1×P×(last − first)×w."""
        top = max(0, first - REACH)
        chroma_1Chw = self.chroma_1Chw[:, :, top : last + REACH]
        luminance_11hw = self.luminance_11hw[:, :, top : last + REACH]
        return planes_of(chroma_1Chw, luminance_11hw)[:, :, first - top : last - top]


def planes_of(chroma_BChw: Tensor, luminance_B1hw: Tensor) -> Tensor:
    """Return all that is upsampled, B×P×h×w.

    Chrominance, its slopes, its minimum and maximum among neighbors, and luminance.
    """
    low_BChw = -functional.max_pool2d(-chroma_BChw, 3, stride=1, padding=1)
    high_BChw = functional.max_pool2d(chroma_BChw, 3, stride=1, padding=1)
    slopes_BChw = slopes(luminance_B1hw, chroma_BChw)
    return torch.cat([chroma_BChw, slopes_BChw, low_BChw, high_BChw, luminance_B1hw], 1)


def with_detail(planes_1PHW: Tensor, channels: int, luminance_11HW: Tensor) -> Tensor:
    """Return upsampled chrominance with what luminance has of detail; planes as `_planes` has."""
    chroma, slope, low, high, luminance = planes_1PHW.split([*4 * [channels], 1], dim=1)
    # Where luminance goes far beyond that of the neighbors, their slope says nothing.
    return torch.addcmul(chroma, slope, luminance_11HW - luminance).clamp(low, high)


def slopes(luminance_11hw: Tensor, chroma_1Chw: Tensor) -> Tensor:
    """Return how chrominance changes with luminance, 1×C×h×w: the guided filter's `a`.

    The covariance of both over the variance of luminance plus EPSILON, in windows of
    (2·RADIUS + 1)², averaged over 3×3 neighbors.
    """
    mean_l, mean_c = box_mean(luminance_11hw, RADIUS), box_mean(chroma_1Chw, RADIUS)
    variance = box_mean(luminance_11hw.square(), RADIUS) - mean_l.square()
    covariance = box_mean(luminance_11hw * chroma_1Chw, RADIUS) - mean_l * mean_c
    # Rounding may make a variance negative.
    return box_mean(covariance / (variance.clamp(min=0) + EPSILON), 1)


def box_mean(planes_1Chw: Tensor, radius: int) -> Tensor:
    """Return means over windows of (2·radius + 1)², with replicated borders."""
    padded = functional.pad(planes_1Chw, (radius,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * radius + 1, stride=1)


def source_positions(size: int, seen: int, lines_N: Tensor, count: int) -> Tensor:
    """Return where lines of `size` lie among the `count` lines of chrominance, float64.

    Args:
        size: lines of the photo.
        seen: lines of the luminance that the network saw, two for each line of chrominance.
    """
    # Pixel centers lie at halves. In float64, since fp32 would err for 10,000 lines.
    return ((lines_N.double() + 0.5) * (seen / size) / 2 - 0.5).clamp(0, count - 1)


def interpolate_columns(planes_1Chw: Tensor, positions_W: Tensor) -> Tensor:
    """Interpolate linearly between columns, at given positions."""
    left_W = positions_W.long()
    right_W = (left_W + 1).clamp(max=planes_1Chw.shape[3] - 1)
    left, right = (
        planes_1Chw.index_select(3, columns_W.to(planes_1Chw.device))
        for columns_W in (left_W, right_W)
    )
    return torch.lerp(left, right, (positions_W - left_W).to(planes_1Chw))


def interpolate_rows(planes_1Chw: Tensor, positions_H: Tensor) -> Tensor:
    """Interpolate linearly between rows, at given rising positions.

    All rows between the same two are computed at once, so that neither is copied for each.
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
