"""Objectives (losses of the colors): their interface and the built-in ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.color import ColorSpace, Lab
from irodori.color.ab_bins import centers, in_gamut
from irodori.config.ranges import Range
from irodori.metrics.prior import AbPrior
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma, upsample_chroma
from irodori.network.output import AbClassesOutput, Output
from irodori.utils.errors import IrodoriError

NEIGHBORS = 5
"""Number of bins in the soft encoding of a color in `AbClasses`."""
SIGMA = 5.0
"""Standard deviation in ab units of the Gaussian of the soft encoding."""


@dataclass(eq=False)
class ObjectiveInput:
    """A micro-batch of B photographs, the input of an objective.

    prediction_BQHW: output of the decoder, see `JointNetwork.predict`. chroma_BCHW: true
    chrominance in [0,1]. luminance_B1HW: input of the network in [0,1]. logits_BC: scene logits,
    None without classification. labels_B: scene numbers, −1 for none. valid_B: bool; False for
    photographs that could not be decoded, whose weight must be zero.
    """

    prediction_BQHW: Tensor
    chroma_BCHW: Tensor
    luminance_B1HW: Tensor
    logits_BC: Tensor | None
    labels_B: Tensor
    valid_B: Tensor
    output: Output
    color_space: ColorSpace

    def of(self, rows_R: Tensor, prediction_RQHW: Tensor) -> "ObjectiveInput":
        """Return a subset of the photographs, by index, with another prediction."""
        return replace(
            self,
            prediction_BQHW=prediction_RQHW,
            chroma_BCHW=self.chroma_BCHW[rows_R],
            luminance_B1HW=self.luminance_B1HW[rows_R],
            logits_BC=None if self.logits_BC is None else self.logits_BC[rows_R],
            labels_B=self.labels_B[rows_R],
            valid_B=self.valid_B[rows_R],
        )

    @cached_property
    def target_BCHW(self) -> Tensor:
        """The true chrominance at the network's output size: B×C×⌈H/2⌉×⌈W/2⌉."""
        return reduce_chroma(self.chroma_BCHW)

    @cached_property
    def predicted_BCHW(self) -> Tensor:
        """The predicted chrominance in [0,1]: B×C×⌈H/2⌉×⌈W/2⌉, fp32."""
        height, width = self.target_BCHW.shape[-2:]
        predicted: Tensor = self.output(self.prediction_BQHW, height, width)
        return predicted.float()

    @cached_property
    def predicted_rgb_B3HW(self) -> Tensor:
        """The predicted picture, sRGB B×3×H×W, not clipped to [0,1]; differentiable."""
        height, width = self.luminance_B1HW.shape[-2:]
        full_BCHW = upsample_chroma(self.predicted_BCHW, height, width)
        return self.color_space.decode(self.luminance_B1HW, full_BCHW)

    @cached_property
    def target_rgb_B3HW(self) -> Tensor:
        """The true picture with the network's input luminance, sRGB B×3×H×W."""
        return self.color_space.decode(self.luminance_B1HW, self.chroma_BCHW)

    def mean(self, error_B: Tensor) -> Tensor:
        """Return the sum of the valid photographs' errors divided by B.

        Dividing by B instead of the number of valid photographs makes the gradient of a photograph
        independent of damaged images on its rank.
        """
        return (error_B * self.valid_B).sum() / len(self.valid_B)


