"""Do people agree on the same picture?"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How far people agree.

    alpha: Krippendorff's, for nominal data; 1 perfect, 0 as by chance, NaN where all answers are
    alike or no picture was judged twice. share: of pairs of answers to the same picture that agree.
    pictures: that two people at least have judged. answers: to these.
    """

    alpha: float
    share: float
    pictures: int
    answers: int


def agreement(judged: Iterable[tuple[Hashable, bool]]) -> Agreement:
    """Krippendorff's α of answers; pictures that one person alone has judged don't count.

    α = 1 − (n − 1) Σᵤ 2 n₀ᵤ n₁ᵤ / (nᵤ − 1) / (2 n₀ n₁), where of the n answers nᵤ are to picture u
    (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, for two categories).

    Args:
        judged: a picture and an answer to it, for each answer.
    """
    counts: dict[Hashable, list[int]] = {}
    for picture, answer in judged:
        counts.setdefault(picture, [0, 0])[int(answer)] += 1
    table_U2 = np.array([pair for pair in counts.values() if sum(pair) > 1], float).reshape(-1, 2)
    if not len(table_U2):
        return Agreement(np.nan, np.nan, 0, 0)
    sizes_U = table_U2.sum(1)
    answers = sizes_U.sum()
    differing = float((2 * table_U2.prod(1) / (sizes_U - 1)).sum() / answers)
    expected = float(2 * table_U2.sum(0).prod() / (answers * (answers - 1)))
    share = 1 - float((2 * table_U2.prod(1)).sum() / (sizes_U * (sizes_U - 1)).sum())
    alpha = 1 - differing / expected if expected else np.nan
    return Agreement(alpha, share, len(table_U2), int(answers))
