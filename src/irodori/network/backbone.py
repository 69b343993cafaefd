"""Backbones: what turns luminance into local features at stride 8 and global features.

A backbone is an `nn.Module` with the attributes `local_channels`, `global_channels`,
`scene_channels` and `skip_channels`. Its `forward` gives both kinds of features at once, and
`local_features` and `global_features` each for itself, so that a photo can be seen in parts.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Local(NamedTuple):
    """What a backbone sees at each place of a photo.

    Attributes:
        features_BCHW: B×local_channels×⌈H/8⌉×⌈W/8⌉, at the photo's own size.
        skips: finer features by their stride s (4 and 2, where the backbone has them and was asked
            for them): B×skip_channels[s]×⌈H/s⌉×⌈W/s⌉.
    """

    features_BCHW: Tensor
    skips: dict[int, Tensor]


class Global(NamedTuple):
    """What a backbone sees of a whole photo.

    Attributes:
        features_BC: B×global_channels, which fusion takes.
        scene_BC: B×scene_channels, which the classification network takes.
    """

    features_BC: Tensor
    scene_BC: Tensor


class Backbone(nn.Module):
    """What the joint network asks of a backbone.

    Attributes:
        local_channels, global_channels, scene_channels: see `Local` and `Global`; 0 where there are
            none.
        skip_channels: of the finer features, by stride; empty if they weren't asked for.
        step: the deepest stride of the local features in pixels; parts of a photo that begin at
            multiples of it are seen as in the whole.
    """

    local_channels: int
    global_channels: int
    scene_channels: int
    skip_channels: dict[int, int]
    step: int

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        """Features of luminance in [0,1], H, W ≥ 1; global ones of the style image if given.

        Layers that both kinds share are computed once where the sizes allow it. There are no global
        features without a global path.
        """
        raise NotImplementedError

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        """Local features alone; see `forward`."""
        raise NotImplementedError

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        """Global features alone, of a photo of any size; of backbones with a global path only."""
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


def divided(size: int, stride: int) -> int:
    """Places that so many pixels have at a stride, ⌈size/stride⌉.

    Without negative numbers, whose integer division ONNX rounds another way.
    """
    return (size + stride - 1) // stride
