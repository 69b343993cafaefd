"""Wilson's interval of a share, and how many answers make it how wide.

Wilson, Probable inference, the law of succession, and statistical inference (1927).
"""

import math

Z = 1.959963984540054
"""The normal quantile of 97.5 %."""


def wilson(successes: float, answers: float) -> tuple[float, float]:
    """The 95 % interval of a share; (0, 1) without answers.

    Args:
        successes: at most `answers`.
        answers: taken as independent of each other.
    """
    if not answers:
        return 0.0, 1.0
    share = successes / answers
    middle = share + Z * Z / (2 * answers)
    reach = Z * math.sqrt(share * (1 - share) / answers + (Z / (2 * answers)) ** 2)
    scale = 1 + Z * Z / answers
    # Rounding may miss the ends of 0 of n and n of n by a hair.
    low = 0.0 if successes == 0 else (middle - reach) / scale
    high = 1.0 if successes == answers else (middle + reach) / scale
    return low, high


def width(share: float, answers: int) -> float:
    """How wide the interval is where this share of the answers is "natural"."""
    low, high = wilson(share * answers, answers)
    return high - low


def answers_for(wanted: float, share: float) -> int:
    """The fewest answers whose interval is no wider than wanted.

    Args:
        wanted: above 0.
        share: of the answers that are "natural".
    """
    # It narrows as answers are added: between one that is too few and one that is enough.
    few, enough = 0, 1
    while width(share, enough) > wanted:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if width(share, middle) > wanted else (few, middle)
    return enough
