"""What a color space is: luminance and chrominance, both scaled to [0, 1], to and from sRGB."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from irodori.color.planes import Planes, by_parts, check_picture, full_precision, working_dtype
from irodori.color.srgb import srgb_from_linear
from irodori.utils.describable import Describable


class ColorSpace(Describable, ABC):
    """Splits an sRGB picture into luminance and chrominance, and joins them again.

    The network sees the luminance and predicts the chrominance. Both are scaled to [0, 1]:

        luminance = native luminance / luminance_range
        chroma    = (native chroma - chroma_center) / (2 * chroma_range) + 0.5

    so that gray has a chroma of 0.5. An instance holds no state: it may be shared and copied.

    `encode` and `decode` compute on the tensors' own device, in fp32 (float64 if given float64)
    and outside autocast, whatever the caller's precision: under bf16, Lab would be wrong by up to
    three units. Both can be differentiated.

    A new space subclasses `OfLight`, `LinearlyScaled` or this class, and is named in
    `COLOR_SPACES`.
    """

    name: ClassVar[str]
    """What the space is called in configs and checkpoints."""
    chroma_channels: ClassVar[int] = 2
    """How many channels the network predicts."""
    predicts_luminance: ClassVar[bool] = False
    """Whether chroma says the luminance a second time, see `Rgb.as_predicted`."""
    luminance_range: ClassVar[float] = 1.0
    """Native luminance of white; black has 0."""
    chroma_center: ClassVar[float] = 0.0
    """Native chroma that becomes 0.5."""
    chroma_range: ClassVar[tuple[float, ...]]
    """Half the native range of each chroma channel: it reaches from center - range to center +
    range, and holds all of sRGB."""

    def encode(self, rgb_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Split a picture.

        Args:
            rgb_B3HW: sRGB in [0, 1], of any floating-point type.

        Returns:
            luminance B×1×H×W and chroma B×C×H×W, fp32 (or float64). For sRGB in [0, 1] both lie in
            [0, 1] but for a rounding error of less than 1e-6.

        Raises:
            TypeError: if the picture is not of floating point.
            ValueError: if it has another shape.
        """
        check_picture(rgb_B3HW, "rgb_B3HW", 3)
        with full_precision(rgb_B3HW.device):
            luminance_B1HW, chroma_BCHW = by_parts(
                self._encode, rgb_B3HW.to(working_dtype(rgb_B3HW))
            )
            return luminance_B1HW, chroma_BCHW

    def luminance(self, rgb_B3HW: Tensor) -> Tensor:
        """Return the luminance B×1×H×W that `encode` gives, without the chrominance.

        Raises:
            TypeError: if the picture is not of floating point.
            ValueError: if it has another shape.
        """
        check_picture(rgb_B3HW, "rgb_B3HW", 3)
        with full_precision(rgb_B3HW.device):
            return self._luminance(rgb_B3HW.to(working_dtype(rgb_B3HW)))

    def decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """Join luminance and chrominance.

        Args:
            luminance_B1HW: in [0, 1].
            chroma_BCHW: in [0, 1], of the same height and width.

        Returns:
            sRGB B×3×H×W, fp32 (or float64 if either argument is). Not every pair of luminance and
            chroma is an sRGB colour: the result is not clipped to [0, 1], so that a loss can pull
            it back. `to_uint8` clips it for display.

        Raises:
            TypeError: if an argument is not of floating point.
            ValueError: if the shapes or devices do not fit.
        """
        check_picture(luminance_B1HW, "luminance_B1HW", 1)
        check_picture(chroma_BCHW, "chroma_BCHW", self.chroma_channels)
        if (
            luminance_B1HW.shape[0] != chroma_BCHW.shape[0]
            or luminance_B1HW.shape[2:] != chroma_BCHW.shape[2:]
        ):
            raise ValueError(
                "luminance_B1HW and chroma_BCHW must have the same batch, height and width, not "
                f"{tuple(luminance_B1HW.shape)} and {tuple(chroma_BCHW.shape)}"
            )
        if luminance_B1HW.device != chroma_BCHW.device:
            raise ValueError(
                "luminance_B1HW and chroma_BCHW must be on one device, not on "
                f"{luminance_B1HW.device} and {chroma_BCHW.device}"
            )
        dtype = working_dtype(luminance_B1HW, chroma_BCHW)
        with full_precision(luminance_B1HW.device):
            (rgb_B3HW,) = by_parts(
                lambda *part: (self._decode(*part),),
                luminance_B1HW.to(dtype),
                chroma_BCHW.to(dtype),
            )
            return rgb_B3HW

    def outside(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor, tolerance: float) -> Tensor:
        """Return which colours sRGB hasn't, by more than a tolerance: B×H×W bool.

        Args:
            luminance_B1HW, chroma_BCHW: as for `decode`, of the working type.
            tolerance: how far outside [0, 1] a value may lie.
        """
        rgb_B3HW = self.decode(luminance_B1HW, chroma_BCHW)
        return (rgb_B3HW.amin(1) < -tolerance) | (rgb_B3HW.amax(1) > 1 + tolerance)

    def gray_chroma(self, luminance_B1HW: Tensor) -> Tensor:
        """Return the chroma B×C×H×W of a gray picture of this luminance (B×1×H×W in [0, 1]).

        Raises:
            TypeError: if the luminance is not of floating point.
            ValueError: if it has another shape.
        """
        check_picture(luminance_B1HW, "luminance_B1HW", 1)
        batch, _, height, width = luminance_B1HW.shape
        return luminance_B1HW.new_full(
            (batch, self.chroma_channels, height, width), 0.5, dtype=working_dtype(luminance_B1HW)
        )

    def as_predicted(self, chroma_BCHW: Tensor) -> Tensor:
        """Return the picture B×3×H×W that chroma alone says, with the luminance that is in it.

        Raises:
            ValueError: if there is none in it (`predicts_luminance` is false).
        """
        raise ValueError(f"the chroma of {self.name} holds no luminance")

    def ranges(self) -> dict[str, Any]:
        """Return the ranges as plain types, to be stored with a checkpoint."""
        return {
            "chroma_channels": self.chroma_channels,
            "luminance_range": self.luminance_range,
            "chroma_center": self.chroma_center,
            "chroma_range": list(self.chroma_range),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def _encode(self, rgb_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Do the work of `encode`, in the working type."""

    def _luminance(self, rgb_B3HW: Tensor) -> Tensor:
        """Do the work of `luminance`, in the working type."""
        return self._encode(rgb_B3HW)[0]

    @abstractmethod
    def _decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """Do the work of `decode`, in the working type."""


class LinearlyScaled(ColorSpace):
    """A space with one luminance and two chroma planes, scaled by the ranges it names."""

    @abstractmethod
    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        """Return luminance and the two chroma planes, each B×H×W in native units."""

    @abstractmethod
    def _to_rgb(self, native: Planes) -> Tensor:
        """Return the sRGB picture B×3×H×W of planes in native units."""

    def _encode(self, rgb_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        luminance, *chroma = self._from_rgb(rgb_B3HW)
        scaled = [
            (plane / (2 * half_range)).add_(0.5 - self.chroma_center / (2 * half_range))
            for plane, half_range in zip(chroma, self.chroma_range, strict=True)
        ]
        return (luminance / self.luminance_range).unsqueeze(1), torch.stack(scaled, dim=1)

    def _decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        return self._to_rgb(self._native(luminance_B1HW, chroma_BCHW))

    def _native(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Planes:
        """Return luminance and the two chroma planes, each B×H×W in native units."""
        first, second = (
            (plane - 0.5).mul_(2 * half_range).add_(self.chroma_center)
            for plane, half_range in zip(chroma_BCHW.unbind(1), self.chroma_range, strict=True)
        )
        return luminance_B1HW.squeeze(1) * self.luminance_range, first, second


class OfLight(LinearlyScaled):
    """A space that is computed from linear light."""

    @abstractmethod
    def _to_linear(self, native: Planes) -> Tensor:
        """Return the linear light B×3×H×W of planes in native units, not clipped."""

    def _to_rgb(self, native: Planes) -> Tensor:
        return srgb_from_linear(self._to_linear(native))

    def outside(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor, tolerance: float) -> Tensor:
        """See `ColorSpace`; without the transfer curve, which takes most of the time."""
        with full_precision(luminance_B1HW.device):
            light_B3HW = self._to_linear(self._native(luminance_B1HW, chroma_BCHW))
        least, most = -tolerance / 12.92, ((1 + tolerance + 0.055) / 1.055) ** 2.4
        outside_BHW: Tensor = (light_B3HW.amin(1) < least) | (light_B3HW.amax(1) > most)
        return outside_BHW
