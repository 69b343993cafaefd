"""Mean color and frequencies of the colors in shards."""

from collections.abc import Iterator

import torch
from torch import Tensor

from irodori.data.opening import ShardOpener
from irodori.data.remote.files import RefusedError
from irodori.data.samples import Samples
from irodori.metrics.chrominance import mean_ab
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressBar, waiting

SAMPLES = 1000
"""Largest number of (evenly spaced) training photographs that are read."""


def prior_of_shards(pattern: str) -> AbPrior:
    """Return the color frequencies of all photographs in shards, at their own sizes.

    Raises:
        IrodoriError: the shards can't be read, or a photograph can't be decoded.
    """
    with waiting(f"opening {pattern}"):
        index = ShardOpener().open(pattern)
    data = Samples(index)

    def pictures(bar: ProgressBar) -> Iterator[Tensor]:
        for sample in range(len(index)):
            bar.advance()
            try:
                yield data.image(sample)
            except (RuntimeError, OSError) as error:
                shard, number = (int(place) for place in index.locate(sample))
                key = index.shards[shard].keys[number]
                raise IrodoriError(
                    f"{index.shards[shard].name}: {key}: {error}; remove it from the shards"
                ) from None

    names = sorted(shard.name for shard in index.shards)
    which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    with ProgressBar("counting colors", len(index)) as bar:
        return AbPrior.of(pictures(bar), f"irodori shards prior, of {which}")


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
        IrodoriError: none of them can be decoded, or a shard is unreachable.
    """
    decoded, reason = 0, ""
    for sample in range(0, len(data.index), -(-len(data.index) // SAMPLES)):
        try:
            picture = data.image(sample)
        except RefusedError as error:
            # The result must not depend on the network's momentary state.
            raise IrodoriError(f"{error}: repeat or resume when it is available") from None
        except (RuntimeError, OSError) as error:
            reason = str(error)
            continue
        decoded += 1
        yield picture
    if not decoded:
        raise IrodoriError(
            f"no training image can be decoded: check the shards of data.train ({reason})"
        )
