"""Splitting samples into training and validation, shuffling, and assignment to shards."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from irodori.data.writing.source import VAL, Entry, key_of

NEAR = 6.0
"""Largest root mean squared difference of near duplicates' fingerprints, in 8-bit levels.

For the sample's 206 photographs, copies saved at quality 20, scaled to a third or cropped by 3
pixels per side differ from the original by at most 4, different photographs by at least 17."""
AXES = 12
"""Number of principal components in the search tree: a tree of all 48 dimensions is slow."""
BLOCK = 100_000
"""Number of pairs of pictures that are compared at a time."""


def hash_of(text: str) -> bytes:
    """Return an 8-byte hash that is the same on all machines."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def group_duplicates(fingerprints: Sequence[bytes]) -> list[int]:
    """Return for each image the index of the first one in its group.

    A group consists of equal or nearly equal images (transitively). Images with an empty
    fingerprint form their own groups.
    """
    groups = list(range(len(fingerprints)))
    known = [i for i, fingerprint in enumerate(fingerprints) if fingerprint]
    if not known:
        return groups
    content = b"".join(fingerprints[i] for i in known)
    numbers = np.frombuffer(content, np.uint8).reshape(len(known), -1)
    unique, inverse = np.unique(numbers, axis=0, return_inverse=True)
    centered = unique - unique.mean(0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    radius = NEAR * math.sqrt(unique.shape[1])
    candidates = KDTree(centered @ axes[:, -AXES:]).query_pairs(radius, output_type="ndarray")
    near = np.empty(len(candidates), bool)
    # Thousands of dull pictures make millions of pairs, which take 800 bytes each at once.
    for start in range(0, len(candidates), BLOCK):
        block = slice(start, start + BLOCK)
        left, right = centered[candidates[block].T]
        near[block] = np.linalg.norm(left - right, axis=1) < radius
    pairs = candidates[near]
    graph = coo_array((np.ones(len(pairs)), pairs.T), (len(unique), len(unique)))
    _, components = connected_components(graph, directed=False)
    first: dict[int, int] = {}
    for i, component in zip(known, components[inverse].tolist(), strict=True):
        groups[i] = first.setdefault(component, i)
    return groups


def validation_count(samples: int, share: float) -> int:
    """Return the number of validation samples of a class: its share, rounded.

    Unless the share is 0, a class of two or more has at least one sample on each side.
    """
    if share == 0 or samples < 2:
        return 0
    return min(max(1, math.floor(share * samples + 0.5)), samples - 1)


def split(
    entries: Sequence[Entry], share: float, groups: Sequence[int]
) -> tuple[list[Entry], list[Entry]]:
    """Split samples into training and validation (those with the smallest hashes in each class).

    A group of duplicates belongs to the class of its first sample and stays on one side. The hash
    depends only on the key, so an added photo moves at most one other of its class to the other
    side, and the seed has no influence. A published split is kept.

    Args:
        entries: the samples.
        share: share of each class for validation.
        groups: group number of each sample, equal for duplicates.
    """
    if any(entry.split for entry in entries):
        return (
            [entry for entry in entries if entry.split != VAL],
            [entry for entry in entries if entry.split == VAL],
        )
    hashes = [hash_of(key_of(entry.path)) for entry in entries]
    members: dict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(entries)), key=hashes.__getitem__):
        members[groups[i]].append(i)
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    for group in members.values():
        by_class[entries[group[0]].label].append(group)
    chosen: set[int] = set()
    for candidates in by_class.values():
        left = wanted = validation_count(sum(map(len, candidates)), share)
        for group in candidates:
            if len(group) <= left:
                chosen.update(group)
                left -= len(group)
        if wanted and left == wanted and len(candidates) > 1:
            smallest = min(candidates, key=len)
            chosen.update(smallest)
    return (
        [entry for i, entry in enumerate(entries) if i not in chosen],
        [entry for i, entry in enumerate(entries) if i in chosen],
    )


def shuffled(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Return the samples of all classes in an order determined by the seed and the keys."""
    return sorted(entries, key=lambda entry: hash_of(f"{seed} {key_of(entry.path)}"))


def into_shards(entries: Sequence[Entry], per_shard: int) -> list[Sequence[Entry]]:
    """Divide samples into shards of about `per_shard`, with sizes that differ by at most one."""
    count = math.ceil(len(entries) / per_shard)
    bounds = [len(entries) * number // count for number in range(count + 1)] if count else [0]
    return [entries[a:b] for a, b in pairwise(bounds)]
