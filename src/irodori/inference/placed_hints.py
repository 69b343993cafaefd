"""Hints at their pixels of a photo: the network's input, its correction, and likely colors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from irodori.color import ColorSpace, to_uint8
from irodori.color.ab_bins import BINS, bins_of, centers
from irodori.color.lab import rgb_to_lab
from irodori.inference.fused_lab import FusedLab
from irodori.inference.gamut import into_gamut
from irodori.inference.hints import Hint, refuse_too_many
from irodori.inference.luminance import PhotoLuminance
from irodori.inference.upsampling import GuidedUpsampler
from irodori.network.joint import reduce_chroma
from irodori.network.output import AbClassesOutput
from irodori.utils.errors import IrodoriError

if TYPE_CHECKING:
    from irodori.inference.prepared_photo import PreparedPhoto

RADIUS = 2
"""A hint covers a square of 2·RADIUS + 1 pixels of the network's input."""
SPREAD = 1 / 2
"""Distance, relative to the short side, at which a correction falls to 1/e.

On 16 unseen photographs with ten random hints each, the chrominance RMSE was 15.3 without hints and
12.5 with hints as network input; with the correction, 11.3 for 1/8, 10.6 for 1/4, and 10.4 for 1/2
and 1."""
CONTRAST = 0.2
"""Difference of luminance, in [0,1], at which a correction falls to 1/e.

On the same photographs, RMSE was 10.7 with 0.1, 10.4 with 0.2, and 10.3 with 0.4, which bleeds more
across edges."""
ROUNDS = 24
"""Largest number of successive corrections."""
MET = 1e-3
"""Tolerance of chrominance, in [0,1], within which a hint counts as met: 0.2 ab units."""
STEPS = 16
"""Number of bisection steps of the lightness, to a precision of 0.0015 L*."""
LIKENESS = 4
"""Exponent of the cosine similarity in the weights of positions: 0.5 counts as 1/16."""
MIN_SHARE = 0.01
"""Smallest probability of a likely color."""
DISTINCT = 12.0
"""Smallest distance between two returned colors in ab units."""
COMMON = (
    *((0, 0), (14, 18), (-4, -24), (-18, 30), (12, 28)),  # gray, skin, sky, leaves, wood
    *((12, -38), (38, 28), (4, 48), (22, -18), (-22, -2)),  # navy, brick, straw, violet, teal
)
"""a* and b* of common colors in photographs."""


