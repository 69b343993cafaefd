"""Outputs that convert the decoder's prediction to chrominance."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.color import Lab
from irodori.color.ab_bins import centers
from irodori.config.describable import Describable
from irodori.config.ranges import Range


class Output(nn.Module, Describable):
    """Base class of outputs; `JointNetwork` calls the constructor with `chroma_channels`.

    Attributes:
        channels: number of channels of the prediction.
        stride: stride of the prediction relative to chrominance (which has stride 2).
    """

    channels: int
    stride: int = 1

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        """Return chrominance in [0,1], B×chroma_channels×height×width, fp32 (or float64).

        The prediction must have at least ⌈height/stride⌉×⌈width/stride⌉ positions.
        """
        raise NotImplementedError


class ChromaOutput(Output):
    """The paper's output: a sigmoid per channel."""

    def __init__(self, chroma_channels: int) -> None:
        super().__init__()
        self.channels = chroma_channels

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        return at_least_fp32(prediction_BQHW)[..., :height, :width].sigmoid()


class AbClassesOutput(Output):
    """The annealed mean of a distribution over a*b* bins (Zhang et al., 2016).

    The prediction consists of logits at half the resolution of chrominance, one channel per
    in-gamut bin (`color.ab_bins`). The mode of the distribution is vivid but spotty, the mean is
    smooth but pale; the annealed mean, of the distribution raised to the power of 1/temperature, is
    in between.

    Args:
        chroma_channels: 2, for L*a*b*.
        temperature: 0 approaches the mode, 1 is the mean; 0.38 in the source.
    """

    stride = 2

    def __init__(
        self, chroma_channels: int = 2, temperature: Annotated[float, Range(above=0, max=1)] = 0.38
    ) -> None:
        super().__init__()
        if chroma_channels != 2:
            raise ValueError(f"a*b* bins require chroma_channels=2, not {chroma_channels}")
        self.temperature = temperature
        # On the CPU, also if the network is built on the meta device.
        with torch.device("cpu"):
            centers_QC = centers()
            half_ranges = torch.tensor(Lab.chroma_range, dtype=torch.float64)
        chroma_QC = (centers_QC - Lab.chroma_center) / (2 * half_ranges) + 0.5
        self.channels = len(chroma_QC)
        self.register_buffer("chroma_QC", chroma_QC.float(), persistent=False)
        self.chroma_QC: Tensor

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        """Return the chrominance, upsampled bilinearly; see `Output`."""
        # Outside autocast, which would compute the product in bf16.
        with torch.autocast(prediction_BQHW.device.type, enabled=False):
            share_BQHW = (at_least_fp32(prediction_BQHW) / self.temperature).softmax(1)
            centers_QC = self.chroma_QC.to(share_BQHW.dtype)
            chroma_BCHW = torch.einsum("bqhw,qc->bchw", share_BQHW, centers_QC)
        double_BCHW = functional.interpolate(chroma_BCHW, scale_factor=2, mode="bilinear")
        return double_BCHW[..., :height, :width]


def at_least_fp32(prediction_BQHW: Tensor) -> Tensor:
    """Convert a prediction to fp32, unless it is float64."""
    # In bf16, a sigmoid has steps of 0.8 ab units.
    return prediction_BQHW.to(torch.promote_types(prediction_BQHW.dtype, torch.float32))
