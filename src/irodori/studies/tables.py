"""The figures and differences as plain tables, for CSV files and for W&B."""

import csv
import io
from typing import Any

from irodori.studies.comparison import TRUE, Comparison

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


def as_csv(table: Table) -> bytes:
    """The table as a file; what isn't defined is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table["columns"])
    for row in table["data"]:
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])
    return text.getvalue().encode()
