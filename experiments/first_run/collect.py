"""Collect the metrics of several runs: `python experiments/first_run/collect.py <run folder> …`.

Writes results.json and pictures.png (of the first run) beside this file, and prints the tables in
Markdown.
"""

import datetime
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml

HERE = Path(__file__).parent


def gather(folder: Path) -> dict[str, Any]:
    """Return seed, fold and metrics of a run."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    return {"seed": config["seed"], "fold": config["data"]["fold"], **metrics}


def overall(runs: list[dict[str, Any]]) -> str:
    """Return a table by seed: errors, and the last checkpoint's improvement over references."""
    lines = [
        "| seed | best | last | mean color | all gray | last below mean color | last below gray"
        " | scene accuracy | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        rows = run["rows"]
        error = {name: row["chroma_rmse"] for name, row in rows.items()}
        lines.append(
            f"| {run['seed']} | {error['best']:.2f} | {error['last']:.2f}"
            f" | {error['mean_color']:.2f} | {error['gray']:.2f}"
            f" | {1 - error['last'] / error['mean_color']:.1%}"
            f" | {1 - error['last'] / error['gray']:.1%}"
            f" | {rows['last']['accuracy']:.0f}% | {run['training']['seconds'] / 60:.1f} |"
        )
    return "\n".join(lines)


def per_scene(runs: list[dict[str, Any]]) -> str:
    """Return a table by scene: errors of the last checkpoint (mean over seeds) and references."""
    lines = [
        "| scene | photographs | last (mean of seeds) | mean color | all gray |",
        "|---|---|---|---|---|",
    ]
    for scene, figures in runs[0]["scenes"].items():
        last = statistics.mean(run["scenes"][scene]["last"]["chroma_rmse"] for run in runs)
        mean_color, gray = (figures[name]["chroma_rmse"] for name in ("mean_color", "gray"))
        lines.append(
            f"| {scene} | {figures['samples']} | {last:.2f} | {mean_color:.2f} | {gray:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Collect the metrics, and write and print them."""
    folders = [Path(argument) for argument in sys.argv[1:]]
    if not folders:
        sys.exit("usage: python experiments/first_run/collect.py <run folder> …")
    runs = [gather(folder) for folder in folders]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": runs[0]["training"]["hardware"],
        "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        "runs": runs,
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    shutil.copy(folders[0] / "pictures" / "best.png", HERE / "pictures.png")
    print(f"{result['hardware']} · torch {torch.__version__} · {result['date']}\n")
    print(overall(runs), per_scene(runs), sep="\n\n")


if __name__ == "__main__":
    main()
