"""`Colorizer`: a model that colorizes photos of any size and names their scenes."""

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from irodori.color import Lab
from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.inference.fast.fast_network import faster
from irodori.inference.fused_lab import FusedLab
from irodori.inference.gamut import into_gamut
from irodori.inference.luminance import PART, PhotoLuminance, Pixels, to_levels
from irodori.inference.receptive_field import Field, receptive_field
from irodori.inference.settings import NATIVE, WORK_SIZE, ColorizeSettings
from irodori.inference.tiles import predict_in_tiles
from irodori.inference.upsampling import GuidedUpsampler
from irodori.model import Model, load_model
from irodori.utils.errors import IrodoriError, is_out_of_memory

STARTER = Path(__file__).parent / "starter" / "starter.safetensors"
"""The bundled model."""
TILE = 1024
"""Side in pixels of the square that the network sees in one piece; larger photos are tiled."""
MARGIN = 16
"""Pixels by which a photo is mirrored beyond its borders before the network sees it.

Networks see zeros there, and color borders worse: on the photographs of folds 0 and 2 of the
sample, by networks of experiments/starter that hadn't seen them, the chrominance RMSE of the outer
12 pixels was 11.97 without, 11.35 with 16 and 11.28 with 32 mirrored pixels, and of the whole
12.13, 12.04 and 12.03."""
MAX_SEEN = 4
"""Working sizes squared that the network sees of a photo at most: long ones are seen smaller."""
MIN_SIDE = 32
"""Least side in pixels of what the network sees; beyond 1:256 it sees photos squeezed."""
STEADY = 64
"""Photos of a sequence that its global features are taken from, at most."""


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


