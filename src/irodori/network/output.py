"""From what the colorization network says to chrominance."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.color import Lab
from irodori.color.ab_bins import centers


class Output(nn.Module):
    """What the joint network asks of an output.

    Attributes:
        channels: of the colorization network's prediction.
        stride: of the prediction, against chrominance (which has stride 2 against the photo).
    """

    channels: int
    stride: int

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        """Chrominance in [0,1], B×chroma_channels×height×width, fp32 (or float64)."""
        raise NotImplementedError


class ChromaOutput(Output):
    """The paper's: a sigmoid a channel."""

    def __init__(self, chroma_channels: int) -> None:
        super().__init__()
        self.channels = chroma_channels
        self.stride = 1

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        """See `Output`."""
        return full(prediction_BQHW)[..., :height, :width].sigmoid()


class AbClassesOutput(Output):
    """The annealed mean of a distribution over bins of a*b* (Zhang and others, 2016).

    The prediction has half the resolution of chrominance, as many channels as there are bins in
    gamut (`color.ab_bins`), and is a distribution's logits. Its mode is sharp but spotty, its mean
    smooth but pale; the mean of the distribution raised to the power of 1/temperature lies between.

    Args:
        temperature: above 0, where only the mode counts, to 1, the plain mean; 0.38 in the source.

    Raises:
        ValueError: the temperature is out of range.
    """

    def __init__(self, temperature: float = 0.38) -> None:
        super().__init__()
        if not 0 < temperature <= 1:
            raise ValueError(f"temperature is above 0 and at most 1, not {temperature}")
        self.temperature = temperature
        self.stride = 2
        half_ranges = torch.tensor(Lab.chroma_range, dtype=torch.float64)
        chroma_QC = (centers() - Lab.chroma_center) / (2 * half_ranges) + 0.5
        self.channels = len(chroma_QC)
        self.register_buffer("chroma_QC", chroma_QC.float(), persistent=False)
        self.chroma_QC: Tensor

    def forward(self, prediction_BQHW: Tensor, height: int, width: int) -> Tensor:
        """See `Output`; of L*a*b*. Enlarged bilinearly."""
        # Outside autocast, which would take the product in bf16.
        with torch.autocast(prediction_BQHW.device.type, enabled=False):
            share_BQHW = (full(prediction_BQHW) / self.temperature).softmax(1)
            centers_QC = self.chroma_QC.to(share_BQHW.dtype)
            chroma_BCHW = torch.einsum("bqhw,qc->bchw", share_BQHW, centers_QC)
        double_BCHW = functional.interpolate(chroma_BCHW, scale_factor=2, mode="bilinear")
        return double_BCHW[..., :height, :width]


def full(prediction_BQHW: Tensor) -> Tensor:
    """As fp32, or float64 if it is."""
    # In bf16 a sigmoid would move in steps of 0.8 ab units.
    return prediction_BQHW.to(torch.promote_types(prediction_BQHW.dtype, torch.float32))
