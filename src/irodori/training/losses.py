"""The losses, as sums over valid samples divided by the size of the micro-batch.

Dividing by the batch's size rather than by the number of valid samples keeps the gradient of one
sample the same on every rank, whichever ranks hold damaged images.
"""

from torch import Tensor
from torch.nn import functional


def chroma_mse(predicted_BCHW: Tensor, target_BCHW: Tensor, valid_B: Tensor) -> Tensor:
    """Mean squared error of chrominance scaled to [0,1], over pixels, channels and the batch.

    Source: paper, with the *mean* squared error in place of the squared Frobenius norm.
    """
    error_B = (predicted_BCHW.float() - target_BCHW).square().mean((1, 2, 3))
    return (error_B * valid_B).sum() / len(valid_B)


def scene_cross_entropy(logits_BC: Tensor, labels_B: Tensor, valid_B: Tensor) -> Tensor:
    """Cross-entropy in nats; samples without a class (label −1) and invalid ones count zero."""
    labels_B = labels_B.masked_fill(~valid_B, -1)
    total = functional.cross_entropy(logits_BC.float(), labels_B, ignore_index=-1, reduction="sum")
    return total / len(valid_B)
