"""The losses as sums over valid samples divided by the size of the micro-batch.

Dividing by the batch's size rather than by the number of valid samples keeps the gradient of one
sample the same on every rank, whichever ranks hold damaged images.
"""

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBORS = 5
"""Bins that a color is shared out to."""
SIGMA = 5.0
"""Standard deviation in ab units of the Gaussian that a color is shared out by."""


def chroma_mse(predicted_BCHW: Tensor, target_BCHW: Tensor, valid_B: Tensor) -> Tensor:
    """Return the mean squared error of chrominance in [0,1] over pixels, channels and the batch.

    Source: paper, with the *mean* squared error in place of the squared Frobenius norm.
    """
    error_B = (predicted_BCHW.float() - target_BCHW).square().mean((1, 2, 3))
    return (error_B * valid_B).sum() / len(valid_B)


def chroma_huber(
    predicted_BCHW: Tensor, target_BCHW: Tensor, valid_B: Tensor, delta: float
) -> Tensor:
    """Return `chroma_mse` with 2·δ·|e| − δ² in place of e² where the error |e| is above δ.

    That is twice Huber's (1964), so that small errors count as in the mean squared error.
    """
    error_BCHW = functional.huber_loss(
        predicted_BCHW.float(), target_BCHW.float(), reduction="none", delta=delta
    )
    return 2 * (error_BCHW.mean((1, 2, 3)) * valid_B).sum() / len(valid_B)


def ab_cross_entropy(
    logits_BQHW: Tensor,
    ab_B2HW: Tensor,
    centers_Q2: Tensor,
    weights_Q: Tensor,
    valid_B: Tensor,
) -> Tensor:
    """Return the cross-entropy in nats over bins of a*b*, weighted by rarity, as mean over pixels.

    A pixel's color is shared out to the five bins with the nearest centers, by a Gaussian of their
    distances with σ = 5 ab units; the pixel counts by the weight of the nearest. Source: Zhang,
    Isola, Efros: *Colorful Image Colorization*, 2016, equations 2 and 3.

    Args:
        logits_BQHW: logits of the bins.
        ab_B2HW: true a* and b*.
        centers_Q2: centers of the bins, in ab units.
        weights_Q: weights of the bins.
        valid_B: bool; samples that are False count zero.
    """
    distances_BPQ = torch.cdist(
        ab_B2HW.movedim(1, -1).flatten(1, 2),
        centers_Q2[None],
        # A matrix product would lose digits under TF32.
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    near_BPN, bins_BPN = distances_BPQ.topk(NEIGHBORS, dim=-1, largest=False)
    share_BPN = (-0.5 * (near_BPN / SIGMA).square()).softmax(-1)
    logs_BPQ = logits_BQHW.float().flatten(2).log_softmax(1).transpose(1, 2)
    entropy_BP = -(share_BPN * logs_BPQ.gather(-1, bins_BPN)).sum(-1)
    error_B = (entropy_BP * weights_Q[bins_BPN[..., 0]]).mean(1)
    return (error_B * valid_B).sum() / len(valid_B)


def scene_cross_entropy(logits_BC: Tensor, labels_B: Tensor, valid_B: Tensor) -> Tensor:
    """Return the cross-entropy in nats.

    Samples without a class (label −1) and invalid ones count zero.
    """
    labels_B = labels_B.masked_fill(~valid_B, -1)
    total = functional.cross_entropy(logits_BC.float(), labels_B, ignore_index=-1, reduction="sum")
    return total / len(valid_B)
