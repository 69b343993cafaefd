"""What this machine can do, and what this project does of it: `make benchmark`, below ten minutes.

Each part is a script beside this file, in a process of its own, that prints as its last line what
it has measured: {figure: {"plain": …, "ours": …}}, sides in turn, medians. All parts are run one
after another, three times, so that what else the machine does shows in the runs' differences.

Prints one page; with its plot and every figure of every run it goes to RESULTS.md, results.png and
results.json beside this file. Nothing else should run meanwhile.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from page import document
from rich.console import Console
from rich.markdown import Markdown

from irodori.config import TrainerConfig
from irodori.studies.document import Document, Picture
from irodori.studies.markdown import markdown
from irodori.training.hardware import choose

HERE = Path(__file__).parent
PARTS = ("machine", "conversion", "loader", "startup", "framework", "training", "inference")
VERSIONS = ("torch", "torchvision", "lightning", "kornia", "webdataset")
WIDTH = 150
"""Columns of the page where there is no terminal."""


def run_part(script: Path, quick: bool) -> dict[str, Any]:
    """What a part measures.

    Returns:
        "seconds" that it took, and its "figures", or the "error" that it ended with.
    """
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    start = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = {"seconds": round(time.perf_counter() - start, 1)}
    if process.returncode:
        said = process.stderr.strip() or f"exit status {process.returncode}"
        return {**taken, "error": said.splitlines()[-1]}
    try:
        figures = json.loads(process.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        return {**taken, "error": "its last line isn't a JSON object"}
    return {**taken, "figures": figures}


def run_parts(folder: Path, parts: list[str], quick: bool, note: str) -> dict[str, Any]:
    """All parts once, one after another: figures, seconds and errors."""
    run: dict[str, Any] = {"figures": {}, "seconds": {}, "errors": {}}
    for part in parts:
        result = run_part(folder / f"{part}.py", quick)
        run["seconds"][part] = result["seconds"]
        run["figures"].update(result.get("figures", {}))
        if "error" in result:
            run["errors"][part] = result["error"]
        end = f"failed: {result['error']}" if "error" in result else f"{result['seconds']} s"
        print(f"{note}: {part}: {end}", file=sys.stderr, flush=True)
    return run


def surroundings() -> dict[str, Any]:
    """Date, hardware and versions."""
    hardware = choose(TrainerConfig())
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": {
            "chosen": str(hardware),
            "accelerator": hardware.accelerator,
            "bf16": hardware.bf16,
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in VERSIONS},
        },
    }


def main() -> int:
    """Measure, print, store; 1 if a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="whole runs beside each other")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts, not stored")
    parser.add_argument("--quick", action="store_true", help="small and short, not stored")
    parser.add_argument("--output", type=Path, help="folder where results are stored in any case")
    parser.add_argument("--parts", type=Path, default=HERE, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    parts = [part for part in PARTS if part in (arguments.only or PARTS)]
    folder = arguments.output
    if folder is None and not (arguments.only or arguments.quick):
        folder = HERE
    results = {**surroundings(), "runs": []}
    for number in range(1, arguments.runs + 1):
        note = f"run {number} of {arguments.runs}"
        results["runs"].append(run_parts(arguments.parts, parts, arguments.quick, note))
    page = document(results)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        stored = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
        (folder / "results.json").write_text(stored)
        (folder / "RESULTS.md").write_text(markdown(page))
        for block in page.blocks:
            if isinstance(block, Picture):
                (folder / block.file).write_bytes(block.light)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    blocks = [block for block in page.blocks if not isinstance(block, Picture)]
    console.print(Markdown(markdown(Document(page.title, blocks))))
    if folder is not None:
        console.print(f"stored: {folder}", soft_wrap=True)
    return int(any(run["errors"] for run in results["runs"]))


if __name__ == "__main__":
    sys.exit(main())
