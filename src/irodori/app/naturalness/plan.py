"""Who sees which photograph in which method, and when: a Latin square over people.

People come in blocks of as many as there are methods. All of a block see the same photographs, and
within it each photograph is seen once in each method. From block to block it changes which
photographs share a method, and, where a person doesn't see all of them, which are seen.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Shown:
    """A photograph in a method; in pairs, beside the true one.

    photograph, method: their numbers. first: in pairs, whether the method's picture comes first.
    """

    photograph: int
    method: int
    first: bool


def plan(person: int, photographs: int, methods: int, count: int, seed: int) -> list[Shown]:
    """What a person sees, in this order.

    No photograph comes twice. However early the person leaves, the methods that were seen differ in
    number by one at most: each run of as many photographs as there are methods holds each method
    once, in random order.

    Args:
        person: the how-manieth, from 0 on.
        photographs: that there are.
        methods: that there are.
        count: photographs that each person sees, at most `photographs`.
        seed: of the study; the plan depends on nothing but these.

    Returns:
        `count` of them.
    """
    block, turn = divmod(person, methods)
    mixed = np.random.default_rng([1, seed]).permutation(photographs)
    chosen = mixed[(block * count + np.arange(count)) % photographs]
    np.random.default_rng([2, seed, block]).shuffle(chosen)
    of_person = np.random.default_rng([3, seed, person])
    waiting = [
        of_person.permutation(chosen[(method - turn) % methods :: methods]).tolist()
        for method in range(methods)
    ]
    firsts = [_halves(len(queue), of_person) for queue in waiting]
    order: list[Shown] = []
    while len(order) < count:
        for method in of_person.permutation(methods).tolist():
            if waiting[method]:
                first = firsts[method].pop()
                order.append(Shown(waiting[method].pop(), method, first))
    return order


def _halves(count: int, random: np.random.Generator) -> list[bool]:
    """As many True as False, but for one, in random order."""
    sides = np.arange(count) + random.integers(2)
    return [bool(side) for side in random.permutation(sides % 2)]


def check_places(person: int, pictures: int, checks: int, seed: int) -> list[int]:
    """Where attention checks stand among the pictures of a person.

    The whole is cut into as many equal parts as there are checks, and one stands somewhere in each;
    none comes first of all.

    Args:
        person: see `plan`.
        pictures: photographs and checks together.
        checks: of them, at most half.
        seed: see `plan`.

    Returns:
        Their places, from 0 on, rising.
    """
    random = np.random.default_rng([4, seed, person])
    ends = np.linspace(1, pictures, checks + 1).astype(int)
    return [int(random.integers(low, high)) for low, high in pairwise(ends)]
