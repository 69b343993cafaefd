"""The same photographs as every variant colours them, side by side."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori.color import Lab
from irodori.data.config import DataConfig
from irodori.data.images import to_short_side
from irodori.data.index import Index
from irodori.data.module import ShardModule
from irodori.data.opening import open_both
from irodori.inference.sheet import gray_of
from irodori.model import color_pictures, load_model
from irodori.studies.comparison import Comparison
from irodori.studies.runs import Run
from irodori.studies.variants import Variant
from irodori.utils.errors import IrodoriError, one_line

BOX = (240, 180)
"""Width and height of the box that a picture fits into, in pixels."""
GAP = 8
TITLE = 34
"""Height of a line of titles, in pixels."""


@dataclass(frozen=True)
class Grid:
    """A sheet of pictures, or why parts of it are missing."""

    png: bytes | None
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    missing: tuple[str, ...]


def picture_grid(comparison: Comparison, count: int, trust: Sequence[str] = ()) -> Grid:
    """Colour `count` photographs, evenly spread over the common ones, with every variant.

    A variant's picture is made by its first seed, and by the fold that was not trained on the
    photograph. A column that can't be made is left out, and it is said why. `trust` names packages
    besides irodori whose classes checkpoints may name.
    """
    keys = spread(comparison.keys, count)
    missing: list[str] = []
    true: dict[str, Tensor] = {}
    columns: dict[str, dict[str, Tensor]] = {}
    for variant in comparison.variants:
        try:
            columns[variant.name] = _colored(variant, keys, true, trust)
        except (IrodoriError, OSError, RuntimeError) as error:
            missing.append(f"{variant.name}: {one_line(error)}")
    shown = [key for key in keys if key in true and all(key in c for c in columns.values())]
    if not columns or not shown:
        return Grid(None, (), (), tuple(missing))
    rows = [
        [
            gray_of(Lab(), true[key]),
            *(column[key] for column in columns.values()),
            true[key],
        ]
        for key in shown
    ]
    titles = ("gray", *columns, "true")
    file = io.BytesIO()
    sheet(titles, rows).save(file, "png")
    return Grid(file.getvalue(), titles, tuple(shown), tuple(missing))


def spread(keys: Sequence[str], count: int) -> list[str]:
    """At most `count` keys, evenly spread."""
    places = np.linspace(0, len(keys) - 1, min(count, len(keys))).round().astype(int)
    return [keys[place] for place in dict.fromkeys(places.tolist())]


def _colored(
    variant: Variant, keys: Sequence[str], true: dict[str, Tensor], trust: Sequence[str]
) -> dict[str, Tensor]:
    """The photographs in a variant's colours; those that aren't known yet are added to `true`.

    Raises:
        IrodoriError, OSError, RuntimeError: a checkpoint or a photograph can't be had.
    """
    colored: dict[str, Tensor] = {}
    for runs in variant.folds().values():
        run = min(runs, key=lambda run: (run.seed is not None, run.seed))
        judged = set(variant.photographs(run).keys)
        own = [key for key in keys if key in judged]
        if not own:
            continue
        if run.checkpoint is None:
            raise IrodoriError("its pictures come from elsewhere, and no checkpoint is known")
        model = load_model(run.checkpoint, trust)
        unknown = [key for key in own if key not in true]
        if unknown:
            true.update(_photographs(run, unknown))
        for key in own:
            # One by one: a full-size photograph's features take much memory.
            (colored[key],), _ = color_pictures(
                model.network,
                model.space,
                [true[key]],
                own_luminance=not variant.predicted_luminance,
            )
    return colored


def _photographs(run: Run, keys: Sequence[str]) -> dict[str, Tensor]:
    """Photographs as the run was validated on them: 3×H×W uint8 RGB."""
    known = {field.name for field in fields(DataConfig)}
    given: dict[str, Any] = {name: value for name, value in run.data.items() if name in known}
    if not given.get("val"):
        raise IrodoriError(f"{run.folder} doesn't say which shards it was validated on")
    config = DataConfig(**{"train": given["val"], **given, "stages": ()})
    _, index = open_both(config)
    data = ShardModule(config, index, partial(to_short_side, size=config.val_size))
    place = _places(index, set(keys))
    absent = [key for key in keys if key not in place]
    if absent:
        raise IrodoriError(f"{absent[0]} is not in {config.val} any more")
    return {key: data.val_resize(data.val_samples.image(place[key])) for key in keys}


def _places(index: Index, keys: set[str]) -> Mapping[str, int]:
    """The numbers of the samples with these keys."""
    found = {}
    number = 0
    for shard in index.shards:
        for key in shard.keys:
            if key in keys:
                found[key] = number
            number += 1
    return found


def sheet(titles: Sequence[str], rows: Sequence[Sequence[Tensor]]) -> Image.Image:
    """Pictures (3×H×W uint8) with a title over each column, each centred in a box of BOX pixels."""
    height = max(min(BOX[1], round(BOX[0] * p.shape[1] / p.shape[2])) for row in rows for p in row)
    canvas = Image.new(
        "RGB",
        (len(titles) * (BOX[0] + GAP) - GAP, TITLE + len(rows) * (height + GAP) - GAP),
        "white",
    )
    paint = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        left = column * (BOX[0] + GAP)
        font = _font(title)
        paint.text((left + BOX[0] // 2, TITLE // 2), title, "#22252b", font=font, anchor="mm")
        for line, row in enumerate(rows):
            picture = ImageOps.contain(functional.to_pil_image(row[column]), (BOX[0], height))
            top = TITLE + line * (height + GAP)
            margin = ((BOX[0] - picture.width) // 2, (height - picture.height) // 2)
            canvas.paste(picture, (left + margin[0], top + margin[1]))
    return canvas


def _font(title: str) -> ImageFont.FreeTypeFont:
    """The plots' font, as large as the title has room for."""
    path = font_manager.findfont("DejaVu Sans")
    for size in range(16, 8, -1):
        font = ImageFont.truetype(path, size)
        if font.getlength(title) <= BOX[0]:
            break
    return font
