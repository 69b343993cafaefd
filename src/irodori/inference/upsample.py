"""Chrominance of the working size upsampled to the size of the photo, along its edges."""

import torch
from torch import Tensor
from torch.nn import functional

from irodori.network.joint import reduce_chroma

METHODS = ("nearest", "bilinear", "guided")
RADIUS = 1
"""Radius, in pixels of chrominance, of the window in which it is a linear function of luminance."""
EPSILON = 1e-4
"""Variance of luminance, in [0,1]², below which a difference is no edge.

Both were chosen by `experiments/colorize/bleeding.py`'s figure for a working size of 256, over
radii of 1 to 3 and 1e-4 to 1e-2."""
REACH = RADIUS + 1
"""Pixels of chrominance above and below that decide a slope: the mean of slopes sees one more."""


class GuidedUpsampler:
    """Upsamples chrominance to the size of a photo, for the rows that are asked for.

    Luminance is known at full size, and color changes where it does. `guided` takes from the
    guided filter (K. He, J. Sun, X. Tang, 2010) how chrominance goes with luminance around each
    pixel, its slope, and adds to the bilinear upsampling that slope times the detail of luminance,
    which is what its own bilinear upsampling lacks; no further than to the minimum and the maximum
    of the pixels around. So chrominance keeps its means, which the filter itself would blur, and no
    window needs to see beyond a few pixels (residual interpolation: D. Kiku and others, 2013, for
    another purpose).

    Args:
        chroma_1Chw: 1×C×⌈h/2⌉×⌈w/2⌉ for a photo that was seen at h×w.
        seen_11hw: its luminance at that size, in [0,1].
        height, width: of the photo.
        method: nearest and bilinear are there to compare.

    Raises:
        ValueError: the method is unknown, or the sizes don't fit.
    """

    def __init__(
        self,
        chroma_1Chw: Tensor,
        seen_11hw: Tensor,
        height: int,
        width: int,
        method: str = "guided",
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
        half = tuple((side + 1) // 2 for side in seen_11hw.shape[-2:])
        if chroma_1Chw.shape[-2:] != half:
            raise ValueError(
                f"chrominance of {tuple(chroma_1Chw.shape[-2:])} is not half of"
                f" {tuple(seen_11hw.shape[-2:])}"
            )
        self.height, self.width, self.method = height, width, method
        self.work_height, self.work_width = seen_11hw.shape[-2:]
        self.chroma_1Chw = chroma_1Chw
        self.luminance_11hw = reduce_chroma(seen_11hw)

    def rows(self, top: int, bottom: int, luminance_11HW: Tensor) -> Tensor:
        """Return the chrominance of rows top … bottom − 1.

        Args:
            top, bottom: of the photo.
            luminance_11HW: of these rows, 1×1×(bottom − top)×width.

        Returns:
            1×C×(bottom − top)×width.
        """
        height, width = self.chroma_1Chw.shape[2:]
        rows = positions(self.height, self.work_height, top, bottom, height)
        columns = positions(self.width, self.work_width, 0, self.width, width)
        first = int(rows[0])
        planes_1Phw = self._planes(first, min(int(rows[-1]) + 2, height))
        # First along the shorter way.
        planes_1PhW = sampled(planes_1Phw, columns, 3, self.method)
        planes_1PHW = sampled(planes_1PhW, rows - first, 2, self.method)
        if self.method != "guided":
            return planes_1PHW
        channels = self.chroma_1Chw.shape[1]
        chroma, slope, low, high, luminance = planes_1PHW.split([*4 * [channels], 1], dim=1)
        # Where luminance goes far beyond what the pixels around have, their slope says nothing.
        return torch.addcmul(chroma, slope, luminance_11HW - luminance).clamp(low, high)

    def _planes(self, first: int, last: int) -> Tensor:
        """Return all that is upsampled of rows first … last − 1: 1×P×(last − first)×w.

        Chrominance; and for `guided` its slopes, its minima and maxima, and luminance.
        """
        if self.method != "guided":
            return self.chroma_1Chw[:, :, first:last]
        # Windows reach beyond these rows.
        top = max(0, first - REACH)
        chroma_1Chw = self.chroma_1Chw[:, :, top : last + REACH]
        luminance_11hw = self.luminance_11hw[:, :, top : last + REACH]
        low_1Chw, high_1Chw = extremes(chroma_1Chw)
        planes = [
            chroma_1Chw,
            slopes(luminance_11hw, chroma_1Chw),
            low_1Chw,
            high_1Chw,
            luminance_11hw,
        ]
        return torch.cat(planes, 1)[:, :, first - top : last - top]


def slopes(luminance_11hw: Tensor, chroma_1Chw: Tensor) -> Tensor:
    """Return how chrominance changes with luminance around each pixel: the guided filter's `a`.

    The covariance of both over the variance of luminance plus EPSILON, in a window of
    (2·RADIUS + 1)² pixels; and the mean of that over the 3×3 pixels around, 1×C×h×w.
    """
    mean_l, mean_c = means(luminance_11hw, RADIUS), means(chroma_1Chw, RADIUS)
    variance = means(luminance_11hw.square(), RADIUS) - mean_l.square()
    covariance = means(luminance_11hw * chroma_1Chw, RADIUS) - mean_l * mean_c
    # Rounding may leave a little less than nothing.
    return means(covariance / (variance.clamp(min=0) + EPSILON), 1)


def extremes(chroma_1Chw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the minima and maxima of the 3×3 pixels around each, 1×C×h×w each."""
    most = functional.max_pool2d(chroma_1Chw, 3, stride=1, padding=1)
    return -functional.max_pool2d(-chroma_1Chw, 3, stride=1, padding=1), most


def means(planes_1Chw: Tensor, radius: int) -> Tensor:
    """Return means over windows of (2·radius + 1)² pixels; the border is repeated beyond itself."""
    margin = (radius,) * 4
    padded = functional.pad(planes_1Chw, margin, mode="replicate")
    return functional.avg_pool2d(padded, 2 * radius + 1, stride=1)


def positions(size: int, work_size: int, first: int, last: int, count: int) -> Tensor:
    """Return where lines first … last − 1 of `size` lie among `count`, each two of `work_size`."""
    # Centers of pixels lie at halves. In float64: of a photo's 10,000 lines fp32 would err.
    lines = torch.arange(first, last, dtype=torch.float64)
    return ((lines + 0.5) * (work_size / size) / 2 - 0.5).clamp(0, count - 1)


def sampled(planes_1Chw: Tensor, positions_N: Tensor, dim: int, method: str) -> Tensor:
    """Return planes at positions along a dimension: the nearest, or between two neighbors."""
    end = planes_1Chw.shape[dim] - 1
    device = planes_1Chw.device
    if method == "nearest":
        return planes_1Chw.index_select(dim, (positions_N + 0.5).long().clamp(max=end).to(device))
    before = positions_N.long()
    share = (positions_N - before).to(planes_1Chw)
    if dim == 3:
        one = planes_1Chw.index_select(3, before.to(device))
        other = planes_1Chw.index_select(3, (before + 1).clamp(max=end).to(device))
        return torch.lerp(one, other, share)
    result = planes_1Chw.new_empty(*planes_1Chw.shape[:2], len(positions_N), planes_1Chw.shape[3])
    neighbors = before.unique_consecutive(return_counts=True)
    # All lines between the same two at once, so that neither is copied for each.
    first = 0
    for place, count in zip(*(each.tolist() for each in neighbors), strict=True):
        last, after = first + count, min(place + 1, end)
        torch.lerp(
            planes_1Chw[:, :, place : place + 1],
            planes_1Chw[:, :, after : after + 1],
            share[first:last, None],
            out=result[:, :, first:last],
        )
        first = last
    return result
