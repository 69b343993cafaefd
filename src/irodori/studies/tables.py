"""The figures and differences as plain tables, for CSV files and for W&B."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from irodori.studies.comparison import TRUE, Comparison
from irodori.studies.curves import Curve
from irodori.studies.equal import equal_steps, equal_time

Table = dict[str, list[Any]]


def tables(comparison: Comparison) -> dict[str, Table]:
    """`figures` and `differences`, each {"columns": names, "data": rows}; numbers not rounded."""
    seeds = {variant.name: variant.seeds for variant in comparison.variants}
    figures = [
        [name, figure.name, e.mean, e.low, e.high, e.photographs, seeds.get(name)]
        for name in (*comparison.rows, TRUE)
        for figure in comparison.figures
        if (e := comparison.estimates.get((name, figure.name))) is not None
    ]
    differences = [
        [one, other, figure, d.difference, d.low, d.high, d.p, d.p_corrected, d.verdict]
        for (one, other, figure), d in comparison.differences.items()
    ]
    return {
        "figures": {
            "columns": ["variant", "figure", "mean", "low", "high", "photographs", "seeds"],
            "data": figures,
        },
        "differences": {
            "columns": [
                "variant",
                "other",
                "figure",
                "difference",
                "low",
                "high",
                "p",
                "p_corrected",
                "verdict",
            ],
            "data": differences,
        },
    }


def training_table(curves: Mapping[str, Curve]) -> Table:
    """A row a validation of a variant; numbers not rounded.

    Columns: variant, runs, epochs, steps and seconds of training (None where they aren't known),
    chrominance RMSE as `mean`, `low` and `high` over the runs; `equal_steps` and `equal_seconds`
    are the limits where this is the validation that is taken for them, else None.

    Args:
        curves: of one variant at least, by name.
    """
    sides = (equal_steps(curves), equal_time(curves))
    rows: list[list[Any]] = []
    for name, curve in curves.items():
        for at, epochs in enumerate(curve.epochs_E.astype(int).tolist()):
            limits = [
                side.limit if side is not None and side.places[name] == at else None
                for side in sides
            ]
            seconds = None if curve.seconds_E is None else float(curve.seconds_E[at])
            figures = [float(x_E[at]) for x_E in (curve.mean_E, curve.low_E, curve.high_E)]
            steps = float(curve.steps_E[at])
            rows.append([name, curve.runs, epochs, steps, seconds, *figures, *limits])
    columns = ["variant", "runs", "epochs", "steps", "seconds", "mean", "low", "high"]
    return {"columns": [*columns, "equal_steps", "equal_seconds"], "data": rows}


def as_csv(table: Table) -> bytes:
    """The table as a file; what isn't defined is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table["columns"])
    for row in table["data"]:
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])
    return text.getvalue().encode()
