"""Which shards a model was trained on, so that metrics on them can be marked."""

from collections.abc import Iterable, Mapping
from typing import Any

from irodori.data.index import Index


def shard_identities(index: Index) -> tuple[dict[str, Any], ...]:
    """Return name, length and SHA-256 ("" where unknown) of each shard, as checkpoints store it."""
    return tuple(
        {"name": shard.name, "bytes": shard.num_bytes, "sha256": shard.sha256}
        for shard in index.shards
    )


def seen_shards(trained_on: Iterable[Mapping[str, Any]], index: Index) -> list[str]:
    """Return the names of the index's shards that a model was trained on.

    Shards are the same if their SHA-256 is; where one isn't known, if name and length are.
    Photographs that were written into other shards aren't recognized.

    Args:
        trained_on: see `shard_identities`.
        index: the photographs that the model is to be measured on.
    """
    known = [(row["name"], row["bytes"], row["sha256"]) for row in trained_on]
    by_digest = {digest for _, _, digest in known if digest}
    by_name = {(name, size) for name, size, digest in known if not digest}
    by_any_name = {(name, size) for name, size, _ in known}
    return [
        shard.name
        for shard in index.shards
        if shard.sha256 in by_digest
        or (shard.name, shard.num_bytes) in (by_name if shard.sha256 else by_any_name)
    ]
