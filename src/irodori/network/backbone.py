"""Backbones: what turns luminance into local features at stride 8 and global features.

A backbone is an `nn.Module` with the attributes `local_channels`, `global_channels` and
`scene_channels` and the method `forward(luminance_B1HW, style_B1HW) -> Features`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.network.blocks import conv_block, linear_block, scaled

GLOBAL_SIZE = 224
"""Height and width in pixels at which the global path sees an image."""


class Features(NamedTuple):
    """What a backbone returns.

    Attributes:
        local_BCHW: B×local_channels×⌈H/8⌉×⌈W/8⌉, at the photo's own size.
        global_BC: B×global_channels, which fusion takes; None without a global path.
        scene_BC: B×scene_channels, which the classification network takes; None likewise.
    """

    local_BCHW: Tensor
    global_BC: Tensor | None
    scene_BC: Tensor | None


class PaperBackbone(nn.Module):
    """Low-level, mid-level and global networks of "Let there be Color!" (SIGGRAPH 2016).

    The low-level weights are shared by both paths. When the image that the global path looks at is
    the photo itself and is 224×224, its low-level features are computed once.

    Args:
        width: multiplies the channels of every layer; 1.0 is the paper.
        global_features: False leaves the global path out (the paper's baseline).
    """

    def __init__(self, width: float = 1.0, global_features: bool = True) -> None:
        super().__init__()
        c64, c128, c256, c512, c1024 = (scaled(c, width) for c in (64, 128, 256, 512, 1024))
        self.local_channels = c256
        self.global_channels = c256 if global_features else 0
        self.scene_channels = c512 if global_features else 0
        self.low = nn.Sequential(
            conv_block(1, c64, stride=2),
            conv_block(c64, c128),
            conv_block(c128, c128, stride=2),
            conv_block(c128, c256),
            conv_block(c256, c256, stride=2),
            conv_block(c256, c512),
        )
        self.mid = nn.Sequential(conv_block(c512, c512), conv_block(c512, c256))
        if global_features:
            self.global_convolutions = nn.Sequential(
                conv_block(c512, c512, stride=2),
                conv_block(c512, c512),
                conv_block(c512, c512, stride=2),
                conv_block(c512, c512),
            )
            side = GLOBAL_SIZE // 32
            self.global_linear = nn.Sequential(
                linear_block(side * side * c512, c1024), linear_block(c1024, c512)
            )
            self.global_output = linear_block(c512, c256)

    def forward(self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None) -> Features:
        """Features of luminance in [0,1], H, W ≥ 1; global ones of the style image if given."""
        low_BCHW = self.low(luminance_B1HW)
        local_BCHW = self.mid(low_BCHW)
        if not self.global_channels:
            return Features(local_BCHW, None, None)
        if style_B1HW is None and luminance_B1HW.shape[-2:] == (GLOBAL_SIZE, GLOBAL_SIZE):
            global_low_BCHW = low_BCHW
        else:
            source_B1HW = luminance_B1HW if style_B1HW is None else style_B1HW
            global_low_BCHW = self.low(at_global_size(source_B1HW))
        flat_BC = self.global_convolutions(global_low_BCHW).flatten(1)
        scene_BC = self.global_linear(flat_BC)
        return Features(local_BCHW, self.global_output(scene_BC), scene_BC)


def at_global_size(luminance_B1HW: Tensor) -> Tensor:
    """Luminance scaled to B×1×224×224 (bilinear with antialiasing, aspect not kept)."""
    if luminance_B1HW.shape[-2:] == (GLOBAL_SIZE, GLOBAL_SIZE):
        return luminance_B1HW
    # fp32: the antialiased filter has no bf16 kernel on every device.
    with torch.autocast(luminance_B1HW.device.type, enabled=False):
        return functional.interpolate(
            luminance_B1HW.float(),
            (GLOBAL_SIZE, GLOBAL_SIZE),
            mode="bilinear",
            antialias=True,
        ).to(luminance_B1HW.dtype)


BACKBONES: dict[str, type[PaperBackbone]] = {"paper": PaperBackbone}
"""Backbones by the name that configs use."""
