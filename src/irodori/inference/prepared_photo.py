"""`PreparedPhoto`: a photo with all that the network finds in it before it chooses colors."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irodori.imageio.rows import Rows, is_rows
from irodori.inference.gamut import into_gamut
from irodori.inference.hints import Hint
from irodori.inference.luminance import PART, PhotoLuminance, Pixels, to_levels
from irodori.inference.placed_hints import PlacedHints, likely_colors
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
        pixels_HW3: sRGB, of the photo's size and depth (uint8 or uint16); `Rows` of `Rows`.
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
            self.margin = tuple(
                min(MARGIN, (side - 1) // 2 * 2) for side in self.seen_11hw.shape[-2:]
            )
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
            if hints:
                self.colorizer.refuse_hints_unless_taken()
                placed = PlacedHints(hints, self.luminance, self.seen_11hw)
                chroma_1Chw = self._within_margin(self._decoded(self._mirrored(placed.planes())))
            else:
                chroma_1Chw = self._within_margin(self._without_hints())
            if not chroma_1Chw.isfinite().all():
                raise IrodoriError("the network gives no numbers: its checkpoint is damaged")
            if hints:
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
        with torch.inference_mode():
            return likely_colors(self, x_share, y_share, count)

    @cached_property
    def local(self) -> Local:
        """Its local features, with those of its mirrored borders.

        Raises:
            IrodoriError: the photo is too large to be seen in one piece.
        """
        height, width = self.mirrored_11hw.shape[-2:]
        if height * width > TILE * TILE:
            raise IrodoriError(
                f"hints need a photo in one piece, and the network would see {width}×{height}"
                " pixels, too many at once: choose a smaller --work-size"
            )
        return self.network.backbone.local_features(self.mirrored_11hw)

    def _mirrored(self, planes_1Phw: Tensor) -> Tensor:
        y, x = self.margin
        return functional.pad(planes_1Phw, (x, x, y, y), mode="reflect")

    def _within_margin(self, chroma_1Chw: Tensor) -> Tensor:
        """Return the part of the chrominance that is the photo's: 1×C×⌈h/2⌉×⌈w/2⌉."""
        (y, x), (height, width) = self.margin, self.seen_11hw.shape[-2:]
        y, x = y // 2, x // 2
        return chroma_1Chw[:, :, y : y + (height + 1) // 2, x : x + (width + 1) // 2]

    def _decoded(self, hints_1Mhw: Tensor | None = None) -> Tensor:
        """Return the chrominance of the photo and its mirrored borders, in one piece."""
        size = self.mirrored_11hw.shape[-2:]
        return self.network.decode(self.local, size, self.global_1G, hints_1Mhw)

    def _without_hints(self) -> Tensor:
        """Return the chrominance of the photo and its mirrored borders, in one piece or tiles."""
        height, width = self.mirrored_11hw.shape[-2:]
        tile = TILE
        if height * width <= TILE * TILE:
            try:
                return self._decoded()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self.__dict__.pop("local", None)  # it takes memory
            tile = max(height, width) // 2
            self.colorizer.report(f"not enough memory for {width}×{height} pixels: trying tiles")
        field = self.colorizer.field
        if field is None:
            raise IrodoriError(
                f"every color of this network depends on the whole photo (attention, or means over"
                f" it), and {width}×{height} pixels are too many at once: choose a smaller"
                " --work-size"
            )
        chroma_Chw = predict_in_tiles(
            self.network, self.mirrored_11hw[0], self.global_1G, tile, field, self.colorizer.report
        )
        return chroma_Chw[None].to(self.colorizer.device)

    def _joined(
        self,
        luminance: PhotoLuminance,
        chroma_1Chw: Tensor,
        seen_11hw: Tensor,
        check: Callable[[], None],
    ) -> Pixels:
        """Join the photo's own luminance with its chrominance, part by part."""
        space, saturation = self.colorizer.space, self.colorizer.settings.saturation
        height, width = luminance.height, luminance.width
        if width > PART and not is_rows(luminance.pixels_HWC):
            # Parts are whole rows: a photo of so long ones is joined lying on its side.
            turned = PhotoLuminance(
                np.ascontiguousarray(luminance.pixels_HWC.swapaxes(0, 1)),
                space,
                self.colorizer.device,
            )
            pixels_WH3 = self._joined(turned, chroma_1Chw.mT, seen_11hw.mT, check)
            return np.ascontiguousarray(pixels_WH3.swapaxes(0, 1))
        upsampler = GuidedUpsampler(chroma_1Chw, seen_11hw, height, width)
        dtype = luminance.pixels_HWC.dtype

        @torch.inference_mode()
        def joined(top: int, bottom: int) -> Pixels:
            check()
            own_11HW = luminance.rows(top, bottom)
            chroma_1CHW = upsampler.rows(top, bottom, own_11HW)
            if saturation != 1:
                gray_1CHW = space.gray_chroma(own_11HW)
                chroma_1CHW = torch.lerp(gray_1CHW, chroma_1CHW, saturation)
            return to_levels(into_gamut(space, own_11HW, chroma_1CHW), dtype)

        step = max(1, PART // width)
        if is_rows(luminance.pixels_HWC):
            return cast("Pixels", Rows(height, joined, step))
        pixels_HW3 = np.empty((height, width, 3), dtype)
        for top in range(0, height, step):
            pixels_HW3[top : top + step] = joined(top, min(top + step, height))
        return pixels_HW3
