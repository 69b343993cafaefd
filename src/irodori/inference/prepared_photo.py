"""`PreparedPhoto`: a photo with the features that don't depend on hints."""

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
"""Side in pixels of the largest square processed as a whole; larger photos are tiled."""
MARGIN = 16
"""Width in pixels of mirrored borders that are added to the network's input.

Otherwise networks see zeros beyond the border and colorize it worse. On unseen photographs (folds 0
and 2 of the sample, networks of experiments/starter), the chrominance RMSE of the outer 12 pixels
was 11.97 without, 11.35 with 16 and 11.28 with 32 mirrored pixels, and that of whole photographs
12.13, 12.04 and 12.03."""


class Colored(NamedTuple):
    """A colorized photo.

    Attributes:
        pixels_HW3: sRGB of the photo's size and depth (uint8 or uint16); `Rows` if the photo is.
        scenes: probabilities by name, most likely first; empty without classification.
        work_size: height and width at which the network saw the photo.
    """

    pixels_HW3: Pixels
    scenes: dict[str, float]
    work_size: tuple[int, int]


class PreparedPhoto:
    """A photo with its local and global features.

    It can be colorized repeatedly with different hints, in a fraction of the time. Created by
    `Colorizer.prepare`; not safe for concurrent use by several threads.

    Args:
        colorizer: colorizer whose network and settings are used.
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
            # Even, so that chrominance stays aligned; a mirrored border must be smaller than the
            # photo.
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
            hints: known colors, which the result has (before `saturation` changes all colors).
            check: called several times per second; may raise an exception to cancel.

        Raises:
            IrodoriError: there is not enough memory even for small parts, or the checkpoint is
                damaged; with hints, also if one lies outside the photo, the model doesn't support
                hints, or the photo is too large to be processed as a whole.
        """
        with torch.inference_mode():
            if hints:
                self.colorizer.require_hint_support()
                placed = PlacedHints(hints, self.luminance, self.seen_11hw)
                chroma_1Chw = self._within_margin(self._decoded(self._mirrored(placed.planes())))
            else:
                chroma_1Chw = self._within_margin(self._without_hints())
            if not chroma_1Chw.isfinite().all():
                raise IrodoriError("the network's output is not finite: its checkpoint is damaged")
            if hints:
                chroma_1Chw = placed.correct_chroma(chroma_1Chw)
            pixels_HW3 = self._joined(self.luminance, chroma_1Chw, self.seen_11hw, check)
        work_size = (self.seen_11hw.shape[2], self.seen_11hw.shape[3])
        return Colored(pixels_HW3, self.scenes, work_size)

    def likely_colors(self, x_share: float, y_share: float, count: int = 8) -> list[str]:
        """Return likely colors at a position as "#rrggbb", most likely first.

        They have the photo's lightness at the position and differ visibly, so there may be fewer at
        nearly black or white positions. The list is filled up with common colors.

        Args:
            x_share, y_share: position as shares of width and height, 0 to 1.
            count: largest number of colors.

        Raises:
            IrodoriError: the photo is too large to be seen in one piece.
        """
        with torch.inference_mode():
            return likely_colors(self, x_share, y_share, count)

    @cached_property
    def local(self) -> Local:
        """The photo's local features, including mirrored borders.

        Raises:
            IrodoriError: the photo is too large to be seen in one piece.
        """
        height, width = self.mirrored_11hw.shape[-2:]
        if height * width > TILE * TILE:
            raise IrodoriError(
                f"hints require processing the photo as a whole, but {width}×{height}"
                " pixels are too many: choose a smaller --work-size"
            )
        return self.network.backbone.local_features(self.mirrored_11hw)

    def _mirrored(self, planes_1Phw: Tensor) -> Tensor:
        y, x = self.margin
        return functional.pad(planes_1Phw, (x, x, y, y), mode="reflect")

    def _within_margin(self, chroma_1Chw: Tensor) -> Tensor:
        """Return the chrominance without mirrored borders: 1×C×⌈h/2⌉×⌈w/2⌉."""
        (y, x), (height, width) = self.margin, self.seen_11hw.shape[-2:]
        y, x = y // 2, x // 2
        return chroma_1Chw[:, :, y : y + (height + 1) // 2, x : x + (width + 1) // 2]

    def _decoded(self, hints_1Mhw: Tensor | None = None) -> Tensor:
        """Return the chrominance of the photo with mirrored borders, processed as a whole."""
        size = self.mirrored_11hw.shape[-2:]
        return self.network.decode(self.local, size, self.global_1G, hints_1Mhw)

    def _without_hints(self) -> Tensor:
        """Return the chrominance of the photo with mirrored borders, as a whole or in tiles."""
        height, width = self.mirrored_11hw.shape[-2:]
        tile = TILE
        if height * width <= TILE * TILE:
            try:
                return self._decoded()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self.__dict__.pop("local", None)  # frees memory
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
        """Join the photo's luminance with the predicted chrominance, part by part."""
        space, saturation = self.colorizer.space, self.colorizer.settings.saturation
        height, width = luminance.height, luminance.width
        if width > PART and not is_rows(luminance.pixels_HWC):
            # Parts consist of whole rows: very wide photos are transposed first.
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
