"""The paper's backbone: low-level, mid-level and global features networks."""

from typing import Annotated

from torch import Tensor, nn

from irodori.config.ranges import Range
from irodori.network.backbone import Backbone, Global, Local, conv_block, linear_block, scaled

SKIPS = {1: 2, 3: 4}
"""Indices of low-level layers for skip connections, with their strides."""


class PaperBackbone(Backbone):
    """Low-level, mid-level and global networks of "Let there be Color!" (SIGGRAPH 2016).

    Both paths share the low-level weights. If the photo is 224×224, low-level features are computed
    only once.

    Args:
        width: width multiplier of every layer; 1.0 is the paper's.
        global_features: False for no global path (the paper's baseline).
        input_mean: mean that is subtracted from the luminance; not 0 for the authors' published
            weights.
    """

    def __init__(
        self,
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
        global_features: bool = True,
        input_mean: Annotated[float, Range(min=0, max=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.input_mean = input_mean
        c64, c128, c256, c512, c1024 = (scaled(c, width) for c in (64, 128, 256, 512, 1024))
        self.local_channels = c256
        self.skip_channels = {4: c256, 2: c128}
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
            self.global_channels, self.scene_channels = c256, c512
            self.global_convolutions = nn.Sequential(
                conv_block(c512, c512, stride=2),
                conv_block(c512, c512),
                conv_block(c512, c512, stride=2),
                conv_block(c512, c512),
            )
            height, width_ = (side // 32 for side in self.input_size)
            self.global_linear = nn.Sequential(
                linear_block(height * width_ * c512, c1024), linear_block(c1024, c512)
            )
            self.global_output = linear_block(c512, c256)

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        size = luminance_B1HW.shape[-2:]
        if not self.global_channels or style_B1HW is not None or size != self.input_size:
            return super().forward(luminance_B1HW, style_B1HW)
        low_BCHW, skips = self._low(luminance_B1HW)
        return Local(self.mid(low_BCHW), skips), self._global(low_BCHW)

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        low_BCHW, skips = self._low(luminance_B1HW)
        return Local(self.mid(low_BCHW), skips)

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        return self._global(self._low(self.resized(luminance_B1HW))[0])

    def _global(self, low_BCHW: Tensor) -> Global:
        """Return the global features from low-level features at `input_size`."""
        scene_BC = self.global_linear(self.global_convolutions(low_BCHW).flatten(1))
        return Global(self.global_output(scene_BC), scene_BC)

    def _low(self, luminance_B1HW: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Return the low-level features at stride 8, and skip features at strides 4 and 2."""
        if self.input_mean:
            luminance_B1HW = luminance_B1HW - self.input_mean
        skips = {}
        features_BCHW = luminance_B1HW
        for number, block in enumerate(self.low):
            features_BCHW = block(features_BCHW)
            if number in SKIPS:
                skips[SKIPS[number]] = features_BCHW
        return features_BCHW, skips
