"""Decoders from features at stride 8 to a prediction at stride 2 or coarser."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.config.describable import Describable
from irodori.config.ranges import Range
from irodori.network.backbone import conv_block, extended, scaled


class Decoder(nn.Module, Describable):
    """Base class of decoders.

    `JointNetwork` calls the constructor with the keyword arguments `in_channels` (of the features),
    `out_channels` (of the prediction), `stride` (of the prediction relative to stride 2) and
    `skip_channels` (of the backbone's finer features, by stride).
    """

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        """Return the prediction, B×out_channels×4h/stride×4w/stride, cropped to the skips' size.

        Args:
            features_BCHW: features at stride 8, B×in_channels×h×w.
            skips: finer features by stride, see `Local`.
        """
        raise NotImplementedError


class ColorizationDecoder(Decoder):
    """The paper's colorization network: convolutions and two nearest-neighbor upsamplings.

    Args:
        in_channels, out_channels, stride, skip_channels: see `Decoder`; skips are ignored.
        width: multiplies the channels of every layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        skip_channels: dict[int, int],
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
    ) -> None:
        super().__init__()
        c128, c64, c32 = (scaled(c, width) for c in (128, 64, 32))
        self.layers = nn.Sequential(
            conv_block(in_channels, c128),
            nn.Upsample(scale_factor=2, mode="nearest"),
            conv_block(c128, c64),
            conv_block(c64, c64),
            nn.Upsample(scale_factor=2, mode="nearest"),
            conv_block(c64, c32),
            nn.Conv2d(c32, out_channels, 3, stride=stride, padding=1),
        )

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        prediction_BQHW: Tensor = self.layers(features_BCHW)
        return prediction_BQHW


class SkipDecoder(Decoder):
    """Learned upsampling with skip connections from the backbone (U-Net, Ronneberger 2015).

    Args:
        in_channels, out_channels, stride, skip_channels: see `Decoder`; strides that the backbone
            lacks are skipped.
        width: multiplies the channels of every layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        skip_channels: dict[int, int],
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
    ) -> None:
        super().__init__()
        c128, c64, c32 = (scaled(c, width) for c in (128, 64, 32))
        self.enlarge4 = LearnedUpsampling(in_channels, c128)
        self.merge4 = conv_block(c128 + skip_channels.get(4, 0), c128)
        self.enlarge2 = LearnedUpsampling(c128, c64)
        self.merge2 = conv_block(c64 + skip_channels.get(2, 0), c64)
        self.last = conv_block(c64, c32)
        self.output = nn.Conv2d(c32, out_channels, 3, stride=stride, padding=1)

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        _, _, pixels_BCHW = self.levels(features_BCHW, skips)
        prediction_BQHW: Tensor = self.output(pixels_BCHW)
        return prediction_BQHW

    def levels(
        self, features_BCHW: Tensor, skips: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features at strides 4 and 2, and the output layer's input at stride 2."""
        at4_BCHW = self.merge4(joined(self.enlarge4(features_BCHW), skips.get(4)))
        at2_BCHW = self.merge2(joined(self.enlarge2(at4_BCHW), skips.get(2)))
        return at4_BCHW, at2_BCHW, self.last(at2_BCHW)


class QueryDecoder(SkipDecoder):
    """A `SkipDecoder` with color queries that attend to the whole photo at three scales.

    Learned queries attend to the features at strides 8, 4 and 2 in turn; those at stride 2 are
    averaged over 2×2 positions, since attention to all of them is slow. The queries' dot products
    with the features of every pixel are maps that are concatenated with these features before the
    output layer (as in DDColor, Kang et al., 2023, arXiv 2212.11613). Every color depends on the
    whole photo.

    Args:
        in_channels, out_channels, stride, skip_channels, width: see `SkipDecoder`.
        queries: number of color queries.
        rounds: number of passes over the three scales.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        skip_channels: dict[int, int],
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
        queries: Annotated[int, Range(min=1)] = 64,
        rounds: Annotated[int, Range(min=1)] = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, skip_channels, width)
        c128, c64, c32 = (scaled(c, width) for c in (128, 64, 32))
        channels = 4 * scaled(32, width)
        self.queries_KC = nn.Parameter(torch.empty(queries, channels))
        nn.init.normal_(self.queries_KC, std=0.02)
        self.projections = nn.ModuleList(
            nn.Conv2d(inputs, channels, 1) for inputs in (in_channels, c128, c64)
        )
        self.attention = nn.ModuleList(
            nn.TransformerDecoderLayer(
                channels, 4, 2 * channels, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(3 * rounds)
        )
        self.embedding = nn.Linear(channels, c32)
        self.output = nn.Conv2d(c32 + queries, out_channels, 3, stride=stride, padding=1)

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        at4_BCHW, at2_BCHW, pixels_BCHW = self.levels(features_BCHW, skips)
        averaged_BCHW = functional.avg_pool2d(extended(at2_BCHW, 2), 2)
        scales = [
            projection(level).flatten(2).mT
            for projection, level in zip(
                self.projections, (features_BCHW, at4_BCHW, averaged_BCHW), strict=True
            )
        ]
        # `len` would fix the batch size in an exported graph.
        queries_BKC = self.queries_KC.expand(features_BCHW.shape[0], -1, -1)
        for number, layer in enumerate(self.attention):
            queries_BKC = layer(queries_BKC, scales[number % len(scales)])
        maps_BKHW = torch.einsum("bkc,bchw->bkhw", self.embedding(queries_BKC), pixels_BCHW)
        prediction_BQHW: Tensor = self.output(torch.cat([pixels_BCHW, maps_BKHW], 1))
        return prediction_BQHW


def joined(coarse_BCHW: Tensor, fine_BCHW: Tensor | None) -> Tensor:
    """Concatenate both, cropped to the size of the finer features."""
    if fine_BCHW is None:
        return coarse_BCHW
    height, width = fine_BCHW.shape[-2:]
    return torch.cat([coarse_BCHW[..., :height, :width], fine_BCHW], 1)


class LearnedUpsampling(nn.Module):
    """Upsampling by 2 with a pixel shuffle, batch norm and ReLU.

    It is initialized to nearest-neighbor upsampling, which avoids checkerboard artifacts (Aitken et
    al., 2017).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=False)
        with torch.no_grad():
            # Pixel shuffle takes the four values of a position from adjacent channels.
            self.convolution.weight.copy_(self.convolution.weight[::4].repeat_interleave(4, 0))
        self.shuffle = nn.PixelShuffle(2)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Map B×inputs×h×w to B×outputs×2h×2w."""
        shuffled_BCHW = self.shuffle(self.convolution(features_BCHW))
        upsampled_BCHW: Tensor = self.activation(self.norm(shuffled_BCHW))
        return upsampled_BCHW
