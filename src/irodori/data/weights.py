"""Weights of training samples, by their classes and keys."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from irodori.data.index import Index
from irodori.utils.errors import IrodoriError


def sample_weights(index: Index, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the weight of each sample: the product of the weights that concern it.

    Args:
        index: the samples.
        weights: by a class's name or, where no class has it, by the beginning of keys.

    Raises:
        IrodoriError: a name concerns no sample, a weight is no number from 0 on, or no sample is
            left.
    """
    keys = np.array([key for shard in index.shards for key in shard.keys], np.str_)
    result = np.ones(len(index))
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise IrodoriError(f"data.weights: {name} is {weight}: give a number from 0 on")
        if name in index.classes:
            concerned = index.labels == index.classes.index(name)
        else:
            concerned = np.char.startswith(keys, name)
        if not concerned.any():
            raise IrodoriError(
                f"data.weights: no training sample has the class {name!r} or a key that begins so"
            )
        result[concerned] *= weight
    if not result.any():
        raise IrodoriError("data.weights leaves no training sample: give one a weight above 0")
    return result
