"""Mean color and color prior of the training photographs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from irodori.data.samples import Samples
from irodori.metrics.chrominance import mean_ab
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import waiting

SAMPLES = 1000
"""Largest number of (evenly spaced) training photographs that are read."""


def training_mean_ab(data: Samples) -> tuple[float, float]:
    """Return the mean a* and b* (per photograph, then over training photographs)."""
    with waiting("averaging the colors of training photographs"):
        a, b = torch.stack([mean_ab(picture) for picture in _pictures(data)]).mean(0).tolist()
    return a, b


def training_prior(data: Samples) -> AbPrior:
    """Return the color frequencies of the training photographs."""
    return AbPrior.of(_pictures(data), "training photographs")


def _pictures(data: Samples) -> Iterator[Tensor]:
    """Yield training photographs, 3×H×W uint8; damaged ones are reported during training.

    Raises:
        IrodoriError: none of them can be decoded.
    """
    decoded, reason = 0, ""
    for sample in range(0, len(data.index), -(-len(data.index) // SAMPLES)):
        try:
            picture = data.image(sample)
        except (RuntimeError, OSError) as error:
            reason = str(error)
            continue
        decoded += 1
        yield picture
    if not decoded:
        raise IrodoriError(
            f"no training image can be decoded: check the shards of data.train ({reason})"
        )
