"""Evaluation protocols, which are stored in metrics.json with the metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from irodori.data.config import Protocol
from irodori.data.images import to_middle_square, to_short_side, to_square
from irodori.data.index import Index
from irodori.data.module import ShardModule
from irodori.metrics.prior import AbPrior
from irodori.model import Model
from irodori.utils.errors import IrodoriError

OWN_SIZE = Protocol("own_size")
"""Name of the protocol of validation during training."""


def protocol_of(
    data: ShardModule, protocol: Protocol, model: Model, prior: AbPrior, samples: int
) -> dict[str, Any]:
    """Return the protocol of a checkpoint's evaluation on shards.

    `samples` is the number of photographs that were measured: not damaged ones, and with
    `trainer.limit_val_batches` not all.
    """
    described = {
        "name": protocol.name,
        "photographs": describe_photographs(protocol, data.config.val_size),
        "samples": samples,
        "shards": [shard.name for shard in data.val_index.shards],
        "mean_color": {"ab": list(model.mean_ab), "of": "the training photographs"},
        "ab_prior": prior.identity,
    }
    if seen := seen_shards(model.trained_on, data.val_index):
        described["seen_in_training"] = f"the model was trained on {', '.join(seen)}"
    return described


def resize_of(protocol: Protocol, short_side: int) -> Callable[[Tensor], Tensor]:
    """Return a function that scales a photograph (3×H×W uint8) to the protocol's size.

    Args:
        protocol: see there.
        short_side: short side to which larger photographs are scaled if the protocol has no size.
    """
    if protocol.square is not None:
        return partial(to_middle_square, size=protocol.square)
    if protocol.stretch is not None:
        return partial(to_square, size=protocol.stretch)
    return partial(to_short_side, size=short_side)


def first_by_name(protocol: Protocol, names: Sequence[str], there_are: str) -> list[int]:
    """Return the indices of the photographs that a protocol measures.

    Args:
        protocol: see there.
        names: names of all photographs.
        there_are: beginning of the error message's clause, such as "the folder holds".

    Raises:
        IrodoriError: there are too few photographs.
    """
    indices = list(range(len(names)))
    if protocol.first is None:
        return indices
    if len(names) < protocol.first:
        raise IrodoriError(
            f"protocol={protocol.name} measures the first {protocol.first} photographs, and"
            f" {there_are} {len(names)}: give the whole set, or set protocol.first={len(names)}"
        )
    return sorted(indices, key=names.__getitem__)[: protocol.first]


def describe_photographs(protocol: Protocol, short_side: int | None) -> str:
    """Return a description of the measured photographs and their size.

    Args:
        protocol: see there.
        short_side: short side to which larger photographs are scaled; None for no scaling.
    """
    which = "all" if protocol.first is None else f"the first {protocol.first:,} by name"
    if (side := protocol.side) is not None:
        how = "the middle square, scaled" if protocol.square else "the whole picture, stretched"
        size = f"{how} to {side}×{side} pixels (bilinear, antialiased)"
    elif short_side is not None:
        size = f"at their own size, short sides over {short_side} pixels scaled down to that"
    else:
        size = "at their own size"
    return f"{which}, {size}"


def shard_identities(index: Index) -> tuple[dict[str, Any], ...]:
    """Return name, size and SHA-256 ("" if unknown) of each shard, as stored in checkpoints."""
    return tuple(
        {"name": shard.name, "bytes": shard.num_bytes, "sha256": shard.sha256}
        for shard in index.shards
    )


def seen_shards(trained_on: Iterable[Mapping[str, Any]], index: Index) -> list[str]:
    """Return the names of the shards in an index that a model was trained on.

    Shards are equal if their SHA-256 is or, if one is unknown, name and size are. Photographs that
    were written to other shards aren't recognized.
    """
    known = list(trained_on)
    return [
        own["name"]
        for own in shard_identities(index)
        if any(
            own["sha256"] == other["sha256"]
            if own["sha256"] and other["sha256"]
            else (own["name"], own["bytes"]) == (other["name"], other["bytes"])
            for other in known
        )
    ]
