"""The worst and best photographs of an evaluation, with their metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from irodori.inference.contact_sheet import contact_sheet
from irodori.metrics.catalog import MAIN, METRICS

NAME = "extremes.png"
SHOWN = (MAIN, "ciede2000", "psnr")
"""Metrics in a photograph's caption."""
LONGEST_KEY = 40
"""Largest number of characters of a key in a caption."""
Show = Callable[[int], Sequence[Tensor]]
"""A function that gives the gray, the predicted and the true picture (3×H×W uint8 each) of a
photograph, by its number in the order of the records."""


def picture(records: Sequence[Mapping[str, Any]], show: Show, count: int) -> Image.Image:
    """Return a contact sheet of the worst `count` photographs (left) and the best (right).

    With fewer than 2·count photographs, each is shown once, except the middle one of an odd number.
    """
    measured = [record for record in records if record["row"] == "model"]
    order = sorted(range(len(measured)), key=lambda number: measured[number][MAIN])
    count = min(count, -(-len(order) // 2))
    best, worst = order[:count], order[: -count - 1 : -1]
    pairs = list(zip(worst, best, strict=True))
    titles = ("gray", "predicted: worst", "true", "gray", "predicted: best", "true")
    rows = [[p for number in pair for p in show(number)] for pair in pairs]
    captions = [[caption(measured[number]) for number in pair] for pair in pairs]
    return contact_sheet(rows, titles, captions)


def caption(record: Mapping[str, Any]) -> str:
    """Return a photograph's key (shortened from the left) and its metrics."""
    key = record["key"]
    if len(key) > LONGEST_KEY:
        key = "…" + key[1 - LONGEST_KEY :]
    metrics = [
        f"{METRICS[name].title} {METRICS[name].text(record[name])}"
        for name in SHOWN
        if name in record
    ]
    return " · ".join([key, *metrics])
