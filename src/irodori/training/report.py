"""What a run prints at its start and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from irodori.metrics.catalog import AS_PREDICTED, stored_metrics
from irodori.training.results import table

if TYPE_CHECKING:
    # Not at run time: Hydra imports the sweep's summary, and this, before a mistake is reported.
    from irodori.data.module import ShardData
    from irodori.training.hardware import Hardware
    from irodori.training.module import ColorizationModule

CONSOLE = Console(highlight=False)


def print_start(
    module: ColorizationModule, data: ShardData, hardware: Hardware, world_size: int
) -> None:
    """Print what is trained, on what, and how."""
    model = module.model
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    plan = data.plan(world_size, 0)
    lines = [
        str(hardware) + (f" · {world_size} processes" if world_size > 1 else ""),
        f"network: {parameters / 1e6:.2f} M parameters · {type(model.space).__name__}"
        f" · α = {model.alpha:g}",
        *module.initialized_from,
        f"data: {len(data.train_index)} training and {len(data.val_index)} validation photographs"
        f" · {len(data.classes)} scenes · {plan.steps} steps an epoch",
    ]
    for line in lines:
        print(line, flush=True)


def print_end(result: dict[str, Any]) -> None:
    """Print the metrics of metrics.json as a table."""
    title = f"{result['protocol']['samples']} validation photographs"
    if result["protocol"].get("seen_in_training"):
        title += ", seen in training"
    # What has no room here stands in metrics.json.
    rows = {name: row for name, row in result["rows"].items() if name != "best" + AS_PREDICTED}
    CONSOLE.print(table(title, rows, result["scenes"], stored_metrics(result)))
    if reason := result["protocol"].get("seen_in_training"):
        print(f"{reason}: others will fare worse", flush=True)
    best = result["rows"]["best"]
    if best != result["rows"]["last"]:
        print("best: chosen on these very photographs, which flatters it; last is not", flush=True)
