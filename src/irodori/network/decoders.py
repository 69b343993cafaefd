"""Colorization networks: from features at stride 8 to a prediction at stride 2 and coarser."""

import torch
from torch import Tensor, nn

from irodori.network.blocks import conv_block, scaled
from irodori.network.recompute import recomputed


class Colorization(nn.Module):
    """The paper's: two nearest-neighbour steps of enlargement.

    Args:
        inputs: channels of the features.
        outputs: channels of the prediction.
        stride: of the prediction, against stride 2.
        width: multiplies the channels of every layer; 1.0 is the paper.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, width: float) -> None:
        super().__init__()
        c128, c64, c32 = (scaled(c, width) for c in (128, 64, 32))
        self.layers = nn.Sequential(
            conv_block(inputs, c128),
            Double(),
            conv_block(c128, c64),
            conv_block(c64, c64),
            Double(),
            conv_block(c64, c32),
            nn.Conv2d(c32, outputs, 3, stride=stride, padding=1),
        )

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        """B×inputs×h×w → B×outputs×4h/stride×4w/stride; there are no skips."""
        prediction_BQHW: Tensor = self.layers(features_BCHW)
        return prediction_BQHW


class Double(nn.Upsample):
    """Nearest-neighbour enlargement, computed again in the backward pass, see `recomputed`."""

    def __init__(self) -> None:
        super().__init__(scale_factor=2, mode="nearest")

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×C×H×W → B×C×2H×2W."""
        return recomputed(super().forward, super().forward, features_BCHW)


class SkipColorization(nn.Module):
    """Enlarges by learned steps that see the backbone's finer features (Ronneberger 2015).

    Args:
        inputs, outputs, stride, width: see `Colorization`.
        skip_channels: of the finer features at strides 4 and 2, by stride; one that the backbone
            hasn't is left out.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        width: float,
        skip_channels: dict[int, int],
    ) -> None:
        super().__init__()
        c128, c64, c32 = (scaled(c, width) for c in (128, 64, 32))
        self.enlarge4 = LearnedDouble(inputs, c128)
        self.merge4 = conv_block(c128 + skip_channels.get(4, 0), c128)
        self.enlarge2 = LearnedDouble(c128, c64)
        self.merge2 = conv_block(c64 + skip_channels.get(2, 0), c64)
        self.last = conv_block(c64, c32)
        self.output = nn.Conv2d(c32, outputs, 3, stride=stride, padding=1)

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        """B×inputs×h×w and skips → B×outputs×4h/stride×4w/stride, or what of it the skips reach."""
        at4_BCHW = self.merge4(beside(self.enlarge4(features_BCHW), skips.get(4)))
        at2_BCHW = self.merge2(beside(self.enlarge2(at4_BCHW), skips.get(2)))
        prediction_BQHW: Tensor = self.output(self.last(at2_BCHW))
        return prediction_BQHW


def beside(coarse_BCHW: Tensor, fine_BCHW: Tensor | None) -> Tensor:
    """Channels of both, at the size of the finer features, which end first at odd sizes."""
    if fine_BCHW is None:
        return coarse_BCHW
    height, width = fine_BCHW.shape[-2:]
    return torch.cat([coarse_BCHW[..., :height, :width], fine_BCHW], 1)


class LearnedDouble(nn.Module):
    """Twice the height and width: each place gives four by weights of their own.

    The four begin alike, as nearest-neighbour enlargement, so that no chequerboard is there to be
    unlearnt (Aitken and others, 2017).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=False)
        with torch.no_grad():
            # Pixel shuffle takes a place's four values from neighbouring channels.
            self.convolution.weight.copy_(self.convolution.weight[::4].repeat_interleave(4, 0))
        self.shuffle = nn.PixelShuffle(2)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×h×w → B×outputs×2h×2w."""
        double_BCHW: Tensor = self.activation(
            self.norm(self.shuffle(self.convolution(features_BCHW)))
        )
        return double_BCHW
