"""Which samples validate, in which order samples lie, and how they are dealt to shards."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from irodori.data.writing.source import VAL, Entry, key_of


def hash_of(text: str) -> bytes:
    """8 bytes that are as good as random, and the same everywhere."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def validation_count(samples: int, share: float) -> int:
    """How many of a class's samples validate: its share, rounded.

    If the share is not 0, a class of two or more has at least one on each side.
    """
    if share == 0 or samples < 2:
        return 0
    return min(max(1, math.floor(share * samples + 0.5)), samples - 1)


def split(entries: Sequence[Entry], share: float) -> tuple[list[Entry], list[Entry]]:
    """Training and validation samples: of each class those with the smallest hashes validate.

    The hash is of the key alone. So a photo that comes along moves at most one other of its class
    to the other side, and no seed moves any. A published split is kept as it is.
    """
    if any(entry.split for entry in entries):
        return (
            [entry for entry in entries if entry.split != VAL],
            [entry for entry in entries if entry.split == VAL],
        )
    by_class: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_class[entry.label].append(entry)
    train: list[Entry] = []
    val: list[Entry] = []
    for label in sorted(by_class):
        ordered = sorted(by_class[label], key=lambda entry: hash_of(key_of(entry.path)))
        count = validation_count(len(ordered), share)
        val += ordered[:count]
        train += ordered[count:]
    return train, val


def shuffled(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """In an order that the seed and the keys decide, across classes."""
    return sorted(entries, key=lambda entry: hash_of(f"{seed} {key_of(entry.path)}"))


def dealt(entries: Sequence[Entry], per_shard: int) -> list[Sequence[Entry]]:
    """Runs of about `per_shard`: as few shards as that takes, their sizes one apart at most."""
    count = math.ceil(len(entries) / per_shard)
    bounds = [len(entries) * number // count for number in range(count + 1)] if count else [0]
    return [entries[a:b] for a, b in pairwise(bounds)]
