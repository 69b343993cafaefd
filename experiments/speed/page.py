"""The page of a benchmark: what the machine can do, the figures of all runs, floors, and a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

from figures import Figure, Row, Run, middle, rows_of
from floors import Floor, floors_of
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from units import number, quantity

from irodori.studies.document import Block, Cell, Document, Heading, Picture, Table, Text
from irodori.studies.plots import COLORS, Theme, draw

PICTURE = "results.png"
LIMITS = (
    ("GEMM, fp32", "gemm_fp32", "flops_per_second", "FLOP/s"),
    ("GEMM, tf32", "gemm_tf32", "flops_per_second", "FLOP/s"),
    ("GEMM, bf16", "gemm_bf16", "flops_per_second", "FLOP/s"),
    ("memory bandwidth, read and written", "bandwidth", "bytes_per_second", "B/s"),
    ("JPEG decoding of 256², one core", "jpeg_decode", "images_per_core_second", "images/s"),
    ("Python starts", "python", "seconds", "s"),
    ("torch and Lightning are imported", "import_stack", "seconds", "s"),
)
"""Title, key and value in a run, unit."""
MISSING = "—"


def document(results: Mapping[str, Any]) -> Document:
    """The page of what `benchmark.py` has measured."""
    runs: list[Run] = [run["figures"] for run in results["runs"]]
    hardware = results["hardware"]
    rows = rows_of(runs, hardware["bf16"])
    blocks: list[Block] = [Text(introduction(results)), *failures(results["runs"])]
    blocks += [Heading("What the machine can do"), limits(runs)]
    if rows:
        blocks += [Heading("What is done of it"), Text(READING)]
        blocks += [table(rows, hardware["bf16"]), picture(rows, hardware["bf16"])]
    floors = floors_of(rows, runs, hardware)
    if floors:
        blocks += [Heading("What stands in the way"), Text(FLOORS), floor_table(floors)]
    return Document("Speed", blocks)


READING = (
    "“Against” is the plain way in the same run, the GEMM peak of the precision in use, or the"
    " seconds that are allowed; a ratio above 1 is faster (or smaller) than that, and FLOP/s are a"
    " share of the peak. Amounts are medians over the runs."
)
FLOORS = (
    "Of each figure that isn't reached: what it can't be below on this machine, and the highest"
    " ratio that leaves. Operations are those of the network as it is written: a transform that"
    " needs fewer products can go below."
)


def introduction(results: Mapping[str, Any]) -> str:
    """Hardware, versions, date, and how long it took."""
    hardware = results["hardware"]
    versions = " · ".join(f"{name} {version}" for name, version in results["versions"].items())
    memory = quantity(hardware["memory_bytes"], "B")
    minutes = sum(sum(run["seconds"].values()) for run in results["runs"]) / 60
    count = len(results["runs"])
    said = (
        f"{hardware['chosen']} · {memory} · {versions} · {results['date']} ·"
        f" {count} {'run' if count == 1 else 'runs'} in {minutes:.1f} minutes."
    )
    if not hardware["bf16"]:
        said += (
            " This machine has no units for bf16: the figures marked ¹ are wanted of machines that"
            " have them."
        )
    return said


def failures(runs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Parts that failed, if any."""
    return [
        Text(f"Run {number}: {part} failed: {error}", "warning")
        for number, run in enumerate(runs, 1)
        for part, error in run["errors"].items()
    ]


def limits(runs: Sequence[Run]) -> Table:
    """What the machine can do."""
    rows = []
    for title, key, value, unit in LIMITS:
        median = middle(runs, key, value)
        if median is not None:
            each = [quantity(run[key][value], unit) if key in run else MISSING for run in runs]
            rows.append([*map(Cell, (title, *each)), Cell(quantity(median, unit), strong=True)])
    return Table(["", *run_names(len(runs)), "median"], rows)


def run_names(count: int) -> list[str]:
    """Heads of the runs' columns."""
    return [f"run {number}" for number in range(1, count + 1)]


def table(rows: Sequence[Row], bf16: bool) -> Table:
    """The figures."""
    header = ["figure", "against", "ours", *run_names(len(rows[0].ratios)), "median", "wanted", ""]
    lines = []
    for row in rows:
        figure = row.figure
        each = [MISSING if ratio is None else number(ratio) for ratio in row.ratios]
        reached = {True: "reached", False: "missed", None: ""}[row.reached]
        lines.append(
            [
                Cell(title(figure, bf16)),
                Cell(quantity(row.against, figure.unit)),
                Cell(quantity(row.ours, figure.unit)),
                *map(Cell, each),
                Cell(number(row.ratio), strong=True),
                Cell("" if figure.wanted is None else f"≥ {number(figure.wanted)}"),
                Cell(reached),
            ]
        )
    return Table(header, lines)


def title(figure: Figure, bf16: bool) -> str:
    """With a mark where the figure is wanted of other machines."""
    return f"{figure.title} ¹" if figure.bf16 and not bf16 else figure.title


def floor_table(floors: Sequence[Floor]) -> Table:
    """What stands in the way of which figure."""
    header = ["figure", "median", "wanted", "highest", "reckoning"]
    return Table(
        header,
        [
            [
                Cell(floor.row.figure.title),
                Cell(number(floor.row.ratio)),
                Cell(number(floor.row.figure.wanted or 0)),
                Cell(number(floor.highest), strong=True),
                Cell(floor.reckoning),
            ]
            for floor in floors
        ],
    )


def picture(rows: Sequence[Row], bf16: bool) -> Picture:
    """The ratio of every figure in every run, and what is wanted."""

    def paint(axes: Axes, theme: Theme) -> None:
        axes.axvline(1, color=theme.reference, linewidth=1.2)
        for place, row in enumerate(rows):
            known = [ratio for ratio in row.ratios if ratio is not None]
            tint = COLORS[1] if row.reached is False else COLORS[0]
            if row.figure.wanted is not None:
                axes.plot(
                    row.figure.wanted, place, "|", color=theme.ink, markersize=15, markeredgewidth=2
                )
            axes.plot(
                known, [place] * len(known), "o", color=tint, markersize=6.5, alpha=0.75,
                markeredgecolor=theme.paper,
            )  # fmt: skip
            axes.annotate(
                number(row.ratio), (1.01, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=9, annotation_clip=False,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yticks(range(len(rows)), [title(row.figure, bf16) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("dots: runs, bars: wanted, numbers: medians\nright is better")

    said = "; ".join(f"{row.figure.title} {number(row.ratio)}" for row in rows)
    plot = draw("results", f"Ratios of all runs: {said}", 1.0 + 0.3 * len(rows), paint)
    return Picture(PICTURE, plot.alt, plot.light)