class Objective(nn.Module):
    """Base class of objectives.

    A subclass implements `forward`. Its parameters, if any, are trained with the network's. `name`
    names its column in metrics.csv (`train/<name>_step` and `_epoch`).
    """

    name: str

    def setup(
        self, network: JointNetwork, color_space: ColorSpace, training_prior: Callable[[], AbPrior]
    ) -> None:
        """Prepare for training, called once; does nothing by default.

        Args:
            network: the network to be trained.
            color_space: color space of its predictions.
            training_prior: computes the color frequencies of the training photographs.

        Raises:
            IrodoriError: the objective doesn't support the network or the color space.
        """

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss of a micro-batch; see `ObjectiveInput.mean`."""
        raise NotImplementedError


class MeanSquaredError(Objective):
    """Mean squared error of chrominance in [0,1] over pixels, channels and the batch.

    Source: the paper, with the *mean* squared error instead of the squared Frobenius norm.
    """

    name = "mse"

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        error_BCHW = (inputs.predicted_BCHW - inputs.target_BCHW).square()
        return inputs.mean(error_BCHW.mean((1, 2, 3)))


class Huber(Objective):
    """Huber loss: `MeanSquaredError` with 2·δ·|e| − δ² instead of e² for errors |e| > δ.

    It is twice Huber's loss (1964), so that small errors have the same weight as in
    `MeanSquaredError`.
    """

    name = "huber"

    def __init__(self, delta: Annotated[float, Range(above=0, max=1)] = 0.05) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        error_BCHW = functional.huber_loss(
            inputs.predicted_BCHW, inputs.target_BCHW.float(), reduction="none", delta=self.delta
        )
        return 2 * inputs.mean(error_BCHW.mean((1, 2, 3)))


class Colorful(Huber):
    """`Huber` + weight · the deficit of predicted colorfulness.

    With only an error of colors, uncertain colors are predicted too pale. Colorfulness is the mean
    distance of chrominance from gray over the pixels of a photograph; only predictions less
    colorful than the truth are penalized.
    """

    name = "colorful"

    def __init__(
        self,
        delta: Annotated[float, Range(above=0, max=1)] = 0.05,
        weight: Annotated[float, Range(min=0)] = 0.01,
    ) -> None:
        super().__init__(delta)
        self.weight = weight

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        gray_BCHW = reduce_chroma(inputs.color_space.gray_chroma(inputs.luminance_B1HW))
        predicted_B, true_B = (
            torch.linalg.vector_norm(chroma_BCHW.float() - gray_BCHW, dim=1).mean((1, 2))
            for chroma_BCHW in (inputs.predicted_BCHW, inputs.target_BCHW)
        )
        paler_B = (true_B - predicted_B).clamp(min=0)
        return super().forward(inputs) + self.weight * inputs.mean(paler_B)


class AbClasses(Objective):
    """Cross-entropy in nats over a*b* bins, weighted by rarity; requires `AbClassesOutput`.

    A pixel's color is soft-encoded in the five nearest bins, by a Gaussian of their distances with
    σ = 5 ab units, and weighted by the nearest bin. Source: Zhang, Isola, Efros: *Colorful Image
    Colorization*, 2016, equations 2 and 3.

    Args:
        rebalance: strength of class rebalancing, see `rebalanced`.
    """

    name = "classes"

    def __init__(self, rebalance: Annotated[float, Range(min=0, max=1)] = 0.5) -> None:
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
        """Compute the bins' weights from the training photographs; see `Objective`."""
        if type(color_space) is not Lab or not isinstance(network.output, AbClassesOutput):
            raise IrodoriError(
                "objective=classes requires color_space=lab and the output"
                f" AbClassesOutput, not with {type(color_space).__name__} and"
                f" {type(network.output).__name__}"
            )
        self.weights_Q.copy_(rebalanced(training_prior(), self.rebalance))

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        quarter_BCHW = reduce_chroma(inputs.target_BCHW.float())
        ab_B2HW = (quarter_BCHW - 0.5) * self.range_1211 + Lab.chroma_center
        distances_BPQ = torch.cdist(
            ab_B2HW.movedim(1, -1).flatten(1, 2),
            self.centers_Q2[None],
            # A matrix product would lose precision under TF32.
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        near_BPN, bins_BPN = distances_BPQ.topk(NEIGHBORS, dim=-1, largest=False)
        share_BPN = (-0.5 * (near_BPN / SIGMA).square()).softmax(-1)
        logs_BPQ = inputs.prediction_BQHW.float().flatten(2).log_softmax(1).transpose(1, 2)
        entropy_BP = -(share_BPN * logs_BPQ.gather(-1, bins_BPN)).sum(-1)
        return inputs.mean((entropy_BP * self.weights_Q[bins_BPN[..., 0]]).mean(1))


def rebalanced(prior: AbPrior, rebalance: float) -> Tensor:
    """Return the weight of each in-gamut bin: Q, float64.

    The weight is 1 / (r·p + (1−r)/Q) with the bin's smoothed prior p, scaled to a mean of 1 over
    the prior (Zhang 2016, equation 4, with λ = 1 − r).

    Args:
        prior: color frequencies.
        rebalance: r, from 0 (equal weights) to 1 (very rare bins get large weights).
    """
    share_Q = prior.smoothed_shares.flatten()[in_gamut()]
    share_Q = share_Q / share_Q.sum()
    weights_Q = 1 / (rebalance * share_Q + (1 - rebalance) / len(share_Q)).clamp(min=1e-9)
    return weights_Q / (share_Q * weights_Q).sum()


def scene_cross_entropy(logits_BC: Tensor, labels_B: Tensor, valid_B: Tensor) -> Tensor:
    """Return the cross-entropy in nats, summed and divided by B.

    Samples without a class (label −1) and invalid ones have zero weight.
    """
    labels_B = labels_B.masked_fill(~valid_B, -1)
    total = functional.cross_entropy(logits_BC.float(), labels_B, ignore_index=-1, reduction="sum")
    return total / len(valid_B)
