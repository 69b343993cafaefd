"""Likely colors at a position of a photo, for a person to choose from."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from irodori.color.ab_bins import BINS, bins_of, centers
from irodori.color.lab import rgb_to_lab
from irodori.inference.gamut import into_gamut
from irodori.inference.hints import Hint
from irodori.inference.placed_hints import chroma_of, hex_of, pixel_of, rgb_of, scaled_position
from irodori.network.output import AbClassesOutput

if TYPE_CHECKING:
    from irodori.inference.prepared_photo import PreparedPhoto

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
