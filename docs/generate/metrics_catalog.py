"""The catalog of metrics with their definitions."""

from irodori.metrics.catalog import METRICS, MetricInfo

BETTER = {"lower": "↓", "higher": "↑", "near zero": "→ 0", "neither": ""}


def catalog() -> str:
    """Return a section for each metric."""
    return "\n\n".join(map(section, METRICS.values()))


def section(info: MetricInfo) -> str:
    """Return a metric's title, its name in files, and its definition."""
    unit = f", in {info.unit}" if info.unit else ""
    scope = "each photograph" if info.per_photograph else "the set as a whole"
    head = f"## {info.title} {BETTER[info.better]}".rstrip() + f" {{ #{info.name} }}"
    definition = info.definition[0].upper() + info.definition[1:]
    return f"{head}\n\n`{info.name}`, of {scope}{unit}.\n\n{definition}."
