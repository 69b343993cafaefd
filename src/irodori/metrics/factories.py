"""Creating the metrics of the configuration group `metrics` that can be measured here."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial

from irodori.metrics.base import ColorizationMetric, PhotographMetric
from irodori.metrics.catalog import METRICS, MetricInfo
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError

Factories = Mapping[str, Callable[..., ColorizationMetric] | None]
"""Subclasses of `ColorizationMetric` or partials of them, by name in the configuration; None
disables a metric."""


def metric_classes(factories: Factories) -> dict[str, type[ColorizationMetric]]:
    """Return the class of each factory, without those that are None.

    Raises:
        IrodoriError: a factory doesn't create a metric, or its description is missing, doesn't
            match the class, or has a duplicate name.
    """
    classes: dict[str, type[ColorizationMetric]] = {}
    taken: dict[str, str] = {}
    for key, factory in factories.items():
        if factory is None:
            continue
        made = factory.func if isinstance(factory, partial) else factory
        if not (isinstance(made, type) and issubclass(made, ColorizationMetric)):
            raise IrodoriError(
                f"metrics.{key}: {made!r} is not a metric: name a class derived from PairMetric,"
                " SceneMetric or SetDistance, with _partial_: true"
            )
        classes[key] = made
        for info in infos_of(made, key):
            if METRICS.get(info.name, info) != info or info.name in taken:
                other = f"metrics.{taken[info.name]}" if info.name in taken else "irodori"
                raise IrodoriError(
                    f"metrics.{key}: the name {info.name} is already used by {other}"
                )
            taken[info.name] = key
    return classes


def infos_of(made: type[ColorizationMetric], key: str) -> tuple[MetricInfo, ...]:
    """Return the validated descriptions of a class; see `metric_classes`."""
    try:
        infos = made.infos()
    except AttributeError:
        raise IrodoriError(
            f"metrics.{key}: {made.__name__} lacks its description: info = MetricInfo(…)"
        ) from None
    per_photograph = issubclass(made, PhotographMetric)
    if any(info.per_photograph != per_photograph for info in infos):
        raise IrodoriError(
            f"metrics.{key}: the MetricInfo of {made.__name__} must have"
            f" per_photograph={per_photograph}"
        )
    return infos


def make_metrics(
    factories: Factories, num_classes: int, prior: AbPrior, slow: bool = True
) -> list[ColorizationMetric]:
    """Create all metrics that can be measured here, without those in `left_out`.

    Args:
        factories: factories by name.
        num_classes: number of scenes.
        prior: how frequent colors are.
        slow: include slow metrics (LPIPS, FID and the like).

    Raises:
        IrodoriError: see `metric_classes`; or a file of weights is damaged.
    """
    known = {"num_classes": num_classes, "prior": prior}
    metrics = []
    for key, made in metric_classes(factories).items():
        factory = factories[key]
        if factory is None or made.missing() or (made.slow and not slow):
            continue
        wanted = inspect.signature(factory).parameters
        metrics.append(factory(**{name: known[name] for name in known if name in wanted}))
    return metrics


def left_out(factories: Factories) -> dict[MetricInfo, str]:
    """Return the metrics that can't be measured here, with what is needed for each."""
    return {
        info: step
        for made in metric_classes(factories).values()
        if (step := made.missing())
        for info in made.infos()
    }
