"""RGB itself as the thing to predict, as in the paper's comparison of color spaces."""

from typing import ClassVar

from torch import Tensor

from irodori.color.luma import luma
from irodori.color.planes import check_picture, working_dtype
from irodori.color.space import ColorSpace


class Rgb(ColorSpace):
    """sRGB as three chroma channels, beside the BT.601 luma that the network sees.

    Three channels say the luminance a second time, and a network says it inexactly. `decode` keeps
    the photo's own: it returns chroma + (luminance - luma(chroma)), which moves each colour along
    the gray axis until its luma is the one given. Where chroma and luminance come from the same
    picture nothing is moved.
    """

    name: ClassVar[str] = "rgb"
    chroma_channels: ClassVar[int] = 3
    predicts_luminance: ClassVar[bool] = True
    chroma_center: ClassVar[float] = 0.5
    chroma_range: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)

    def gray_chroma(self, luminance_B1HW: Tensor) -> Tensor:
        """Return the luminance (B×1×H×W in [0, 1]) three times: a gray picture's RGB, B×3×H×W.

        Raises:
            TypeError: if the luminance is not of floating point.
            ValueError: if it has another shape.
        """
        check_picture(luminance_B1HW, "luminance_B1HW", 1)
        return luminance_B1HW.to(working_dtype(luminance_B1HW)).repeat(1, 3, 1, 1)

    def as_predicted(self, chroma_BCHW: Tensor) -> Tensor:
        """Return the chroma as it is, B×3×H×W: sRGB with the luminance that the network says.

        Raises:
            TypeError: if the chroma is not of floating point.
            ValueError: if it has another shape.
        """
        check_picture(chroma_BCHW, "chroma_BCHW", 3)
        return chroma_BCHW.to(working_dtype(chroma_BCHW))

    def _encode(self, rgb_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        # A copy: changing the chroma in place must not change the caller's picture.
        return luma(rgb_B3HW), rgb_B3HW.clone()

    def _decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        return chroma_BCHW + (luminance_B1HW - luma(chroma_BCHW))
