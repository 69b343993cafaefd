"""Compare two run folders bit for bit, except for times."""

import csv
import json
from pathlib import Path
from typing import Any

import torch


def differences(one: Path, other: Path) -> list[str]:
    """Return the differences of checkpoints, metrics and pictures.

    Returns:
        A line for each different value; empty for equal runs.
    """
    lines = []
    for name in ("checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        lines += [
            f"{name}: {path}" for path in unequal(content(one / name), content(other / name), "")
        ]
    if logged(one) != logged(other):
        lines.append("metrics.csv")
    if figures(one) != figures(other):
        lines.append("metrics.json")
    pictures = [sorted((folder / "pictures").glob("*.png")) for folder in (one, other)]
    if [p.name for p in pictures[0]] != [p.name for p in pictures[1]] or any(
        a.read_bytes() != b.read_bytes() for a, b in zip(*pictures, strict=True)
    ):
        lines.append("pictures")
    return lines


def content(checkpoint: Path) -> dict[str, Any]:
    """Return a checkpoint without times and Lightning's counters.

    Counters depend on the hook in which a checkpoint was written; the position is stored
    separately.
    """
    stored: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    del stored["loops"]
    for clock in ("seconds", "trained"):
        del stored["callbacks"]["Checkpoints"][clock]
    return stored


def logged(folder: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv without times."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: x for name, x in row.items() if name != "train/seconds"} for row in rows]


def figures(folder: Path) -> dict[str, Any]:
    """Return metrics.json without times."""
    result: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    del result["training"]["seconds"], result["training"]["images_per_second"]
    return result


def unequal(one: Any, other: Any, path: str) -> list[str]:
    """Return the paths of all leaves that differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in unequal(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [
            line for place, pair in enumerate(pairs) for line in unequal(*pair, f"{path}/{place}")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    return [] if one == other else [path]
