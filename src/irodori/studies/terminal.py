"""A comparison in the terminal."""

from rich.console import Console
from rich.table import Table

from irodori.metrics.catalog import MAIN, METRICS
from irodori.studies.comparison import Comparison
from irodori.studies.words import answer

SHOWN = ("ciede2000", "colorfulness", "accuracy")
"""Metrics beside the main one and those of the user; the report has all of them."""


def show(comparison: Comparison) -> None:
    """Print the answer, what has to be known of it, and the table."""
    console = Console(highlight=False)
    table = Table(title="Means, of the first with 95 % intervals", title_justify="left")
    table.add_column("variant", overflow="fold", min_width=12)
    main = METRICS[MAIN]
    table.add_column(main.title, justify="right", no_wrap=True)
    figures = [f for f in comparison.figures if f.name in SHOWN or f.name not in METRICS]
    for figure in figures:
        table.add_column(figure.title, justify="right", overflow="fold")
    for name in comparison.rows:
        estimate = comparison.estimates.get((name, MAIN))
        if estimate is None:
            continue
        cells = [f"{main.text(estimate.mean)} {main.text(estimate.low)}…{main.text(estimate.high)}"]
        for figure in figures:
            beside = comparison.estimates.get((name, figure.name))
            cells.append(figure.text(None if beside is None else beside.mean))
        best = name in comparison.names and comparison.stands_out(name, main)
        if name == comparison.names[-1]:
            table.add_row(name, *cells, style="bold" if best else None, end_section=True)
        else:
            table.add_row(name, *cells, style="bold" if best else None)
    console.print(table)
    for warning in comparison.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for left in comparison.left_out:
        console.print(f"left out: {left.folder}: {left.reason}", style="yellow", markup=False)
    console.print(" ".join(answer(comparison)), markup=False)
