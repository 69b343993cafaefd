"""Reading the results of runs and evaluations from their folders."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from irodori.metrics.catalog import AS_PREDICTED, WEIGHT, MetricInfo, stored_metrics
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.run_files import (
    CHECKPOINTS,
    CONFIG,
    JOB,
    METRICS,
    PER_IMAGE,
    without_aliases,
)
from irodori.utils.walk import walk

REFERENCES = {"mean_color": "mean color", "gray": "gray"}
"""Rows in every folder that don't come from a network, and their names in reports."""
TRUE = "true"
"""Name of the true photographs, whose colorfulness is known."""
FOREIGN = "pictures of"
"""The only setting of pictures that don't come from a known run."""


@dataclass(frozen=True)
class Run:
    """A finished run or an evaluation."""

    folder: Path
    config: Mapping[str, Any]
    """Configuration of the run that trained the network; for other pictures, their origin."""
    own: Mapping[str, Any]
    """Configuration of the folder; for an evaluation, that of evaluate.py."""
    metrics: Mapping[str, Any]
    """Content of metrics.json."""
    row: str
    """The compared row: last, best, or model for an evaluation."""
    rows: Mapping[str, pd.DataFrame]
    """Per row of per_image.csv, photographs by key: scene, width, height, metrics, weights."""
    checkpoint: Path | None
    described: Mapping[str, MetricInfo]
    """Known metrics by name: the catalog's and the run's own."""

    @property
    def evaluation(self) -> bool:
        """Whether this is an evaluation by evaluate.py."""
        return self.row == "model"

    @property
    def seed(self) -> Any:
        """The seed of the training."""
        return self.config.get("seed")

    @property
    def fold(self) -> int | None:
        """The fold that was held out in training."""
        return (self.config.get("data") or {}).get("fold")


@dataclass(frozen=True)
class LeftOut:
    """A folder that can't be compared, with the reason."""

    folder: Path
    reason: str


def run_folders(given: Sequence[Path]) -> list[Path]:
    """Return the folders of runs, evaluations and jobs of sweeps, without duplicates.

    Raises:
        IrodoriError: a folder doesn't exist or holds no run.
    """
    found: dict[Path, Path] = {}
    for folder in given:
        if not folder.is_dir():
            raise IrodoriError(f"{folder} is not a folder: name run folders, or a sweep's folder")
        if not (below := _run_folders_below(folder)):
            raise IrodoriError(
                f"{folder} contains no run: neither {CONFIG} nor {METRICS} is in it or below"
            )
        for path in below:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _run_folders_below(folder: Path) -> list[Path]:
    found: set[Path] = set()
    for path in map(Path, walk(folder)):
        # W&B keeps another config.yaml in a run's folder.
        if path.name in (CONFIG, METRICS, JOB) and not found.intersection(path.parents):
            found.add(path.parent)
    # Jobs in the order of their numbers.
    return [folder / path for path in sorted(found, key=_by_number)]


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(len(name), name) if name.isdigit() else (0, name) for name in path.parts]


