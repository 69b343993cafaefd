"""A colorized photograph and the true one, with conversions that metrics share."""

from functools import cached_property

import torch
from torch import Tensor

from irodori.color import rgb_to_lab, to_float
from irodori.color.difference import ciede2000


class Pair:
    """Two 8-bit RGB pictures of equal size on the same device; conversions are cached.

    Args:
        predicted_3HW: colorized picture, 3×H×W uint8.
        true_3HW: true photograph, 3×H×W uint8.

    Raises:
        ValueError: a picture has a wrong type or shape or no pixels, or the two differ in size or
            device.
    """

    def __init__(self, predicted_3HW: Tensor, true_3HW: Tensor) -> None:
        for name, picture in (("predicted", predicted_3HW), ("true", true_3HW)):
            if picture.dtype != torch.uint8:
                raise ValueError(f"the {name} picture is of {picture.dtype}, not torch.uint8")
            if picture.ndim != 3 or picture.shape[0] != 3:
                shape = "×".join(map(str, picture.shape))
                raise ValueError(f"the {name} picture is {shape or 'a scalar'}, not 3×H×W")
            if not picture.numel():
                raise ValueError(f"the {name} picture has no pixels: {tuple(picture.shape)}")
        if predicted_3HW.shape != true_3HW.shape:
            raise ValueError(f"{tuple(predicted_3HW.shape)} against {tuple(true_3HW.shape)}")
        if predicted_3HW.device != true_3HW.device:
            raise ValueError(f"one picture on {predicted_3HW.device}, one on {true_3HW.device}")
        self.predicted_3HW = predicted_3HW
        self.true_3HW = true_3HW

    @cached_property
    def predicted_lab(self) -> Tensor:
        """CIE L*a*b* (D65) of the colorized picture: 3×H×W fp32 in native units."""
        return rgb_to_lab(to_float(self.predicted_3HW)[None])[0]

    @cached_property
    def true_lab(self) -> Tensor:
        """CIE L*a*b* (D65) of the true photograph: 3×H×W fp32 in native units."""
        return rgb_to_lab(to_float(self.true_3HW)[None])[0]

    @cached_property
    def ab_error(self) -> Tensor:
        """a* and b* of the colorized picture minus those of the true photograph: 2×H×W."""
        return self.predicted_lab[1:] - self.true_lab[1:]

    @cached_property
    def difference(self) -> Tensor:
        """CIEDE2000 of each pixel: H×W."""
        return ciede2000(self.predicted_lab[None], self.true_lab[None])[0]
