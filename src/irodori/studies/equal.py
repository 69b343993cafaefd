"""What variants reach after the same number of steps, and after the same time of training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from irodori.studies.curves import Curve
from irodori.studies.statistics import Floats


@dataclass(frozen=True)
class Equal:
    """An amount of training that all variants have done, and where on their curves that is."""

    limit: float
    """Steps, or seconds."""
    places: Mapping[str, int | None]
    """By variant, the last validation at or before the limit; None if the first is after it."""


def equal_steps(curves: Mapping[str, Curve]) -> Equal:
    """At the most steps that every variant has been validated after.

    Args:
        curves: of one variant at least, by name.
    """
    return _equal({name: curve.steps_E for name, curve in curves.items()})


def equal_time(curves: Mapping[str, Curve]) -> Equal | None:
    """At the seconds that the fastest variant took to its last validation.

    They are compared by the means over a variant's runs: were each run measured by its own clock,
    those of the fastest variant that are slower than its mean would lack their last validation.

    Args:
        curves: of one variant at least, by name.

    Returns:
        None where a run has not noted its seconds.
    """
    seconds = {
        name: curve.seconds_E for name, curve in curves.items() if curve.seconds_E is not None
    }
    return _equal(seconds) if len(seconds) == len(curves) else None


def _equal(amounts: Mapping[str, Floats]) -> Equal:
    """Of each variant its amounts, which rise."""
    limit = min(float(amounts_E[-1]) for amounts_E in amounts.values())
    places = {
        name: int(np.searchsorted(amounts_E, limit, "right")) - 1
        for name, amounts_E in amounts.items()
    }
    return Equal(limit, {name: None if at < 0 else at for name, at in places.items()})