class Colorizer:
    """Colorizes photographs with a trained model; it may be used by several threads.

    Args:
        model: see `load_model`; `Colorizer.load` takes it from a checkpoint.
        settings: how.
        device: where the network runs.
        precision: see `faster`.
        report: takes a line for the user when memory ran out and work continues in smaller parts;
            None: to stderr.
    """

    def __init__(
        self,
        model: Model,
        settings: ColorizeSettings | None = None,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.model = model
        self.space = FusedLab() if type(model.space) is Lab else model.space
        self.report = report or (lambda line: print(line, file=sys.stderr))
        self.settings = settings or ColorizeSettings()
        self.device = torch.device(device)
        self.network = faster(model.network.to(self.device), precision)

    @classmethod
    def load(
        cls,
        checkpoint: str | Path | None = None,
        settings: ColorizeSettings | None = None,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        report: Callable[[str], None] | None = None,
        trust: Sequence[str] = (),
    ) -> "Colorizer":
        """Return the colorizer of a checkpoint, or of the bundled model; needs no config file.

        Args:
            checkpoint: of a run, or its folder, or a safetensors file; None: the bundled model.
            settings, device, precision, report: see `Colorizer`.
            trust: names of packages besides irodori whose classes the checkpoint may name.

        Raises:
            IrodoriError: see `load_model`.
        """
        return cls(load_model(checkpoint or STARTER, trust), settings, device, precision, report)

    def __call__(self, image: Image.Image, style: Image.Image | None = None) -> Image.Image:
        """Return an RGB image of the same size, colorized from the photo's luminance alone.

        Args:
            image: the photo, in any mode that Pillow converts to RGB; its transparency is left out.
            style: an image of any size whose scene decides the colors in place of the photo's.
        """
        vector = None if style is None else self.global_features([pil_to_pixels(style)])
        return pixels_to_pil(self.color(pil_to_pixels(image), vector).pixels_HW3)

    def scenes(self, image: Image.Image) -> dict[str, float]:
        """Return scenes with their probabilities, the likeliest first; empty without scenes."""
        if self.model.network.classification is None:
            return {}
        with torch.inference_mode():
            luminance = self._luminance(pil_to_pixels(image))
            _, logits_1C = self.network.global_features(self._seen(luminance))
        return self._named(logits_1C)

    def global_features(self, photos: Sequence[Pixels]) -> Tensor:
        """Return the mean of photos' global features, 1×G: of a style image, or of a sequence.

        Args:
            photos: at least one; of more than STEADY, that many are looked at, evenly spread.

        Raises:
            IrodoriError: the model has no global features.
        """
        if not self.model.network.backbone.global_channels:
            raise IrodoriError("this model has no global features: it can't take those of a style")
        count = min(len(photos), STEADY)
        chosen = [photos[number * len(photos) // count] for number in range(count)]
        with torch.inference_mode():
            seen = [
                self.network.global_features(self._seen(self._luminance(photo)))[0]
                for photo in chosen
            ]
            return torch.stack(seen).mean(0)

    def color(
        self,
        pixels_HWC: Pixels,
        style_1G: Tensor | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Colored:
        """Colorize a photo; what it has of colors counts by its luminance alone.

        Args:
            pixels_HWC: H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16.
            style_1G: global features that take the place of the photo's own, as far as
                `style_strength` says; see `global_features`.
            check: is called several times a second and may raise an exception to end the work.

        Raises:
            ValueError: these aren't a photo's pixels.
            IrodoriError: there is no memory even for small parts, or the checkpoint is damaged.
        """
        with torch.inference_mode():
            luminance = self._luminance(pixels_HWC)
            seen_11hw = self._seen(luminance)
            global_1G, logits_1C = None, None
            if self.model.network.backbone.global_channels:
                global_1G, logits_1C = self.network.global_features(seen_11hw)
                if style_1G is not None:
                    global_1G = torch.lerp(global_1G, style_1G, self.settings.style_strength)
            chroma_1Chw = self._within_margin(seen_11hw, global_1G)
            if not chroma_1Chw.isfinite().all():
                raise IrodoriError("the network gives no numbers: its checkpoint is damaged")
            work_size = (seen_11hw.shape[2], seen_11hw.shape[3])
            pixels_HW3 = self._joined(luminance, chroma_1Chw, seen_11hw, check)
        return Colored(pixels_HW3, self._named(logits_1C), work_size)

    def _luminance(self, pixels_HWC: Pixels) -> PhotoLuminance:
        return PhotoLuminance(pixels_HWC, self.space, self.device)

    def _seen(self, luminance: PhotoLuminance) -> Tensor:
        """Return the luminance at the size at which the network sees it: 1×1×h×w.

        Smaller photos are scaled up: the network knows things by the size that it has seen them in,
        and gives tiny ones little color.
        """
        height, width = luminance.height, luminance.width
        if self.settings.work_size != NATIVE:
            height, width = seen_size(height, width, self.settings.work_size)
        return luminance.at(height, width)

    def _within_margin(self, seen_11hw: Tensor, global_1G: Tensor | None) -> Tensor:
        """Return chrominance 1×C×⌈h/2⌉×⌈w/2⌉ of what the network sees, mirrored at its borders."""
        height, width = seen_11hw.shape[-2:]
        # Even, so that the chrominance stays where it is; a mirror is less than the photo.
        y, x = (min(MARGIN, (side - 1) // 2 * 2) for side in (height, width))
        mirrored = functional.pad(seen_11hw, (x, x, y, y), mode="reflect")
        chroma_1Chw = self._predicted(mirrored, global_1G)
        y, x = y // 2, x // 2
        return chroma_1Chw[:, :, y : y + (height + 1) // 2, x : x + (width + 1) // 2]

    @cached_property
    def _field(self) -> Field | None:
        """The network's receptive field; in fp32, where it is found on any machine."""
        return receptive_field(self.model.network)

    def _predicted(self, seen_11hw: Tensor, global_1G: Tensor | None) -> Tensor:
        """Return chrominance of what the network sees, 1×C×⌈h/2⌉×⌈w/2⌉: in one piece or tiles."""
        height, width = seen_11hw.shape[-2:]
        tile = TILE
        if height * width <= TILE * TILE:
            try:
                return self.network.color(seen_11hw, global_1G)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            tile = max(height, width) // 2
            self.report(f"not enough memory for {width}×{height} pixels: trying tiles")
        if self._field is None:
            raise IrodoriError(
                f"every color of this network depends on the whole photo (attention, or means over"
                f" it), and {width}×{height} pixels are too many at once: choose a smaller"
                " --work-size"
            )
        chroma_Chw = predict_in_tiles(
            self.network, seen_11hw[0], global_1G, tile, self._field, self.report
        )
        return chroma_Chw[None].to(self.device)

    def _joined(
        self,
        luminance: PhotoLuminance,
        chroma_1Chw: Tensor,
        seen_11hw: Tensor,
        check: Callable[[], None],
    ) -> Pixels:
        """Join the photo's own luminance with its chrominance, part by part."""
        height, width = luminance.height, luminance.width
        if width > PART:
            # Parts are whole rows: a photo of so long ones is joined lying on its side.
            turned = self._luminance(np.ascontiguousarray(luminance.pixels_HWC.swapaxes(0, 1)))
            pixels_WH3 = self._joined(turned, chroma_1Chw.mT, seen_11hw.mT, check)
            return np.ascontiguousarray(pixels_WH3.swapaxes(0, 1))
        upsampler = GuidedUpsampler(chroma_1Chw, seen_11hw, height, width)
        pixels_HW3 = np.empty((height, width, 3), luminance.pixels_HWC.dtype)
        step = max(1, PART // width)
        for top in range(0, height, step):
            check()
            bottom = min(top + step, height)
            own_11HW = luminance.rows(top, bottom)
            chroma_1CHW = upsampler.rows(top, bottom, own_11HW)
            if self.settings.saturation != 1:
                gray_1CHW = self.space.gray_chroma(own_11HW)
                chroma_1CHW = torch.lerp(gray_1CHW, chroma_1CHW, self.settings.saturation)
            rgb_13HW = into_gamut(self.space, own_11HW, chroma_1CHW)
            pixels_HW3[top:bottom] = to_levels(rgb_13HW, pixels_HW3.dtype)
        return pixels_HW3

    def _named(self, logits_1C: Tensor | None) -> dict[str, float]:
        """Return scene names with probabilities, the likeliest first."""
        if logits_1C is None:
            return {}
        shares_C = logits_1C[0].float().softmax(0)
        order = shares_C.argsort(descending=True).tolist()
        return {self.model.classes[number]: shares_C[number].item() for number in order}


def seen_size(height: int, width: int, work_size: int) -> tuple[int, int]:
    """Return the size at which the network sees a photo of this size."""
    short = min(height, width)
    max_area = MAX_SEEN * work_size**2
    # GuidedUpsampler no further than to what the network is trained with.
    wanted = min(work_size, max(short, WORK_SIZE))
    scale = min(wanted / short, (max_area / (height * width)) ** 0.5)
    height, width = (max(round(side * scale), MIN_SIDE) for side in (height, width))
    if height * width > max_area:
        longest = max_area // min(height, width)
        height, width = min(height, longest), min(width, longest)
    return height, width
