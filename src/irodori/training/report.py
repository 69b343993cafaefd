"""What a run says at its start and at its end, and the layout of metrics.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    # Not at run time: Hydra imports the sweep's summary, and this, before a mistake can be told.
    from irodori.data.module import ShardData
    from irodori.inference.checkpoint import Model
    from irodori.training.hardware import Hardware

CONSOLE = Console(highlight=False)

PROTOCOL = (
    "chroma_rmse: root of the mean over pixels and both channels of the squared CIE a*b* error,"
    " on the decoded 8-bit picture at its own size, per photograph, then the mean"
)


def start(model: Model, data: ShardData, hardware: Hardware, world_size: int) -> None:
    """Print what is trained, on what, and how."""
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    plan = data.plan(world_size, 0)
    lines = [
        str(hardware) + (f" · {world_size} processes" if world_size > 1 else ""),
        f"network: {parameters / 1e6:.2f} M parameters · {model.space.name} · α = {model.alpha:g}",
        f"data: {len(data.train_index)} training and {len(data.val_index)} validation photographs"
        f" · {len(data.classes)} scenes · {plan.steps} steps an epoch",
    ]
    for line in lines:
        print(line, flush=True)


def metrics(best: dict[str, Any], last: dict[str, Any], data: ShardData) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        best, last: what `Scores` holds of these checkpoints, and `accuracy`.
        data: what was validated on.
    """
    errors = best["chroma_rmse"]
    rows = {
        "best": {"chroma_rmse": errors["model"], "accuracy": best["accuracy"]},
        "last": {"chroma_rmse": last["chroma_rmse"]["model"], "accuracy": last["accuracy"]},
        "mean_color": {"chroma_rmse": errors["mean_color"], "ab": best["mean_ab"]},
        "gray": {"chroma_rmse": errors["gray"]},
    }
    scenes = {
        name: {
            "samples": row["samples"],
            "best": row["model"],
            "last": last["scenes"][name]["model"],
            "mean_color": row["mean_color"],
            "gray": row["gray"],
        }
        for name, row in best["scenes"].items()
    }
    return {
        "protocol": {
            "definition": PROTOCOL,
            "shards": [shard.name for shard in data.val_index.shards],
            "samples": len(data.val_index),
            "short_side_at_most": data.config.val_size,
        },
        "rows": rows,
        "scenes": scenes,
    }


def end(result: dict[str, Any]) -> None:
    """Print the figures as a table: one line a scene, one column a row of metrics.json."""
    rows, scenes = result["rows"], result["scenes"]
    table = Table(
        title="Chrominance RMSE on the validation set (ab units, lower is better)",
        title_justify="left",
    )
    table.add_column("scene")
    for name in ["photographs", *rows]:
        table.add_column(name.replace("_", " "), justify="right")
    # Places has 205 scenes: metrics.json names them all.
    shown = scenes if len(scenes) <= 20 else {}
    for scene, figures in shown.items():
        errors = [f"{figures[name]:.2f}" for name in rows]
        table.add_row(scene, str(figures["samples"]), *errors)
    table.add_section()
    table.add_row(
        "all",
        str(result["protocol"]["samples"]),
        *[f"{row['chroma_rmse']:.2f}" for row in rows.values()],
        style="bold",
    )
    accuracies = [row.get("accuracy") for row in rows.values()]
    if any(accuracy is not None for accuracy in accuracies):
        shares = ["" if accuracy is None else f"{accuracy:.0%}" for accuracy in accuracies]
        table.add_row("scene accuracy", "", *shares)
    CONSOLE.print(table)
