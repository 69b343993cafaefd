"""The paper's backbone: low-level, mid-level and global features networks."""

from torch import Tensor, nn

from irodori.network.backbone import Backbone, Global, Local, scaled_to
from irodori.network.blocks import conv_block, linear_block, scaled

GLOBAL_SIZE = 224
"""Height and width in pixels at which the global path sees an image."""


class PaperBackbone(Backbone):
    """Low-level, mid-level and global networks of "Let there be Color!" (SIGGRAPH 2016).

    The low-level weights are shared by both paths. When the image that the global path looks at is
    the photo itself and is 224×224, its low-level features are computed once.

    Args:
        width: multiplies the channels of every layer; 1.0 is the paper.
        global_features: False leaves the global path out (the paper's baseline).
        skips: also return the low-level features at strides 4 and 2.
        input_mean: subtracted from the luminance.
    """

    step = 8

    def __init__(
        self,
        width: float = 1.0,
        global_features: bool = True,
        skips: bool = False,
        input_mean: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_mean = input_mean
        c64, c128, c256, c512, c1024 = (scaled(c, width) for c in (64, 128, 256, 512, 1024))
        self.local_channels = c256
        self.global_channels = c256 if global_features else 0
        self.scene_channels = c512 if global_features else 0
        self.skip_channels = {4: c256, 2: c128} if skips else {}
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

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        """See `Backbone`."""
        low_BCHW, skips = self._low(luminance_B1HW)
        local = Local(self.mid(low_BCHW), skips)
        if not self.global_channels:
            return local, None
        if style_B1HW is None and luminance_B1HW.shape[-2:] == (GLOBAL_SIZE, GLOBAL_SIZE):
            return local, self._global(low_BCHW)
        return local, self.global_features(luminance_B1HW if style_B1HW is None else style_B1HW)

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        """See `Backbone`."""
        low_BCHW, skips = self._low(luminance_B1HW)
        return Local(self.mid(low_BCHW), skips)

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        """See `Backbone`."""
        low_BCHW, _ = self._low(scaled_to(luminance_B1HW, GLOBAL_SIZE, GLOBAL_SIZE))
        return self._global(low_BCHW)

    def _global(self, low_BCHW: Tensor) -> Global:
        """Global features of low-level ones at GLOBAL_SIZE."""
        scene_BC = self.global_linear(self.global_convolutions(low_BCHW).flatten(1))
        return Global(self.global_output(scene_BC), scene_BC)

    def _low(self, luminance_B1HW: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Low-level features, and the finer ones that were asked for."""
        if self.input_mean:
            luminance_B1HW = luminance_B1HW - self.input_mean
        if not self.skip_channels:
            return self.low(luminance_B1HW), {}
        stride2_BCHW = self.low[:2](luminance_B1HW)
        stride4_BCHW = self.low[2:4](stride2_BCHW)
        return self.low[4:](stride4_BCHW), {4: stride4_BCHW, 2: stride2_BCHW}
