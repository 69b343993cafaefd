"""A report's section on training: curves, and variants at equal steps and at equal time."""

from collections.abc import Mapping

from irodori.metrics.catalog import MAIN, METRICS
from irodori.studies import plots
from irodori.studies.comparison import Comparison
from irodori.studies.curves import Curve
from irodori.studies.document import Block, Cell, Heading, Picture, Table, Text
from irodori.studies.equal import Equal, equal_steps, equal_time

SHADED = (
    "Means of a variant's runs on their validation photographs, shaded from the lowest to the"
    " highest run."
)
TIMED = " Minutes are of training alone: validations are left out."
UNTIMED = (
    "No figures over time: the runs of {} have not noted train/seconds, as older versions did not."
)


def training_section(
    comparison: Comparison, curves: Mapping[str, Curve], files: dict[str, bytes]
) -> list[Block]:
    """Plot, table and words.

    Args:
        comparison: gives the variants their colours.
        curves: by name of the variant.
        files: the plot's file is put there.
    """
    blocks: list[Block] = [Heading("Training")]
    plot = plots.training(comparison, curves)
    if plot is None:
        return [*blocks, Text("The runs hold no figures for this plot.", "note")]
    file = f"{plot.name}.png"
    files[file] = plot.light
    steps, time = equal_steps(curves), equal_time(curves)
    below = SHADED if time is None else SHADED + TIMED
    blocks += [Picture(file, plot.alt, plot.light, plot.dark), Text(below, "note")]
    if len(curves) > 1:
        blocks += [
            Heading("At equal steps and at equal time"),
            equal_table(curves, steps, time),
            Text(_what_is_equal(steps, time), "note"),
        ]
    if time is None:
        untimed = [name for name, curve in curves.items() if curve.seconds_E is None]
        blocks.append(Text(UNTIMED.format("; ".join(untimed)), "note"))
    return blocks


def equal_table(curves: Mapping[str, Curve], steps: Equal, time: Equal | None) -> Table:
    """A row a variant: its figure at equal steps, and where it is known at equal time."""
    header = ["", f"after {_count(steps.limit)} steps", "steps done"]
    sides = [steps]
    if time is not None:
        header += [f"after {_minutes(time.limit)}", "steps done"]
        sides.append(time)
    return Table(
        header,
        [
            [Cell(name), *(cell for side in sides for cell in _cells(curve, side.places[name]))]
            for name, curve in curves.items()
        ],
    )


def _cells(curve: Curve, at: int | None) -> tuple[Cell, Cell]:
    """The figure after a validation, and the steps done by then."""
    if at is None:
        return Cell("–", "not validated by then"), Cell("–")
    text = METRICS[MAIN].text
    limits = f"{text(curve.low_E[at])} … {text(curve.high_E[at])}"
    return Cell(text(curve.mean_E[at]), limits), Cell(_count(curve.steps_E[at]))


def _what_is_equal(steps: Equal, time: Equal | None) -> str:
    figure = METRICS[MAIN]
    said = [
        f"Validation {figure.title} ({figure.unit}): the mean over a variant's runs, below it the"
        " lowest … the highest run. That is the range over seeds and folds, each fold with"
        " photographs of its own, and no confidence interval. Steps and minutes are means over the"
        " runs, too. Of each variant the last validation at or before the limit is taken.",
        f"{_count(steps.limit)} steps: the most that every variant has been validated after.",
    ]
    if time is not None:
        said.append(
            f"{_minutes(time.limit)}: what the fastest variant took to its last validation,"
            " validations left out; they mean something where all runs had the same machine, and"
            " nothing beside them."
        )
    said.append(
        "The learning rate's schedule matters: one that falls to 0 at the end flatters whoever has"
        " reached it. After equal steps that is every variant whose training ends there; after"
        " equal time slower ones are still in the midst of theirs. What a shorter training reaches"
        " is told only by runs whose schedule ends with it."
    )
    return " ".join(said)


def _count(steps: float) -> str:
    return f"{steps:,.0f}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes"
