"""The figures that are wanted, and what a benchmark's runs say of them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Run = Mapping[str, Mapping[str, float]]
"""What the parts of a run measured, by figure."""


@dataclass(frozen=True)
class Figure:
    """A line of the page: a ratio, above 1 where ours is better than what it stands against."""

    key: str
    """In a run."""
    title: str
    wanted: float | None = None
    """The least ratio."""
    against: Literal["plain", "peak", "allowed"] = "plain"
    """The plain way; the GEMM peak of the precision in use; or so many seconds."""
    unit: Literal["s", "B", "FLOP/s"] = "s"
    allowed: float = 0.0
    bf16: bool = False
    """Wanted of machines with units for bf16 only."""


@dataclass(frozen=True)
class Row:
    """A figure in all runs; None where its part failed."""

    figure: Figure
    against: float
    """Median over the runs."""
    ours: float
    ratios: Sequence[float | None]

    @property
    def ratio(self) -> float:
        """Median over the runs."""
        return statistics.median(ratio for ratio in self.ratios if ratio is not None)

    @property
    def reached(self) -> bool | None:
        """None if nothing is wanted."""
        return None if self.figure.wanted is None else self.ratio >= self.figure.wanted


FIGURES = (
    Figure("step_batch32", "training step, batch 32, an image", 7, bf16=True),
    Figure("step_batch32", "training, batch 32, FLOP/s", 0.6, "peak", "FLOP/s"),
    Figure("step_batch8", "training step, batch 8, an image", 3.9, bf16=True),
    Figure("memory_batch32", "training, batch 32, peak memory", 1 / 0.6, unit="B", bf16=True),
    Figure("infer_batch8", "inference, batch 8, an image", 7.2, bf16=True),
    Figure("infer_batch8", "inference, batch 8, FLOP/s", 0.96, "peak", "FLOP/s"),
    Figure("infer_1", "inference, one image", 5, bf16=True),
    Figure("infer_1024", "one photo of 1024²", 6.5, bf16=True),
    Figure("infer_2048", "one photo of 2048²", 6.5, bf16=True),
    Figure("memory_1024", "one photo of 1024², peak memory", 3, unit="B"),
    Figure("memory_2048", "one photo of 2048², peak memory", 3, unit="B"),
    Figure("conversion_lab", "RGB → L*a*b*, an image", 3),
    Figure("conversion_from_uint8", "8-bit RGB → L*a*b*, an image"),
    Figure("conversion_to_rgb", "L*a*b* → RGB, an image"),
    Figure("loader", "loader over raw decoding, core-seconds an image", 0.85),
    Figure("framework", "train.py over a bare loop, an image", 0.98),
    Figure("first_step", "python train.py to the first step", 1, "allowed", allowed=8),
    Figure("import_irodori", "import irodori", 1, "allowed", allowed=0.3),
    Figure("help", "irodori --help", 1, "allowed", allowed=0.4),
)


def peak_key(bf16: bool) -> str:
    """The GEMM peak of the precision in use."""
    return "gemm_bf16" if bf16 else "gemm_fp32"


def measured(figure: Figure, run: Run, bf16: bool) -> tuple[float, float, float] | None:
    """What a figure stands against, what is ours, and their ratio; None if a run hasn't got it."""
    values = run.get(figure.key)
    if values is None:
        return None
    ours = values["ours"]
    if figure.against == "allowed":
        return figure.allowed, ours, figure.allowed / ours
    if figure.against == "plain":
        return values["plain"], ours, values["plain"] / ours
    peak = run.get(peak_key(bf16))
    if peak is None:
        return None
    speed = values["flops_per_image"] / ours
    return peak["flops_per_second"], speed, speed / peak["flops_per_second"]


def rows_of(runs: Sequence[Run], bf16: bool) -> list[Row]:
    """The figures that at least one run has."""
    rows = []
    for figure in FIGURES:
        triples = [measured(figure, run, bf16) for run in runs]
        known = [triple for triple in triples if triple is not None]
        if known:
            against, ours, _ = (statistics.median(values) for values in zip(*known, strict=True))
            ratios = [None if triple is None else triple[2] for triple in triples]
            rows.append(Row(figure, against, ours, ratios))
    return rows


def middle(runs: Sequence[Run], key: str, value: str) -> float | None:
    """A raw value's median over the runs that have it."""
    known = [run[key][value] for run in runs if key in run]
    return statistics.median(known) if known else None
