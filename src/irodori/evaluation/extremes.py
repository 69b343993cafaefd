"""The photographs that are coloured worst and best, with their figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from irodori.inference.sheet import sheet
from irodori.metrics.catalog import MAIN, METRICS

NAME = "extremes.png"
ROW = "model"
SHOWN = (MAIN, "ciede2000", "psnr")
"""The figures below a photograph."""


@dataclass(frozen=True)
class Photographs:
    """What was judged, to be looked at again.

    names: of the photographs, in the order of the records. picture: gives the gray, the predicted
    and the true picture (3×H×W uint8 each) of a photograph by its number.
    """

    names: Sequence[str]
    picture: Callable[[int], Sequence[Tensor]]


def picture(
    records: Sequence[Mapping[str, Any]], photographs: Photographs, count: int
) -> Image.Image:
    """A contact sheet: on the left the worst `count` photographs, on the right the best ones.

    With fewer than 2·count photographs each is shown once.
    """
    figures = [record for record in records if record["row"] == ROW]
    order = sorted(range(len(figures)), key=lambda number: figures[number][MAIN])
    count = min(count, -(-len(order) // 2))
    best, worst = order[:count], order[: -count - 1 : -1]
    shown = [number for pair in zip(worst, best, strict=True) for number in pair]
    if len(order) % 2 and 2 * count > len(order):
        shown.pop()  # The one in the middle is the last of both.
    rows = [photographs.picture(number) for number in shown]
    captions = [caption(figures[number]) for number in shown]
    titles = (("gray", "predicted: worst", "true"), ("gray", "predicted: best", "true"))
    return sheet(rows, titles, captions)


def caption(record: Mapping[str, Any]) -> str:
    """A photograph's key and figures."""
    figures = [
        f"{METRICS[name].title} {METRICS[name].text(record[name])}"
        for name in SHOWN
        if name in record
    ]
    return " · ".join([shortened(record["key"]), *figures])


def shortened(key: str, length: int = 40) -> str:
    """The end of a long key."""
    return key if len(key) <= length else "…" + key[1 - length :]
