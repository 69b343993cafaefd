"""The frequencies of colors in shards."""

from collections.abc import Iterator

from torch import Tensor

from irodori.data.opening import open_index
from irodori.data.samples import Samples
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressBar, waiting


def prior_of_shards(pattern: str) -> AbPrior:
    """Return the color frequencies of all photographs in shards, at their own sizes.

    Raises:
        IrodoriError: the shards can't be read, or a photograph can't be decoded.
    """
    with waiting(f"opening {pattern}"):
        index = open_index(pattern, None, None)
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