def read_run(folder: Path, row: str) -> Run | LeftOut:
    """Return a run with its metrics, or the reason why there are none.

    Args:
        folder: folder of the run or evaluation.
        row: last or best; ignored for an evaluation.

    Raises:
        IrodoriError: a file is damaged, or the row doesn't exist.
    """
    if not (folder / METRICS).exists():
        return LeftOut(folder, _status(folder))
    metrics = _mapping(folder / METRICS)
    if metrics.get("rows") == {}:
        return LeftOut(folder, "trained without validation")
    if not (folder / PER_IMAGE).exists():
        return LeftOut(folder, f"no {PER_IMAGE}: written by an older version")
    own = _mapping(folder / CONFIG) if (folder / CONFIG).exists() else {}
    if not isinstance(metrics.get("rows"), dict):
        raise IrodoriError(
            f"{folder / METRICS} has no rows: it doesn't belong to a run, or is damaged"
        )
    try:
        described = stored_metrics(metrics)
    except ValueError as error:
        raise IrodoriError(f"{folder / METRICS}: {one_line(error)}; leave this run out") from None
    config: Mapping[str, Any] = own
    checkpoint: Path | None = folder / CHECKPOINTS / f"{row}.ckpt"
    if "model" in metrics["rows"]:
        row = "model"
        # The configuration may name a folder, whose newest run is another one by now.
        measured = metrics.get("protocol", {}).get("checkpoint")
        checkpoint = Path(measured) if measured else None
        trained = checkpoint.parent.parent / CONFIG if checkpoint else None
        if trained is not None and trained.exists():
            config = _mapping(trained)
        else:
            # Nothing else in an evaluation tells the origin of its pictures.
            made_by = str(own.get("predictions") or own.get("checkpoint") or folder.name)
            config = {"experiment_name": made_by, FOREIGN: made_by}
    wanted = {row, row + AS_PREDICTED, *REFERENCES} & set(metrics["rows"])
    columns = {column for name in described for column in (name, name + WEIGHT)}
    rows = read_photographs(folder / PER_IMAGE, wanted, columns)
    if row not in rows:
        known = ", ".join(metrics["rows"])
        raise IrodoriError(f"{folder / PER_IMAGE} has no row {row} (it has: {known})")
    return Run(folder, config, own, metrics, row, rows, checkpoint, described)


def known_metrics(runs: Iterable[Run]) -> dict[str, MetricInfo]:
    """Return the metrics of all runs, those of the catalog first.

    Raises:
        IrodoriError: two runs describe different metrics with the same name.
    """
    known: dict[str, MetricInfo] = {}
    for run in runs:
        for name, info in run.described.items():
            other = known.setdefault(name, info)
            if (other.better, other.per_photograph) != (info.better, info.per_photograph):
                raise IrodoriError(
                    f"{run.folder / METRICS}: {name} is another metric than in the previous runs"
                    f" (better: {info.better} and {other.better}); compare runs of the same version"
                )
    return known


def _status(folder: Path) -> str:
    """Return the status of a run without metrics."""
    if not (folder / JOB).exists():
        return f"unfinished: no {METRICS}"
    job = _mapping(folder / JOB)
    error = f" ({job['error']})" if job.get("error") else ""
    return f"job {job.get('job')}: {job.get('status')}{error}"


def _mapping(path: Path) -> dict[str, Any]:
    """Return the content of a JSON or YAML file, which must be a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
        is_json = path.suffix == ".json"
        content = json.loads(text) if is_json else yaml.safe_load(without_aliases(text))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise IrodoriError(f"{path} can't be read: {one_line(error)}; leave this run out") from None
    if not isinstance(content, dict):
        raise IrodoriError(f"{path} has unexpected content; leave this run out")
    return content


def read_photographs(path: Path, wanted: set[str], metrics: set[str]) -> dict[str, pd.DataFrame]:
    """Return the wanted rows of a per_image.csv, each as a table of photographs by key.

    Args:
        path: path of the file.
        wanted: names of rows.
        metrics: columns to read, where the file has them.

    Raises:
        IrodoriError: the file is damaged, or a key appears twice in a row.
    """
    needed = ["row", "key", "width", "height"]
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise ValueError("its last line is cut off")
        table = pd.read_csv(
            io.BytesIO(content),
            usecols=lambda name: name in metrics or name in (*needed, "scene"),
            dtype=dict.fromkeys(metrics, float) | dict.fromkeys(("row", "key", "scene"), str),
            keep_default_na=False,  # a key may be "NA"
            na_values={name: [""] for name in metrics},
            encoding_errors="surrogateescape",
        )
        table = table[table["row"].isin(wanted)].astype({"width": int, "height": int})
    except (OSError, ValueError, LookupError) as error:
        raise IrodoriError(
            f"{path} is damaged ({one_line(error)}): leave this run out, or evaluate it again"
        ) from None
    for _, again in table[table.duplicated(["row", "key"])].iterrows():
        raise IrodoriError(
            f"{path}: {again['key']} appears twice in row {again['row']}: keys must be unique over"
            " all shards"
        )
    return {row: part.set_index("key").drop(columns="row") for row, part in table.groupby("row")}
