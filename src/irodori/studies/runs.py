"""What a run or an evaluation left in its folder."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from irodori.metrics.catalog import WEIGHT, MetricInfo, stored_metrics
from irodori.studies.statistics import Floats, Ints
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.run_files import CONFIG, JOB, METRICS, PER_IMAGE, checkpoint_file

REFERENCES = {"mean_color": "mean colour", "gray": "gray"}
"""Rows of every folder that no network made, and what they are called."""
PREDICTED = "_predicted_luminance"
"""Ends the name of a row whose luminance is the network's own and not the photograph's."""
FOREIGN = "pictures of"
"""The only setting of pictures that no known run's network made."""


@dataclass(frozen=True)
class Photographs:
    """The metrics of one row of a run, photograph by photograph."""

    keys: tuple[str, ...]
    sizes: Ints
    """N×2: width and height in pixels."""
    values: Mapping[str, Floats]
    """Of each metric, and of its weights if it has any, N numbers; NaN where it isn't defined."""


@dataclass(frozen=True)
class Run:
    """A finished run, or an evaluation."""

    folder: Path
    config: Mapping[str, Any]
    """Of the run whose network it is, nested; of predictions from elsewhere, the evaluation's."""
    data: Mapping[str, Any]
    """Group data of the folder's own configuration."""
    metrics: Mapping[str, Any]
    row: str
    """The row that is compared: last, best, or of an evaluation model."""
    rows: Mapping[str, Photographs]
    checkpoint: Path | None
    described: Mapping[str, MetricInfo]
    """The metrics that are known, by name: the catalog's, and the run's own."""

    @property
    def evaluation(self) -> bool:
        """Whether it comes from evaluate.py."""
        return self.row == "model"

    @property
    def seed(self) -> Any:
        """Of the training."""
        return self.config.get("seed")

    @property
    def fold(self) -> int | None:
        """That was held out in training."""
        return (self.config.get("data") or {}).get("fold")


@dataclass(frozen=True)
class LeftOut:
    """A folder that can't be compared, and why."""

    folder: Path
    reason: str


def read_run(folder: Path, row: str) -> Run | LeftOut:
    """A run's figures, or why there are none.

    Args:
        folder: of the run or the evaluation.
        row: last or best; an evaluation has only its model.

    Raises:
        IrodoriError: a file is damaged, or there is no such row.
    """
    if not (folder / METRICS).exists():
        return LeftOut(folder, _status(folder))
    if not (folder / PER_IMAGE).exists():
        return LeftOut(folder, f"no {PER_IMAGE}: written by an older version")
    metrics = _mapping(folder / METRICS)
    own = _mapping(folder / CONFIG) if (folder / CONFIG).exists() else {}
    if not isinstance(metrics.get("rows"), dict):
        raise IrodoriError(f"{folder / METRICS} has no rows: it isn't a run's, or is damaged")
    try:
        described = stored_metrics(metrics)
    except ValueError as error:
        raise IrodoriError(f"{folder / METRICS}: {one_line(error)}; leave this run out") from None
    config: Mapping[str, Any] = own
    checkpoint: Path | None = folder / "checkpoints" / f"{row}.ckpt"
    if "model" in metrics["rows"]:
        row = "model"
        checkpoint = Path(own["checkpoint"]) if own.get("checkpoint") else None
        if checkpoint is not None and checkpoint.is_dir():
            checkpoint = checkpoint_file(checkpoint)
        trained = checkpoint.parent.parent / CONFIG if checkpoint else None
        if trained is not None and trained.exists():
            config = _mapping(trained)
        else:
            # Nothing else of an evaluation says what made the pictures.
            made_by = str(own.get("predictions") or checkpoint or folder.name)
            config = {"experiment_name": made_by, FOREIGN: made_by}
    rows = read_photographs(
        folder / PER_IMAGE,
        {row, row + PREDICTED, *REFERENCES} & set(metrics["rows"]),
        [column for name in described for column in (name, name + WEIGHT)],
    )
    if row not in rows:
        there = ", ".join(metrics["rows"])
        raise IrodoriError(f"{folder / PER_IMAGE} has no row {row} (it has: {there})")
    return Run(folder, config, own.get("data") or {}, metrics, row, rows, checkpoint, described)


def known_metrics(runs: Iterable[Run]) -> dict[str, MetricInfo]:
    """Return the metrics that any of the runs knows: the catalog's first.

    Raises:
        IrodoriError: two runs describe different metrics by one name.
    """
    known: dict[str, MetricInfo] = {}
    for run in runs:
        for name, info in run.described.items():
            other = known.setdefault(name, info)
            if (other.better, other.per_photograph) != (info.better, info.per_photograph):
                raise IrodoriError(
                    f"{run.folder / METRICS}: {name} is another metric than in the runs before it"
                    f" (better: {info.better} and {other.better}); compare runs of one version"
                )
    return known


def _status(folder: Path) -> str:
    """What is known of a run without figures."""
    if not (folder / JOB).exists():
        return f"unfinished: no {METRICS}"
    job = _mapping(folder / JOB)
    error = f" ({job['error']})" if job.get("error") else ""
    return f"job {job.get('job')}: {job.get('status')}{error}"


def _mapping(path: Path) -> dict[str, Any]:
    """The content of a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise IrodoriError(f"{path} can't be read: {one_line(error)}; leave this run out") from None
    if not isinstance(content, dict):
        raise IrodoriError(f"{path} doesn't hold what it should; leave this run out")
    return content


def read_photographs(
    path: Path, wanted: set[str], metrics: Sequence[str]
) -> dict[str, Photographs]:
    """Return the wanted rows of a per_image.csv, each with its photographs.

    Args:
        path: of the file.
        wanted: names of rows.
        metrics: columns to read, where the file has them.

    Raises:
        IrodoriError: it is damaged, or a key stands twice in a row.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.reader(file)
            header = next(reader)
            place = {name: number for number, name in enumerate(header)}
            lines: dict[str, list[list[str]]] = {name: [] for name in sorted(wanted)}
            for line in reader:
                if len(line) != len(header):
                    raise ValueError(f"line {reader.line_num} has {len(line)} cells")
                if (row := line[place["row"]]) in lines:
                    lines[row].append(line)
        there = [name for name in metrics if name in place]
        rows = {row: _photographs(part, place, there) for row, part in lines.items() if part}
    except (OSError, ValueError, LookupError, StopIteration, csv.Error) as error:
        raise IrodoriError(
            f"{path} is damaged ({one_line(error)}): leave this run out, or evaluate it again"
        ) from None
    for row, found in rows.items():
        if len(set(found.keys)) < len(found.keys):
            twice = next(key for i, key in enumerate(found.keys) if key in found.keys[:i])
            raise IrodoriError(
                f"{path}: {twice} stands twice in row {row}: keys must be unique over all shards"
            )
    return rows


def _photographs(
    lines: Sequence[Sequence[str]], place: Mapping[str, int], metrics: Sequence[str]
) -> Photographs:
    columns = list(zip(*lines, strict=True))
    sizes = np.array([columns[place["width"]], columns[place["height"]]]).astype(np.int64)
    return Photographs(
        tuple(columns[place["key"]]),
        sizes.T,
        {
            name: np.array([float(text) if text else np.nan for text in columns[place[name]]])
            for name in metrics
        },
    )
