"""What is minimised of the colours: a class for each option of the group objective."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from irodori.color import Lab
from irodori.color.ab_bins import centers, in_gamut
from irodori.config import ClassesConfig, HuberConfig, ObjectiveConfig
from irodori.errors import IrodoriError
from irodori.metrics.prior import AbPrior
from irodori.network.joint import reduce_chroma
from irodori.network.output import AbClassesOutput, ChromaOutput, Output
from irodori.training.losses import ab_cross_entropy, chroma_huber, chroma_mse


class Objective(nn.Module):
    """A loss of what `JointNetwork.predict` says.

    Attributes:
        name: of its figure in metrics.csv.
    """

    name: str

    def forward(self, prediction_BQHW: Tensor, chroma_BCHW: Tensor, valid_B: Tensor) -> Tensor:
        """The loss of a micro-batch.

        Args:
            prediction_BQHW: see `JointNetwork.predict`.
            chroma_BCHW: the truth at the network's output size, see `reduce_chroma`.
            valid_B: bool; the others count zero.
        """
        raise NotImplementedError


class MeanSquaredError(Objective):
    """The paper's; see `chroma_mse`."""

    name = "mse"

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def forward(self, prediction_BQHW: Tensor, chroma_BCHW: Tensor, valid_B: Tensor) -> Tensor:
        """See `Objective`."""
        return chroma_mse(
            self.output(prediction_BQHW, *chroma_BCHW.shape[-2:]), chroma_BCHW, valid_B
        )


class Huber(Objective):
    """See `chroma_huber`."""

    name = "huber"

    def __init__(self, output: Output, delta: float) -> None:
        super().__init__()
        self.output = output
        self.delta = delta

    def forward(self, prediction_BQHW: Tensor, chroma_BCHW: Tensor, valid_B: Tensor) -> Tensor:
        """See `Objective`."""
        predicted_BCHW = self.output(prediction_BQHW, *chroma_BCHW.shape[-2:])
        return chroma_huber(predicted_BCHW, chroma_BCHW, valid_B, self.delta)


class AbClasses(Objective):
    """Classification over bins of a*b*; see `ab_cross_entropy`.

    Args:
        prior: how frequent colours are where the network is trained.
        rebalance: see `rebalanced`.
    """

    name = "classes"

    def __init__(self, prior: AbPrior, rebalance: float) -> None:
        super().__init__()
        self.register_buffer("centers_Q2", centers().float(), persistent=False)
        self.register_buffer("weights_Q", rebalanced(prior, rebalance).float(), persistent=False)
        half = torch.tensor(Lab.chroma_range).reshape(1, 2, 1, 1)
        self.register_buffer("range_1211", 2 * half, persistent=False)
        self.centers_Q2: Tensor
        self.weights_Q: Tensor
        self.range_1211: Tensor

    def forward(self, prediction_BQHW: Tensor, chroma_BCHW: Tensor, valid_B: Tensor) -> Tensor:
        """See `Objective`."""
        quarter_BCHW = reduce_chroma(chroma_BCHW.float())
        ab_B2HW = (quarter_BCHW - 0.5) * self.range_1211 + Lab.chroma_center
        return ab_cross_entropy(prediction_BQHW, ab_B2HW, self.centers_Q2, self.weights_Q, valid_B)


def rebalanced(prior: AbPrior, rebalance: float) -> Tensor:
    """What a pixel of each bin in gamut counts: Q, float64.

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


def make_output(config: ObjectiveConfig) -> Callable[..., Output]:
    """Return the output that a network needs for the objective."""
    if isinstance(config, ClassesConfig):
        return partial(AbClassesOutput, temperature=config.temperature)
    return ChromaOutput


def make_objective(
    config: ObjectiveConfig, output: Output, prior: Callable[[], AbPrior]
) -> Objective:
    """The objective of a configuration.

    Args:
        config: group objective.
        output: of the network.
        prior: gives how frequent colours are in the training photographs.

    Raises:
        IrodoriError: the name is unknown, or isn't that of the group's chosen option.
    """
    if config.name == "mse":
        return MeanSquaredError(output)
    if config.name == "huber" and isinstance(config, HuberConfig):
        return Huber(output, config.delta)
    if config.name == "classes" and isinstance(config, ClassesConfig):
        return AbClasses(prior(), config.rebalance)
    raise IrodoriError(
        f"objective.name={config.name} can't be had like this; choose objective=mse,"
        " objective=huber or objective=classes"
    )
