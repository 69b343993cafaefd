"""Backbones: what turns luminance into local features at stride 8 and global features.

A backbone is an `nn.Module` with the attributes `local_channels`, `global_channels`,
`scene_channels` and `skip_channels` and the method `forward(luminance_B1HW, style_B1HW) ->
Features`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Features(NamedTuple):
    """What a backbone returns.

    Attributes:
        local_BCHW: B×local_channels×⌈H/8⌉×⌈W/8⌉, at the photo's own size.
        global_BC: B×global_channels, which fusion takes; None without a global path.
        scene_BC: B×scene_channels, which the classification network takes; None likewise.
        skips: finer features by their stride s (4 and 2, where the backbone has them and was asked
            for them): B×skip_channels[s]×⌈H/s⌉×⌈W/s⌉.
    """

    local_BCHW: Tensor
    global_BC: Tensor | None
    scene_BC: Tensor | None
    skips: dict[int, Tensor]


class Backbone(nn.Module):
    """What the joint network asks of a backbone.

    Attributes:
        local_channels, global_channels, scene_channels: see `Features`; 0 where there are none.
        skip_channels: of the finer features, by stride; empty if they weren't asked for.
    """

    local_channels: int
    global_channels: int
    scene_channels: int
    skip_channels: dict[int, int]

    def forward(self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None) -> Features:
        """Features of luminance in [0,1], H, W ≥ 1; global ones of the style image if given."""
        raise NotImplementedError


def scaled_to(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """Luminance at another size (bilinear with antialiasing, aspect not kept)."""
    if luminance_B1HW.shape[-2:] == (height, width):
        return luminance_B1HW
    # fp32: the antialiased filter has no bf16 kernel on every device.
    with torch.autocast(luminance_B1HW.device.type, enabled=False):
        return functional.interpolate(
            luminance_B1HW.float(), (height, width), mode="bilinear", antialias=True
        ).to(luminance_B1HW.dtype)
