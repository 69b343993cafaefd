"""`PreparedPhoto`: a photo with all that the network finds in it before it chooses colors."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irodori.inference.gamut import into_gamut
from irodori.inference.hints import Hint
from irodori.inference.likely_colors import color_shares, distinct_colors
from irodori.inference.luminance import PART, PhotoLuminance, Pixels, to_levels
from irodori.inference.placed_hints import PlacedHints, pixel_of
from irodori.inference.tiles import predict_in_tiles
from irodori.inference.upsampling import GuidedUpsampler
from irodori.network.backbone import Local
from irodori.utils.errors import IrodoriError, is_out_of_memory

if TYPE_CHECKING:
    from irodori.inference.colorizer import Colorizer

TILE = 1024
"""Side in pixels of the square that the network sees in one piece; larger photos are tiled."""
MARGIN = 16
"""Pixels by which a photo is mirrored beyond its borders before the network sees it.

Networks see zeros there, and color borders worse: on the photographs of folds 0 and 2 of the
sample, by networks of experiments/starter that hadn't seen them, the chrominance RMSE of the outer
12 pixels was 11.97 without, 11.35 with 16 and 11.28 with 32 mirrored pixels, and of the whole
12.13, 12.04 and 12.03."""


class Colored(NamedTuple):
    """A colorized photo.

    Attributes:
        pixels_HW3: sRGB, of the photo's size and depth (uint8 or uint16).
        scenes: names with probabilities, the likeliest first; empty without classification.
        work_size: height and width at which the network saw the photo.
    """

    pixels_HW3: Pixels
    scenes: dict[str, float]
    work_size: tuple[int, int]


class PreparedPhoto:
    """A photo with its local and global features, which don't depend on hints.

    It can be colored again and again with other hints, which takes a part of the time. Made by
    `Colorizer.prepare`; use it in one thread at a time.

    Args:
        colorizer: whose network and settings are used.
        pixels_HWC, style_1G: see `Colorizer.color`.
    """

    def __init__(
        self, colorizer: "Colorizer", pixels_HWC: Pixels, style_1G: Tensor | None = None
    ) -> None:
        self.colorizer = colorizer
        self.network = colorizer.network
        with torch.inference_mode():
            self.luminance = PhotoLuminance(pixels_HWC, colorizer.space, colorizer.device)
            self.seen_11hw = colorizer.seen(self.luminance)
            # Even, so that the chrominance stays where it is; a mirror is less than the photo.
            self.margin = tuple(min(MARGIN, (side - 1) // 2 * 2) for side in self.seen_11hw.shape[-2:])
            self.mirrored_11hw = self._mirrored(self.seen_11hw)
            self.global_1G: Tensor | None = None
            self.scenes: dict[str, float] = {}
            if self.network.backbone.global_channels:
                self.global_1G, logits_1C = self.network.global_features(self.seen_11hw)
                self.scenes = colorizer.named(logits_1C)
                if style_1G is not None:
                    strength = colorizer.settings.style_strength
                    self.global_1G = torch.lerp(self.global_1G, style_1G, strength)

    def color(
        self, hints: Sequence[Hint] = (), check: Callable[[], None] = lambda: None
    ) -> Colored:
        """Colorize the photo.

        Args:
            hints: colors that are known; they are met (before `saturation` changes all colors).
            check: is called several times a second and may raise an exception to end the work.

        Raises:
            IrodoriError: there is no memory even for small parts, or the checkpoint is damaged; or
                there are hints, and one lies outside of the photo, or the model takes none, or the
                photo is too large to be seen in one piece.
        """
        with torch.inference_mode():
            placed = None
            if hints:
                self.colorizer.refuse_hints()
                placed = PlacedHints(hints, self.luminance, self.seen_11hw)
            chroma_1Chw = self._chroma(placed)
            if not chroma_1Chw.isfinite().all():
                raise IrodoriError("the network gives no numbers: its checkpoint is damaged")
            if placed is not None:
                chroma_1Chw = placed.met_by(chroma_1Chw)
            pixels_HW3 = self._joined(self.luminance, chroma_1Chw, self.seen_11hw, check)
        work_size = (self.seen_11hw.shape[2], self.seen_11hw.shape[3])
        return Colored(pixels_HW3, self.scenes, work_size)

    def likely_colors(self, x_share: float, y_share: float, count: int = 8) -> list[str]:
        """Return colors that the network holds likely at a place, "#rrggbb", the likeliest first.

        They have the photo's own lightness there and differ visibly, so that there may be fewer
        where it is nearly black or white. Colors that are common in photographs fill the list up.

        Args:
            x_share, y_share: the place as shares of width and height, 0 to 1.
            count: of colors, at most.

        Raises:
            IrodoriError: the photo is too large to be seen in one piece.
        """
        height, width = self.luminance.height, self.luminance.width
        hint = Hint(x_share, y_share, "#000000", relative=True)
        row, column = pixel_of(hint, height, width, "the place")
        with torch.inference_mode():
            own_1 = self.luminance.rows(row, row + 1)[0, 0, 0, column : column + 1]
            y, x = (
                int((line + 0.5) * seen / size) + margin
                for line, seen, size, margin in zip(
                    (row, column), self.seen_11hw.shape[-2:], (height, width), self.margin, strict=True
                )
            )
            shares = color_shares(self.network, self.local, self.global_1G, self.colorizer.space, self.mirrored_11hw, (y, x))
            return distinct_colors(self.colorizer.space, own_1, *shares, count)
