"""The luminance of a photo's pixels, in parts and at the working size."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irodori.color import ColorSpace
from irodori.imageio import to_uint8
from irodori.imageio.rows import is_rows

Pixels = np.ndarray
"""H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16."""


class PhotoLuminance:
    """A photo's luminance in a color space, computed on demand for parts.

    Args:
        pixels_HWC: H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16; colors are reduced to luminance.
        space: color space of the network.
        device: device of the returned luminance.

    Raises:
        ValueError: the pixels have a wrong shape or type.
    """

    def __init__(self, pixels_HWC: Pixels, space: ColorSpace, device: torch.device) -> None:
        if (
            pixels_HWC.dtype not in (np.uint8, np.uint16)
            or pixels_HWC.ndim != 3
            or pixels_HWC.shape[2] not in (1, 3)
            or 0 in pixels_HWC.shape
        ):
            raise ValueError(
                "pixels must be H×W×1 or H×W×3, uint8 or uint16, not"
                f" {'×'.join(map(str, pixels_HWC.shape))} of {pixels_HWC.dtype}"
            )
        self.white = np.iinfo(pixels_HWC.dtype).max
        if not is_rows(pixels_HWC):
            first_HW, *others_HW = np.moveaxis(pixels_HWC, 2, 0)
            if all(np.array_equal(first_HW, other_HW) for other_HW in others_HW):
                pixels_HWC = pixels_HWC[..., :1]
        self.pixels_HWC = pixels_HWC
        self.space = space
        self.device = device
        self.height, self.width = pixels_HWC.shape[:2]
        self.table: Tensor | None = None
        if pixels_HWC.shape[2] == 1:
            # Gray has few levels, which are converted once in a table.
            self.table = self._encoded(
                np.arange(self.white + 1)[None, :, None], self.white
            ).flatten()

    def rows(self, top: int, bottom: int) -> Tensor:
        """Return the luminance of rows top … bottom − 1: 1×1×(bottom − top)×W fp32 in [0,1]."""
        return self._of(self.pixels_HWC[top:bottom])

    def pixels(self, rows_N: Sequence[int], columns_N: Sequence[int]) -> Tensor:
        """Return the luminance of N pixels."""
        places = zip(rows_N, columns_N, strict=True)
        pixels_NC = [self.pixels_HWC[row : row + 1][0, column] for row, column in places]
        return self._of(np.stack(pixels_NC)[None])[0, 0, 0]

    def _of(self, part_HWC: Pixels) -> Tensor:
        if self.table is None:
            return self._encoded(part_HWC, self.white)
        levels_HW = torch.from_numpy(part_HWC[..., 0].astype(np.int32)).to(self.device)
        return self.table.index_select(0, levels_HW.flatten()).view(1, 1, *levels_HW.shape)

    def whole(self) -> Tensor:
        """Return the whole luminance, 1×1×H×W fp32, computed in parts to limit memory."""
        luminance_11HW = torch.empty(1, 1, self.height, self.width, device=self.device)
        step = max(1, PART // self.width)
        for top in range(0, self.height, step):
            luminance_11HW[:, :, top : top + step] = self.rows(top, top + step)
        return luminance_11HW

    def at(self, height: int, width: int) -> Tensor:
        """Return the luminance of the photo scaled to a size, 1×1×height×width fp32 in [0,1].

        As in training, the pixels are scaled (bilinear, antialiased, 8 bits), not the luminance.
        """
        if (height, width) == (self.height, self.width):
            return self.whole()
        # Horizontally first, in parts, which equals scaling the whole.
        step = max(1, PART // self.width)
        narrow = []
        for top in range(0, self.height, step):
            part_HWC = to_uint8(self.pixels_HWC[top : top + step])
            narrow.append(_scaled(part_HWC.copy(), len(part_HWC), width))
        return self._encoded(_scaled(np.concatenate(narrow), height, width), 255)

    def _encoded(self, levels_HWC: np.ndarray, white: int) -> Tensor:
        # Contiguous planes, which NumPy copies several times faster than torch.
        levels_CHW = np.ascontiguousarray(levels_HWC.transpose(2, 0, 1), dtype=np.float32)
        rgb_CHW = torch.from_numpy(levels_CHW).to(self.device) / white
        return self.space.luminance(rgb_CHW[None].expand(1, 3, -1, -1))


PART = 1 << 18
"""Number of pixels converted at a time."""


def _scaled(levels_HWC: Pixels, height: int, width: int) -> Pixels:
    levels_1CHW = torch.from_numpy(levels_HWC).permute(2, 0, 1)[None]
    scaled_1CHW = functional.interpolate(
        levels_1CHW, (height, width), mode="bilinear", antialias=True
    )
    return np.asarray(scaled_1CHW[0].permute(1, 2, 0).numpy())


def to_levels(rgb_13HW: Tensor, dtype: np.dtype) -> Pixels:
    """Convert float sRGB in [0,1] to H×W×3 uint8 or uint16, rounded to the nearest level."""
    white = np.iinfo(dtype).max
    levels_3HW = (rgb_13HW[0] * white).clamp_(0, white).round_().cpu().numpy()
    pixels_HW3 = np.empty((*levels_3HW.shape[1:], 3), dtype)
    # Plane by plane, which is ten times faster.
    for channel, levels_HW in enumerate(levels_3HW):
        pixels_HW3[..., channel] = levels_HW
    return pixels_HW3