class PlacedHints:
    """The hints of a photo; of several hints closer than 2·RADIUS, the last one is used.

    (Chrominance has half the resolution: different colors at neighboring pixels can't both be met.)

    Args:
        hints: at least one.
        luminance: luminance of the photo, in the network's color space.
        seen_11hw: luminance at the working size.

    Raises:
        IrodoriError: a hint lies outside the photo, or there are too many.
    """

    def __init__(self, hints: Sequence[Hint], luminance: PhotoLuminance, seen_11hw: Tensor) -> None:
        refuse_too_many(len(hints))
        self.height, self.width = luminance.height, luminance.width
        self.seen_11hw = seen_11hw
        pixels_N2 = torch.tensor(
            [
                pixel_of(hint, self.height, self.width, f"hint {number}")
                for number, hint in enumerate(hints, 1)
            ]
        )
        scale_2 = torch.tensor(seen_11hw.shape[-2:]) / torch.tensor([self.height, self.width])
        places_N2 = (pixels_N2 + 0.5) * scale_2
        distance_NN = (places_N2[:, None] - places_N2).abs().amax(2)
        counts_N = ~(distance_NN < 2 * RADIUS).triu(1).any(1)
        self.rows, self.columns = pixels_N2[counts_N].T
        self.seen_rows, self.seen_columns = places_N2[counts_N].long().T
        colors = [hint.color for hint, counts in zip(hints, counts_N, strict=True) if counts]
        self.luminance_N = luminance.pixels(self.rows.tolist(), self.columns.tolist())
        ab_2N = ab_of(colors).to(self.luminance_N)
        self.chroma_CN = chroma_of(luminance.space, self.luminance_N, ab_2N)

    def planes(self) -> Tensor:
        """Return the network's input for the hints, 1×(C + 1)×h×w.

        It has the chrominance at hints and 0 elsewhere; the last channel is 1 at hints.
        """
        channels = len(self.chroma_CN)
        planes_1Mhw = self.seen_11hw.new_zeros(1, channels + 1, *self.seen_11hw.shape[-2:])
        places = zip(self.seen_rows.tolist(), self.seen_columns.tolist(), strict=True)
        for number, (y, x) in enumerate(places):
            area = planes_1Mhw[
                0, :, max(y - RADIUS, 0) : y + RADIUS + 1, max(x - RADIUS, 0) : x + RADIUS + 1
            ]
            area[:channels] = self.chroma_CN[:, number, None, None]
            area[channels] = 1
        return planes_1Mhw

    def correct_chroma(self, chroma_1Chw: Tensor) -> Tensor:
        """Correct predicted chrominance so that the photo has the hints' colors at their positions.

        The remaining error at the hints after upsampling is interpolated with the kernel
        exp(−distance/SPREAD − (difference of luminance/CONTRAST)²), which is 1 at a hint and falls
        off with distance and across edges. The kernel is positive definite, so that all hints can
        be met; not smooth in distance, so that different hints close together hardly overshoot; and
        smooth in luminance, so that fine detail hardly affects colors. Since upsampling mixes
        neighbors, the remaining error is corrected again.

        Args:
            chroma_1Chw: chrominance, 1×C×⌈h/2⌉×⌈w/2⌉.
        """
        luminance_hw = reduce_chroma(self.seen_11hw)[0, 0]
        height, width = luminance_hw.shape
        places = (self.seen_rows // 2, self.seen_columns // 2)
        rows_N, columns_N = (lines_N.to(luminance_hw.device) for lines_N in places)
        y_Nh1 = torch.arange(height, device=rows_N.device)[:, None] - rows_N[:, None, None]
        x_N1w = torch.arange(width, device=rows_N.device) - columns_N[:, None, None]
        distance_Nhw = torch.hypot(y_Nh1.float(), x_N1w.float()) / (SPREAD * min(height, width))
        contrast_Nhw = (luminance_hw - luminance_hw[rows_N, columns_N][:, None, None]).abs()
        kernel_Nhw = (-distance_Nhw - (contrast_Nhw / CONTRAST) ** 2).exp()
        kernel_NN = kernel_Nhw[:, rows_N, columns_N].cpu().double()
        for _ in range(ROUNDS):
            upsampler = GuidedUpsampler(chroma_1Chw, self.seen_11hw, self.height, self.width)
            missing_CN = self.chroma_CN - upsampler.at(self.rows, self.columns, self.luminance_N)
            if (missing_CN.abs() < MET).all():
                break
            weight_NC = torch.linalg.solve(kernel_NN, missing_CN.T.cpu().double()).to(chroma_1Chw)
            chroma_1Chw = chroma_1Chw + torch.einsum("nc,nhw->chw", weight_NC, kernel_Nhw)
        return chroma_1Chw


def pixel_of(hint: Hint, height: int, width: int, name: str) -> tuple[int, int]:
    """Return row and column of a hint's pixel.

    Raises:
        IrodoriError: the hint lies outside the photo.
    """
    x, y = (hint.x * width, hint.y * height) if hint.relative else (hint.x, hint.y)
    if x > width or y > height:
        raise IrodoriError(
            f"{name} lies at x {hint.x:g}, y {hint.y:g}, outside the photo of {width}×{height}"
            " pixels"
        )
    return min(int(y), height - 1), min(int(x), width - 1)


def scaled_position(
    place: tuple[int, int], size: tuple[int, int], seen_size: Sequence[int]
) -> tuple[int, int]:
    """Return row and column of a pixel after scaling the photo to another size."""
    row, column = (
        int((line + 0.5) * seen / whole)
        for line, seen, whole in zip(place, seen_size, size, strict=True)
    )
    return row, column


def ab_of(colors: Sequence[str]) -> Tensor:
    """Return the a* and b*, 2×N, of colors "#rrggbb"."""
    levels_N3 = torch.tensor([list(bytes.fromhex(color[1:])) for color in colors])
    return rgb_to_lab((levels_N3.T / 255)[None, :, None])[0, 1:, 0]


def chroma_of(space: ColorSpace, luminance_N: Tensor, ab_2N: Tensor) -> Tensor:
    """Return the chrominance C×N that, with the luminance, gives a* and b*.

    Colors outside of sRGB at this luminance are desaturated. In most spaces, the L* for a luminance
    depends on a* and b* and is found by bisection.
    """
    lab, luminance_111N = FusedLab(), luminance_N[None, None, None]
    half_ranges_2 = ab_2N.new_tensor(lab.chroma_range)
    chroma_121N = (ab_2N / (2 * half_ranges_2[:, None]) + 0.5)[None, :, None]
    lightness_111N = torch.full_like(luminance_111N, 0.5)
    for step in range(2, STEPS + 2):
        rgb_131N = into_gamut(lab, lightness_111N, chroma_121N)
        sign_111N = (luminance_111N - space.luminance(rgb_131N)).sign()
        lightness_111N = lightness_111N + sign_111N * 0.5**step
    chroma_1C1N: Tensor = space.encode(into_gamut(lab, lightness_111N, chroma_121N))[1]
    return chroma_1C1N[0, :, 0]


def rgb_of(space: ColorSpace, luminance_N: Tensor, chroma_CN: Tensor) -> Tensor:
    """Join luminance and chrominance to sRGB, 3×N in [0,1], desaturated into the gamut."""
    rgb_131N = into_gamut(space, luminance_N[None, None, None], chroma_CN[None, :, None])
    return rgb_131N[0, :, 0]


def hex_of(rgb_3: Tensor) -> str:
    """Return sRGB in [0,1] as "#rrggbb"."""
    return "#" + bytes(to_uint8(rgb_3).tolist()).hex()


def likely_colors(photo: "PreparedPhoto", x_share: float, y_share: float, count: int) -> list[str]:
    """Return likely colors at a position; see `PreparedPhoto.likely_colors`.

    The predicted color comes first, then other probable ones: from the color classes of a network
    that predicts them, or else from the predicted colors at similar positions. A more saturated
    version of the predicted color follows, since uncertain predictions are pale, and then common
    colors.
    """
    network, space, luminance = photo.network, photo.luminance.space, photo.luminance
    size, seen_size = (luminance.height, luminance.width), photo.seen_11hw.shape[-2:]
    hint = Hint(x_share, y_share, "#000000", relative=True)
    row, column = pixel_of(hint, *size, "the place")
    own_1 = luminance.pixels([row], [column])
    seen_place = scaled_position((row, column), size, seen_size)
    y, x = (line + margin for line, margin in zip(seen_place, photo.margin, strict=True))

    whole_size = photo.mirrored_11hw.shape[-2:]
    prediction_1Qhw = network.prediction(photo.local, whole_size, photo.global_1G)
    half_size = ((side + 1) // 2 for side in whole_size)
    chroma_1Chw: Tensor = network.output(prediction_1Qhw, *half_size)
    rgb_131 = rgb_of(space, own_1, chroma_1Chw[0, :, y // 2, x // 2, None])
    predicted_21 = rgb_to_lab(rgb_131[None, :, None])[0, 1:, 0]
    if isinstance(network.output, AbClassesOutput):
        stride = 2 * network.output.stride
        share_Q = prediction_1Qhw[0, :, y // stride, x // stride].float().softmax(0)
        ab_2Q = centers().T.to(share_Q)
    else:
        # At the stride of the local features, 8.
        cells_1Chw = functional.avg_pool2d(chroma_1Chw, 4, ceil_mode=True)
        cells_11hw = functional.avg_pool2d(photo.mirrored_11hw, 8, ceil_mode=True)
        ab_2hw = rgb_to_lab(into_gamut(space, cells_11hw, cells_1Chw))[0, 1:]
        ab_2Q, share_Q = _shares_by_likeness(photo.local.features_BCHW, ab_2hw, (y // 8, x // 8))
    order_K = share_Q.argsort(descending=True)[: int((share_Q >= MIN_SHARE).sum())]
    common_2K = predicted_21.new_tensor(COMMON).T
    ab_2K = torch.cat([predicted_21, ab_2Q[:, order_K], 2 * predicted_21, common_2K], 1)

    own_K = own_1.expand(ab_2K.shape[1])
    rgb_3K = rgb_of(space, own_K, chroma_of(space, own_K, ab_2K))
    shown_K2 = rgb_to_lab(rgb_3K[None, :, None])[0, 1:, 0].T
    chosen: list[int] = []
    for number, shown_2 in enumerate(shown_K2):
        distance_C = (shown_K2[chosen] - shown_2).norm(dim=1)
        if len(chosen) < count and (distance_C >= DISTINCT).all():
            chosen.append(number)
    return [hex_of(rgb_3K[:, number]) for number in chosen]


def _shares_by_likeness(
    features_1Chw: Tensor, ab_2hw: Tensor, place: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return mean colors (2×Q) and shares (Q) of a*b* bins, over positions similar to `place`.

    Positions are weighted by the cosine similarity of their features after subtracting the mean
    over the photo, which carries no information.
    """
    features_1Chw = features_1Chw.float() - features_1Chw.float().mean((2, 3), keepdim=True)
    here_1C11 = features_1Chw[:, :, place[0], place[1], None, None]
    likeness_N = functional.cosine_similarity(features_1Chw, here_1C11).flatten()
    weight_N = likeness_N.clamp(min=0) ** LIKENESS
    bins_N = bins_of(ab_2hw).flatten()
    share_Q = weight_N.new_zeros(BINS**2).scatter_add_(0, bins_N, weight_N)
    sum_2Q = weight_N.new_zeros(2, BINS**2)
    sum_2Q.scatter_add_(1, bins_N.expand(2, -1), weight_N * ab_2hw.flatten(1))
    return sum_2Q / share_Q.clamp(min=1e-12), share_Q / share_Q.sum().clamp(min=1e-12)
