"""The layers with the largest features, run on one strip of a photo after another.

At full width the first layers have 128 features for every fourth pixel, and the last ones 64:
several times as many numbers as all that lies between. A strip's features stay in the cache, and
are gone when the next one comes; only what the layers give together is kept.
"""

import torch
from torch import Tensor, nn

from irodori.freed_memory import give_back
from irodori.network import JointNetwork
from irodori.network.decoders import Colorization
from irodori.network.paper_backbone import PaperBackbone

ROWS = 256
"""Pixels that a strip is high."""
BORDER = 24
"""Pixels that a strip sees beyond its own, above and below: three places of stride 8.

The low-level layers look 21 pixels far (1 + 2 + 2 + 4 + 4 + 8), and the colorization network two
and a half places (1 + ½ + ½ + ¼ + ¼).
"""


class Strips(nn.Module):
    """Layers that give for each strip of rows what they give for it in the whole.

    Args:
        layers: they look no further than BORDER pixels.
        pixels: that a row of their input is high, 1 or 8.
        shrink, grow: a row of the input is grow/shrink rows of the output.
    """

    def __init__(self, layers: nn.Module, pixels: int, shrink: int, grow: int) -> None:
        super().__init__()
        self.layers = layers
        self.rows, self.border = ROWS // pixels, BORDER // pixels
        self.shrink, self.grow = shrink, grow

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """What the layers give."""
        height = features_BCHW.shape[-2]
        if height <= self.rows + self.border:
            whole: Tensor = self.layers(features_BCHW)
            return whole
        result_BCHW: Tensor | None = None
        for first in range(0, height, self.rows):
            # Else memory grows from strip to strip, since sizes differ and gaps are left.
            give_back()
            above = min(first, self.border)
            end = min(first + self.rows, height)
            strip_BCHW = self.layers(features_BCHW[:, :, first - above : end + self.border])
            if result_BCHW is None:
                batch, channels, _, width = strip_BCHW.shape
                result_BCHW = torch.empty(
                    (batch, channels, self.after(height), width),
                    dtype=strip_BCHW.dtype,
                    device=strip_BCHW.device,
                    memory_format=torch.channels_last,
                )
            place, count = self.after(first), self.after(end) - self.after(first)
            own_BCHW = strip_BCHW[:, :, self.after(above) :][:, :, :count]
            result_BCHW[:, :, place : place + count] = own_BCHW
        give_back()
        assert result_BCHW is not None
        return result_BCHW

    def after(self, rows: int) -> int:
        """Rows of the output for the first rows of the input."""
        return -(-rows * self.grow // self.shrink)


def use_strips(network: JointNetwork) -> None:
    """Change a network, in place, so that its largest features are never there as a whole."""
    backbone, colorization = network.backbone, network.colorization
    if isinstance(backbone, PaperBackbone) and not backbone.skip_channels:
        backbone.low = Strips(backbone.low, 1, 8, 1).eval()  # type: ignore[assignment]
    if isinstance(colorization, Colorization):
        stride = network.output.stride
        strips = Strips(colorization.layers, 8, 1, 4 // stride)
        colorization.layers = strips.eval()  # type: ignore[assignment]
