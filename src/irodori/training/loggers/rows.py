"""Rows of metrics.csv for loggers in which a step has one value of a name."""

from collections.abc import Mapping, Sequence
from typing import Any


class FirstValues:
    """Leaves out values of a step that has them.

    At the end of a run, its last and then its best checkpoint are validated once more, at one step:
    of these, the last one's figures belong there.
    """

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}

    def __call__(self, metrics: Mapping[str, Any], step: int | None) -> dict[str, Any]:
        """The values that are new; steps never decrease."""
        assert step is not None, "Lightning gives each row a step"
        new = {name: value for name, value in metrics.items() if self._steps.get(name, -1) < step}
        self._steps |= dict.fromkeys(new, step)
        return new


def at_last_step(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of the last one's step."""
    return [row for row in rows if int(row["step"]) == int(rows[-1]["step"])]


def values(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row, which may be texts, without its step."""
    return {name: float(value) for name, value in row.items() if name != "step"}
