"""What is minimized of the colors: the interface of an objective, and the built-in ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from torch import Tensor, nn

from irodori.color import ColorSpace, Lab
from irodori.color.ab_bins import centers, in_gamut
from irodori.config.ranges import Range
from irodori.metrics.prior import AbPrior
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma, upsample_chroma
from irodori.network.output import AbClassesOutput, Output
from irodori.training.losses import ab_cross_entropy, chroma_huber, chroma_mse
from irodori.utils.errors import IrodoriError


@dataclass(eq=False)
class ObjectiveInput:
    """All that a loss of colors may look at, of one micro-batch of B photographs.

    prediction_BQHW: what the decoder gives, see `JointNetwork.predict`. chroma_BCHW: the true
    chrominance in [0,1]. luminance_B1HW: what the network sees, in [0,1]. logits_BC: the scenes',
    None without classification. labels_B: scene numbers, −1 for none. valid_B: bool; photographs
    that could not be decoded are False and must count zero.
    """

    prediction_BQHW: Tensor
    chroma_BCHW: Tensor
    luminance_B1HW: Tensor
    logits_BC: Tensor | None
    labels_B: Tensor
    valid_B: Tensor
    output: Output
    color_space: ColorSpace

    @cached_property
    def target_BCHW(self) -> Tensor:
        """The true chrominance at the network's output size: B×C×⌈H/2⌉×⌈W/2⌉."""
        return reduce_chroma(self.chroma_BCHW)

    @cached_property
    def predicted_BCHW(self) -> Tensor:
        """The predicted chrominance in [0,1]: B×C×⌈H/2⌉×⌈W/2⌉, fp32."""
        height, width = self.target_BCHW.shape[-2:]
        predicted: Tensor = self.output(self.prediction_BQHW, height, width)
        return predicted

    @cached_property
    def predicted_rgb_B3HW(self) -> Tensor:
        """The predicted picture, sRGB B×3×H×W, not clipped to [0,1]; it can be differentiated."""
        height, width = self.luminance_B1HW.shape[-2:]
        full_BCHW = upsample_chroma(self.predicted_BCHW, height, width)
        return self.color_space.decode(self.luminance_B1HW, full_BCHW)

    @cached_property
    def target_rgb_B3HW(self) -> Tensor:
        """The true picture with the luminance that the network sees, sRGB B×3×H×W."""
        return self.color_space.decode(self.luminance_B1HW, self.chroma_BCHW)


class Objective(nn.Module):
    """Base class of objectives.

    A subclass implements `forward`. Parameters of its own are trained with the network's.
    `name` names its column in metrics.csv (`train/<name>_step` and `_epoch`).
    """

    name: str

    def setup(
        self, network: JointNetwork, color_space: ColorSpace, training_prior: Callable[[], AbPrior]
    ) -> None:
        """Prepare for a network, once before training; by default nothing is done.

        Args:
            network: the network to be trained.
            color_space: of its predictions.
            training_prior: computes how frequent colors are in the training photographs.

        Raises:
            IrodoriError: the objective doesn't go with the network or the color space.
        """

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss of a micro-batch: a sum over valid photographs, divided by B.

        Dividing by B, not by the number of valid photographs, keeps the gradient of one photograph
        the same on every rank, whichever ranks hold damaged images.
        """
        raise NotImplementedError


class MeanSquaredError(Objective):
    """The paper's objective, see `chroma_mse`."""

    name = "mse"

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        return chroma_mse(inputs.predicted_BCHW, inputs.target_BCHW, inputs.valid_B)


class Huber(Objective):
    """Squared error up to `delta`, linear beyond it, see `chroma_huber`."""

    name = "huber"

    def __init__(self, delta: Annotated[float, Range(above=0, most=1)] = 0.05) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        return chroma_huber(inputs.predicted_BCHW, inputs.target_BCHW, inputs.valid_B, self.delta)


class AbClasses(Objective):
    """Classification over bins of a*b*, see `ab_cross_entropy`; goes with `AbClassesOutput`.

    Args:
        rebalance: how much more rare colors weigh, see `rebalanced`.
    """

    name = "classes"

    def __init__(self, rebalance: Annotated[float, Range(least=0, most=1)] = 0.5) -> None:
        super().__init__()
        self.rebalance = rebalance
        half = torch.tensor(Lab.chroma_range).reshape(1, 2, 1, 1)
        self.register_buffer("range_1211", 2 * half, persistent=False)
        self.register_buffer("centers_Q2", centers().float(), persistent=False)
        self.register_buffer("weights_Q", torch.ones(len(centers())), persistent=False)
        self.range_1211: Tensor
        self.centers_Q2: Tensor
        self.weights_Q: Tensor

    def setup(
        self, network: JointNetwork, color_space: ColorSpace, training_prior: Callable[[], AbPrior]
    ) -> None:
        """Weigh the bins by the training photographs, see `Objective`."""
        if type(color_space) is not Lab or not isinstance(network.output, AbClassesOutput):
            raise IrodoriError(
                "objective=classes has bins of a*b* and goes with color_space=lab and the output"
                f" AbClassesOutput, not with {type(color_space).__name__} and"
                f" {type(network.output).__name__}"
            )
        self.weights_Q.copy_(rebalanced(training_prior(), self.rebalance))

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        quarter_BCHW = reduce_chroma(inputs.target_BCHW.float())
        ab_B2HW = (quarter_BCHW - 0.5) * self.range_1211 + Lab.chroma_center
        return ab_cross_entropy(
            inputs.prediction_BQHW, ab_B2HW, self.centers_Q2, self.weights_Q, inputs.valid_B
        )


def rebalanced(prior: AbPrior, rebalance: float) -> Tensor:
    """Return what a pixel of each bin in gamut counts: Q, float64.

    The inverse of r·p + (1−r)/Q, where p is the smoothed prior of the bin, scaled so that a pixel
    counts 1 in the mean over the prior (Zhang 2016, equation 4, with λ = 1 − r).

    Args:
        prior: shares of the bins.
        rebalance: r, from 0 (all alike) to 1; at 1 bins that are next to never seen count much.
    """
    share_Q = prior.smoothed_shares.flatten()[in_gamut()]
    share_Q = share_Q / share_Q.sum()
    weights_Q = 1 / (rebalance * share_Q + (1 - rebalance) / len(share_Q)).clamp(min=1e-9)
    return weights_Q / (share_Q * weights_Q).sum()
