"""Reading what a run or an evaluation left in its folder."""

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
    checkpoint_file,
    without_aliases,
)
from irodori.utils.walk import walk

REFERENCES = {"mean_color": "mean color", "gray": "gray"}
"""Rows of every folder that no network made, and what they are called."""
TRUE = "true"
"""The photographs themselves, whose colorfulness is known."""
FOREIGN = "pictures of"
"""The only setting of pictures that no known run's network made."""


@dataclass(frozen=True)
class Run:
    """A finished run, or an evaluation."""

    folder: Path
    config: Mapping[str, Any]
    """The configuration of the run that trained the network; of other pictures, what made them."""
    data: Mapping[str, Any]
    """Group data of the folder's own configuration."""
    metrics: Mapping[str, Any]
    """The content of metrics.json."""
    row: str
    """The row that is compared: last, best, or of an evaluation model."""
    rows: Mapping[str, pd.DataFrame]
    """Photographs of each row of per_image.csv by key: scene, width, height, metrics, weights."""
    checkpoint: Path | None
    described: Mapping[str, MetricInfo]
    """The metrics that are known, by name: the catalog's, and the run's own."""

    @property
    def evaluation(self) -> bool:
        """Return whether it comes from evaluate.py."""
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
    """A folder that can't be compared, and why."""

    folder: Path
    reason: str


def run_folders(given: Sequence[Path]) -> list[Path]:
    """Return the folders of runs, evaluations and sweeps' jobs, each once.

    Raises:
        IrodoriError: a folder doesn't exist or holds no run.
    """
    found: dict[Path, Path] = {}
    for folder in given:
        if not folder.is_dir():
            raise IrodoriError(f"{folder} is no folder: name run folders, or a sweep's folder")
        if not (below := _run_folders_below(folder)):
            raise IrodoriError(
                f"{folder} holds no run: neither {CONFIG} nor {METRICS} is in it or below"
            )
        for path in below:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _run_folders_below(folder: Path) -> list[Path]:
    found: set[Path] = set()
    for path in map(Path, walk(folder)):
        # W&B keeps a config.yaml of its own in a run's folder.
        if path.name in (CONFIG, METRICS, JOB) and not found.intersection(path.parents):
            found.add(path.parent)
    # Jobs come in the order of their numbers.
    return [folder / path for path in sorted(found, key=_by_number)]


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(len(name), name) if name.isdigit() else (0, name) for name in path.parts]


def read_run(folder: Path, row: str) -> Run | LeftOut:
    """Return a run's metrics, or why there are none.

    Args:
        folder: of the run or the evaluation.
        row: last or best; an evaluation has only its model.

    Raises:
        IrodoriError: a file is damaged, or there is no such row.
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
        raise IrodoriError(f"{folder / METRICS} has no rows: it isn't a run's, or is damaged")
    try:
        described = stored_metrics(metrics)
    except ValueError as error:
        raise IrodoriError(f"{folder / METRICS}: {one_line(error)}; leave this run out") from None
    config: Mapping[str, Any] = own
    checkpoint: Path | None = folder / CHECKPOINTS / f"{row}.ckpt"
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
    wanted = {row, row + AS_PREDICTED, *REFERENCES} & set(metrics["rows"])
    columns = {column for name in described for column in (name, name + WEIGHT)}
    rows = read_photographs(folder / PER_IMAGE, wanted, columns)
    if row not in rows:
        known = ", ".join(metrics["rows"])
        raise IrodoriError(f"{folder / PER_IMAGE} has no row {row} (it has: {known})")
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
    """Return what is known of a run without metrics."""
    if not (folder / JOB).exists():
        return f"unfinished: no {METRICS}"
    job = _mapping(folder / JOB)
    error = f" ({job['error']})" if job.get("error") else ""
    return f"job {job.get('job')}: {job.get('status')}{error}"


def _mapping(path: Path) -> dict[str, Any]:
    """Return the content of a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
        is_json = path.suffix == ".json"
        content = json.loads(text) if is_json else yaml.safe_load(without_aliases(text))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise IrodoriError(f"{path} can't be read: {one_line(error)}; leave this run out") from None
    if not isinstance(content, dict):
        raise IrodoriError(f"{path} doesn't hold what it should; leave this run out")
    return content


def read_photographs(path: Path, wanted: set[str], metrics: set[str]) -> dict[str, pd.DataFrame]:
    """Return the wanted rows of a per_image.csv, each as a table of its photographs by key.

    Args:
        path: of the file.
        wanted: names of rows.
        metrics: columns to read, where the file has them.

    Raises:
        IrodoriError: it is damaged, or a key appears twice in a row.
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
            f"{path}: {again['key']} stands twice in row {again['row']}: keys must be unique over"
            " all shards"
        )
    return {row: part.set_index("key").drop(columns="row") for row, part in table.groupby("row")}
