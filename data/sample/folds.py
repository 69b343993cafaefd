"""Splitting samples into folds so that what belongs together is never on both sides."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt


def linked_groups(ties: Sequence[Iterable[Hashable]]) -> list[int]:
    """Group samples that share a tie, directly or through others.

    ties: for each sample what it is tied by, such as its photographer and its subject.
    Returns for each sample the number of the first sample of its group.
    """
    parents = list(range(len(ties)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    first: dict[Hashable, int] = {}
    for i, sample_ties in enumerate(ties):
        for tie in sample_ties:
            one, other = root(i), root(first.setdefault(tie, i))
            parents[max(one, other)] = min(one, other)
    return [root(i) for i in range(len(ties))]


def grouped_folds(
    scenes: Sequence[str], groups: Sequence[str], folds: int
) -> npt.NDArray[np.int64]:
    """Assign each of n samples to a fold, whole groups together, each scene spread evenly.

    Greedy: the largest group first, to the fold that leaves the smallest sum of squared
    deviations from the ideal scene×fold counts; then to the fold with the fewest samples, then
    to the first. The result depends on no chance and not on the order of the samples.

    Returns n fold numbers in 0…folds−1. Raises ValueError for lists of unequal length or no fold.
    """
    if len(scenes) != len(groups):
        raise ValueError(f"{len(scenes)} scenes but {len(groups)} groups")
    if folds < 1:
        raise ValueError(f"{folds} folds")
    scene_names, scene_of = np.unique(np.array(scenes, dtype=object), return_inverse=True)
    group_names, group_of = np.unique(np.array(groups, dtype=object), return_inverse=True)
    counts_GS = np.zeros((len(group_names), len(scene_names)), np.int64)
    np.add.at(counts_GS, (group_of, scene_of), 1)
    totals_S = counts_GS.sum(axis=0)
    filled_FS = np.zeros((folds, len(scene_names)), np.int64)
    fold_of = np.zeros(len(group_names), np.int64)
    for group in np.argsort(-counts_GS.sum(axis=1), kind="stable"):
        counts_S = counts_GS[group]
        # What the squared deviations grow by, times the number of folds: whole numbers, so that
        # ties are exact.
        cost_F = (counts_S * (folds * (2 * filled_FS + counts_S) - 2 * totals_S)).sum(axis=1)
        fold = np.lexsort((filled_FS.sum(axis=1), cost_F))[0]
        fold_of[group] = fold
        filled_FS[fold] += counts_S
    return fold_of[group_of]
