"""The mean colour of the training photographs: what can be had without a network."""

import torch

from irodori.data.stream import ShardDataset
from irodori.errors import IrodoriError
from irodori.metrics.chrominance import mean_ab

MEAN_SAMPLES = 1000
"""At most so many training photographs, evenly spread, make the mean colour."""


def training_mean_ab(data: ShardDataset) -> tuple[float, float]:
    """Mean a* and b* over training photographs (per photograph, then over them).

    Raises:
        IrodoriError: not one of them can be decoded.
    """
    step = max(1, -(-len(data.index) // MEAN_SAMPLES))
    means, reason = [], ""
    for sample in range(0, len(data.index), step):
        try:
            means.append(mean_ab(data.image(sample)))
        except (RuntimeError, OSError) as error:
            reason = str(error)  # Damaged images are reported where they are trained on.
    if not means:
        raise IrodoriError(
            f"no training image can be decoded: check the shards of data.train ({reason})"
        )
    first, second = torch.stack(means).mean(0).tolist()
    return first, second
