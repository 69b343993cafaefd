"""What can be known of colors without a network: those of the training photographs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from irodori.data.samples import Samples
from irodori.metrics.chrominance import mean_ab
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError

SAMPLES = 1000
"""At most so many training photographs, evenly spread, are looked at."""


def training_mean_ab(data: Samples) -> tuple[float, float]:
    """Return the mean a* and b* over training photographs (per photograph, then over them).

    Raises:
        IrodoriError: not one of them can be decoded.
    """
    first, second = torch.stack([mean_ab(picture) for picture in pictures(data)]).mean(0).tolist()
    return first, second


def training_prior(data: Samples) -> AbPrior:
    """Return how frequent colors are in the training photographs.

    Raises:
        IrodoriError: not one of them can be decoded.
    """
    return AbPrior.of(pictures(data), "training photographs")


def pictures(data: Samples) -> Iterator[Tensor]:
    """Yield training photographs, 3×H×W uint8.

    Raises:
        IrodoriError: not one of them can be decoded.
    """
    step = max(1, -(-len(data.index) // SAMPLES))
    decoded, reason = False, ""
    for sample in range(0, len(data.index), step):
        try:
            picture = data.image(sample)
        except (RuntimeError, OSError) as error:
            reason = str(error)  # Damaged images are reported where they are trained on.
            continue
        decoded = True
        yield picture
    if not decoded:
        raise IrodoriError(
            f"no training image can be decoded: check the shards of data.train ({reason})"
        )
