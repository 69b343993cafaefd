"""Sources of shards: image files with class and split, shuffled and assigned to shards."""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from irodori.imageio import READ
from irodori.utils.errors import IrodoriError
from irodori.utils.walk import walk

TRAIN, VAL = "train", "val"

SUFFIXES = tuple(READ)
"""Suffixes of image files; the actual format is detected by content, and may be rejected."""

_PARENTS = re.compile(r"/?(\.\./)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NEAR = 6.0
"""Largest root mean squared difference of near duplicates' fingerprints, in 8-bit levels.

For the sample's 206 photographs, copies saved at quality 20, scaled to a third or cropped by 3
pixels per side differ from the original by at most 4, different photographs by at least 17."""
AXES = 12
"""Number of principal components in the search tree: a tree of all 48 dimensions is slow."""
BLOCK = 100_000
"""Number of pairs of pictures that are compared at a time."""


class Entry(NamedTuple):
    """An image file; its path is relative to the source's root, with "/" as separator.

    Attributes:
        label: class id, −1 for none.
        split: published split, "train" or "val"; "" if there is none.
    """

    path: str
    label: int
    split: str = ""


@dataclass(frozen=True)
class Source:
    """The files of a source, in order, and its class names.

    Attributes:
        layout: name of the layout.
        others: (path, reason) of files that are not images by name.
        notes: remarks for the user, one line each.
    """

    layout: str
    root: Path
    entries: list[Entry]
    classes: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_split(self) -> bool:
        """Whether the source defines a validation split."""
        return any(entry.split for entry in self.entries)

    def digest(self) -> str:
        """Return a checksum of files, classes and split, independent of order and root."""
        names = (*self.classes, "none")  # label −1
        lines = sorted(f"{e.path}\0{names[e.label]}\0{e.split}\n" for e in self.entries)
        digest = hashlib.sha256()
        for text in (*lines, *(f"{name}\0" for name in self.classes)):
            digest.update(text.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def images_and_others(
    root: Path, folder: str = ""
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Return the image files below a folder, by suffix, and the other files with a reason."""
    images: list[str] = []
    others: list[tuple[str, str]] = []
    for path in walk(root, folder):
        if path.lower().endswith(SUFFIXES):
            images.append(path)
        else:
            others.append((path, "not an image by its name"))
    return images, tuple(others)


def refuse_beside_folders(root: Path, paths: list[str]) -> None:
    """Raise IrodoriError if there are images beside the class folders, which have no class."""
    if paths:
        more = f" and {len(paths) - 1:,} more lie" if len(paths) > 1 else " lies"
        raise IrodoriError(
            f"{root / paths[0]}{more} beside the class folders: move each into the folder of its "
            "class, or all into a separate folder, whose name becomes a class"
        )


def key_of(path: str) -> str:
    """Return the key of a file: its path without suffix, made valid for webdataset.

    webdataset ends a key at the first dot of the last part and skips names that begin with `__…__`;
    control characters would corrupt lists of keys.
    """
    if path.startswith(("../", "/")):  # a CSV's images may be anywhere
        path = _PARENTS.sub("", path, count=1)
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    key = _CONTROL.sub("_", folder + slash + stem.replace(".", "_"))
    return key.lstrip("_") or "_" if key.startswith("__") else key


def key_clashes(entries: Iterable[Entry]) -> list[str]:
    """Return a line for each key that several files share."""
    files: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        files[key_of(entry.path)].append(entry.path)
    return [
        f"the key {key!r} belongs to {' and '.join(paths)}"
        for key, paths in files.items()
        if len(paths) > 1
    ]


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
