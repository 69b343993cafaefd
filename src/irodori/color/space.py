"""The base class of color spaces: luminance and chrominance in [0, 1], to and from sRGB."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from irodori.color.precision import full_precision, to_full_precision
from irodori.config.describable import Describable


class ColorSpace(Describable, ABC):
    """Splits an sRGB picture into luminance and chrominance, and joins them again.

    The network sees the luminance and predicts the chrominance. Both are scaled to [0, 1]:

        luminance = native luminance / luminance_range
        chroma    = (native chroma - chroma_center) / (2 * chroma_range) + 0.5

    so that gray has a chroma of 0.5. Instances are stateless.

    To add a color space, derive a class that defines its ranges and converts native values:

        class Hunter(ColorSpace):
            luminance_range = 100.0
            chroma_range = (90.0, 80.0)

            def native_from_rgb(self, rgb_B3HW): ...

            def rgb_from_native(self, native_BDHW): ...

    The two methods may use any differentiable operations, including matrix products. They are
    called on the input's device, in fp32 (float64 for float64 inputs), outside autocast and without
    TF32, whatever the caller's precision.
    """

    luminance_range: ClassVar[float] = 1.0
    """Native luminance of white; that of black is 0."""
    chroma_center: ClassVar[float] = 0.0
    """Native chroma that maps to 0.5."""
    chroma_range: ClassVar[tuple[float, ...]]
    """Half the native range of each chroma channel: from center - range to center + range, which
    covers all of sRGB."""
    predicts_luminance: ClassVar[bool] = False
    """Whether chroma also contains the luminance, see `as_predicted`."""

    @abstractmethod
    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        """Convert sRGB in [0, 1] to luminance and chroma in native units, B×(1 + C)×H×W."""

    @abstractmethod
    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        """Convert native values to sRGB, B×3×H×W, not clipped, with finite gradients.

        Colors may be outside of sRGB.
        """

    @property
    def chroma_channels(self) -> int:
        """The number of channels that the network predicts: 2 or 3."""
        return len(self.chroma_range)

    def encode(self, rgb_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Split sRGB into luminance and chrominance; differentiable.

        Args:
            rgb_B3HW: sRGB in [0, 1], of any floating-point type.

        Returns:
            luminance B×1×H×W and chroma B×C×H×W, fp32 (or float64). For sRGB in [0, 1] both lie in
            [0, 1], up to a rounding error of 1e-6.

        Raises:
            TypeError, ValueError: the picture has another type or shape.
        """
        rgb_B3HW = to_full_precision(rgb_B3HW, "rgb_B3HW", 3)
        with full_precision(rgb_B3HW.device):
            luminance, *chroma = self.native_from_rgb(rgb_B3HW).unbind(1)
            scaled = [
                (plane - self.chroma_center) / (2 * half_range) + 0.5
                for plane, half_range in zip(chroma, self.chroma_range, strict=True)
            ]
            return (luminance / self.luminance_range).unsqueeze(1), torch.stack(scaled, dim=1)

    def luminance(self, rgb_B3HW: Tensor) -> Tensor:
        """Return only the luminance, B×1×H×W; see `encode`."""
        return self.encode(rgb_B3HW)[0]

    def decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """Join luminance and chrominance in [0, 1]; differentiable.

        Returns:
            sRGB B×3×H×W, fp32 (or float64 if either argument is). Not every pair of luminance and
            chroma is an sRGB color. The result is not clipped to [0, 1], so that gradients persist;
            `to_uint8` clips it for display.

        Raises:
            TypeError, ValueError: types or shapes don't match.
        """
        luminance_B1HW = to_full_precision(luminance_B1HW, "luminance_B1HW", 1)
        chroma_BCHW = to_full_precision(chroma_BCHW, "chroma_BCHW", self.chroma_channels)
        shapes = [(len(part), *part.shape[2:]) for part in (luminance_B1HW, chroma_BCHW)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "luminance_B1HW and chroma_BCHW must have the same batch, height and width, not"
                f" {shapes[0]} and {shapes[1]}"
            )
        with full_precision(luminance_B1HW.device):
            native = [luminance_B1HW.squeeze(1) * self.luminance_range]
            for plane, half_range in zip(chroma_BCHW.unbind(1), self.chroma_range, strict=True):
                native.append((plane - 0.5) * (2 * half_range) + self.chroma_center)
            return self.rgb_from_native(torch.stack(native, dim=1))

    def gray_chroma(self, luminance_B1HW: Tensor) -> Tensor:
        """Return the chroma B×C×H×W of gray with this luminance (B×1×H×W in [0, 1])."""
        gray_B1HW = torch.full_like(to_full_precision(luminance_B1HW, "luminance_B1HW", 1), 0.5)
        return gray_B1HW.repeat(1, self.chroma_channels, 1, 1)

    def as_predicted(self, chroma_BCHW: Tensor) -> Tensor:
        """Return sRGB B×3×H×W from a chroma that contains the luminance."""
        raise ValueError(f"the chroma of {type(self).__name__} holds no luminance")

    def ranges(self) -> dict[str, Any]:
        """Return the ranges, which a model depends on, as plain types.

        They are stored in checkpoints: a model trained with other ranges would give wrong colors.
        """
        return {
            "chroma_channels": self.chroma_channels,
            "luminance_range": self.luminance_range,
            "chroma_center": self.chroma_center,
            "chroma_range": list(self.chroma_range),
        }
