"""The same photographs colorized by every variant, side by side."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from irodori.color import Lab
from irodori.data.config import DataConfig, Protocol
from irodori.data.module import ShardModule
from irodori.data.opening import open_both
from irodori.data.protocol import OWN_SIZE, resize_of
from irodori.evaluation.checkpoint import data_config, opened
from irodori.evaluation.comparison.comparison import Comparison, photographs
from irodori.evaluation.comparison.runs import Run
from irodori.evaluation.comparison.variants import Variant
from irodori.evaluation.document import Block, Heading, Picture, Text
from irodori.evaluation.settings import EvaluatedData
from irodori.inference.contact_sheet import contact_sheet, gray_of
from irodori.model import color_pictures, load_model
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.progress import Reporter

Kind = TypeVar("Kind", DataConfig, EvaluatedData, Protocol)
BOX = (240, 180)
"""Largest width and height of a picture, in pixels."""


def side_by_side(
    comparison: Comparison, count: int, trust: Sequence[str], report: Reporter
) -> list[Block]:
    """Return a section of `count` photographs, evenly spread over the common ones.

    A variant's pictures come from its first seed and from the fold that wasn't trained on the
    photograph. A variant without pictures has no column, and the section explains why. `trust`
    names packages besides irodori whose classes checkpoints may use.
    """
    keys = spread(comparison.keys, count)
    missing: list[str] = []
    true: dict[str, Tensor] = {}
    columns: dict[str, dict[str, Tensor]] = {}
    for number, variant in enumerate(comparison.variants):
        report(f"coloring {len(keys)} photographs", number, len(comparison.variants))
        try:
            columns[variant.name] = _colored(variant, keys, true, trust)
        except (IrodoriError, OSError, RuntimeError) as error:
            missing.append(f"{variant.name}: {one_line(error)}")
    blocks: list[Block] = []
    shown = [key for key in keys if key in true and all(key in c for c in columns.values())]
    if columns and shown:
        titles = ("gray", *columns, "true")
        alt = f"{photographs(len(shown))} as rows: {', '.join(titles)} as columns"
        rows = [
            [gray_of(Lab(), true[key]), *(column[key] for column in columns.values()), true[key]]
            for key in shown
        ]
        height = max(round(BOX[0] * p.shape[1] / p.shape[2]) for row in rows for p in row)
        file = io.BytesIO()
        contact_sheet(rows, titles, box=(BOX[0], min(BOX[1], height))).save(file, "png")
        below = (
            f"Evenly spread over all photographs, without selection: {', '.join(shown)}. Each is"
            " colorized by the variant's first seed, with the evaluated checkpoint."
        )
        picture = Picture("pictures.png", alt, file.getvalue(), min_width=110 * len(titles))
        blocks += [picture, Text(below, "note")]
    if missing:
        blocks.append(Text(f"Without pictures: {'; '.join(missing)}.", "note"))
    return [Heading("Pictures"), *blocks] if blocks else []


def spread(keys: Sequence[str], count: int) -> list[str]:
    """Return at most `count` keys, evenly spread."""
    indices = np.linspace(0, len(keys) - 1, min(count, len(keys))).round().astype(int)
    return [keys[index] for index in dict.fromkeys(indices.tolist())]


def _colored(
    variant: Variant, keys: Sequence[str], true: dict[str, Tensor], trust: Sequence[str]
) -> dict[str, Tensor]:
    """Return the photographs colorized by a variant, and add new true ones to `true`.

    Raises:
        IrodoriError, OSError, RuntimeError: a checkpoint or a photograph can't be read.
    """
    colored: dict[str, Tensor] = {}
    for runs in variant.folds().values():
        run = min(runs, key=lambda run: (run.seed is not None, run.seed))
        own = [key for key in keys if key in variant.photographs(run).index]
        if not own:
            continue
        if run.checkpoint is None:
            raise IrodoriError("its pictures have no known checkpoint")
        model = load_model(run.checkpoint, trust)
        if unknown := [key for key in own if key not in true]:
            true.update(_photographs(run, unknown))
        for key in own:
            # One by one, since features of a full-size photograph take much memory.
            (colored[key],), _ = color_pictures(
                model.network,
                model.space,
                [true[key]],
                own_luminance=not variant.predicted_luminance,
            )
    return colored


def _photographs(run: Run, keys: Sequence[str]) -> dict[str, Tensor]:
    """Return photographs at the size at which they were measured: 3×H×W uint8 RGB."""
    trained = _made(DataConfig, run.config.get("data"))
    asked = _made(EvaluatedData, run.own.get("data")) if run.evaluation else None
    protocol = _made(Protocol, run.own.get("protocol")) if run.evaluation else None
    config = data_config(asked, trained) if asked else trained
    if config is None:
        raise IrodoriError(f"{run.folder} doesn't name its validation shards")
    index = opened(asked, config) if asked else open_both(config)[1]
    data = ShardModule(config, index, resize_of(protocol or OWN_SIZE, config.val_size))
    all_keys = [key for shard in index.shards for key in shard.keys]
    number = {key: n for n, key in enumerate(all_keys) if key in keys}
    if absent := [key for key in keys if key not in number]:
        raise IrodoriError(f"{absent[0]} no longer exists in {config.val}")
    return {key: data.val_resize(data.val_samples.image(number[key])) for key in keys}


def _made(kind: type[Kind], stored: Mapping[str, Any] | None) -> Kind | None:
    """Return settings from a stored configuration, without stages, which only training uses."""
    if not stored:
        return None
    names = {field.name for field in fields(kind)} - {"stages"}
    return kind(**{name: value for name, value in stored.items() if name in names})
