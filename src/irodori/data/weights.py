"""Weights of training samples by class and key."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from irodori.data.index import Index
from irodori.utils.errors import IrodoriError


def sample_weights(index: Index, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the weight of each sample: the product of the weights that apply to it.

    Args:
        index: the samples.
        weights: weights by class name or, if no class has this name, by prefix of keys.

    Raises:
        IrodoriError: a name applies to no sample, a weight is negative or not a number, or no
            sample remains.
    """
    keys = np.array([key for shard in index.shards for key in shard.keys], np.str_)
    result = np.ones(len(index))
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise IrodoriError(f"data.weights: {name} is {weight}: give a number ≥ 0")
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
