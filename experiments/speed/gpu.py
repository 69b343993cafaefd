"""Everything that has to be measured on a GPU, in at most eight minutes: `make gpu`.

    python experiments/speed/gpu.py                        on a CUDA device
    python experiments/speed/gpu.py --device cpu --quick   to try it: as little as possible
    python experiments/speed/gpu.py --needs                what has to be at hand
    python experiments/speed/gpu.py --pack                 a part of PHOTOGRAPHS, in 40 MB

Each part runs in a process of its own with a time of its own; one that fails or takes longer is
named, with what it had measured, and the next one follows. RESULTS_GPU.md and results_gpu.json are
written anew after each part, beside this file (with `--quick` in runs/).
"""

import argparse
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from gpu_data import data, inference
from gpu_settings import Row, Settings, make_settings, needs, pack
from gpu_training import compiled, eager, quality, two_ranks

from irodori.config import PROJECT
from irodori.utils.files import replacing
from training import wait_for

TOTAL = 450.0
"""Seconds for all parts together; what is left of eight minutes is for imports."""
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """A part of the measurements.

    Attributes:
        run: yields lines of the results.
        seconds: that it may take; the last part has what is left.
        question: what it answers.
    """

    name: str
    question: str
    run: Callable[[Settings], Iterator[Row]]
    seconds: float


@dataclass
class Result:
    """What a part has measured, and why it ended early, if it did."""

    part: Part
    rows: list[Row] = field(default_factory=list)
    problem: str | None = None
    seconds: float = 0.0


def machine(settings: Settings) -> Iterator[Row]:
    """Measure what the device can do: matrix products in bf16, and copies."""
    yield {"what": "device", "value": settings.device_name}
    yield {"what": "torch, CUDA", "value": f"{torch.__version__}, {torch.version.cuda}"}
    cores = len(os.sched_getaffinity(0))
    yield {"what": "Python, cores", "value": f"{platform.python_version()}, {cores}"}
    yield {"what": "photographs", "value": f"{settings.images} of {settings.source}"}
    side = 256 if settings.quick else 8192
    matrix = torch.randn(side, side, device=settings.device, dtype=torch.bfloat16)
    times = timed(lambda: matrix @ matrix, settings)
    yield {"what": "bf16 TFLOP/s of a matrix product", "value": round(2e-12 * side**3 / times, 1)}
    times = timed(lambda: matrix.clone(), settings)
    size = 2 * matrix.numel() * matrix.element_size()
    yield {"what": "GB/s of a copy", "value": round(1e-9 * size / times)}


def timed(work: Callable[[], Any], settings: Settings, rounds: int = 20) -> float:
    """Return seconds of a call, of several without waiting in between."""
    work()
    wait_for(settings.device)
    start = time.perf_counter()
    for _ in range(rounds):
        work()
    wait_for(settings.device)
    return (time.perf_counter() - start) / rounds


def tests(settings: Settings) -> Iterator[Row]:
    """Run the tests that need a GPU."""
    files = [
        str(path)
        for path in sorted((PROJECT / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in path.read_text()
    ]
    # Without a device they are all left out, which takes long enough in a single file.
    more = files[-1:] if settings.quick else ["--numprocesses", "8", *files]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=line", *more]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            yield {"what": line}
    yield {"what": "pytest -m gpu", "result": lines[-1].strip("= ") if lines else done.stderr}
    if done.returncode:
        raise RuntimeError(f"pytest ended with {done.returncode}")


PARTS = (
    Part("machine", "What can the device do?", machine, 20),
    Part("tests", "Is everything right on it?", tests, 80),
    Part("training", "How fast is training?", eager, 70),
    Part("data", "Does reading keep it fed?", data, 40),
    Part("inference", "How fast is colorizing?", inference, 40),
    Part("two_ranks", "Do two ranks work?", two_ranks, 35),
    Part("compiled", "Does torch.compile pay?", compiled, 120),
    Part("quality", "What does it learn in the time that is left?", quality, TOTAL),
)


def run_part(part: Part, settings: Settings, method: str) -> Result:
    """Run a part in a process that has its own device and can be ended.

    CUDA isn't initialized in this process, so that it can be forked with all that is imported.
    """
    result = Result(part)
    start = time.monotonic()
    context: Any = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(part, settings, sender))
    process.start()
    sender.close()
    while True:
        if not receiver.poll(max(0.0, settings.seconds_left())):
            result.problem = f"cut after {time.monotonic() - start:.0f} s"
            break
        try:
            kind, content = receiver.recv()
        except EOFError:
            result.problem = "ended without a word"
            break
        if kind == "row":
            result.rows.append(content)
            print(json.dumps(content), flush=True)
        else:
            result.problem = content
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    result.seconds = round(time.monotonic() - start, 1)
    return result


def child(part: Part, settings: Settings, sender: Connection) -> None:
    """Run a part and send its lines, and why it failed, if it does."""
    os.setsid()  # with all that it starts
    if settings.quick:
        # Compilers take minutes for what is then computed in seconds.
        torch.compiler.set_stance("force_eager")
    try:
        for row in part.run(settings):
            sender.send(("row", row))
        sender.send(("end", None))
    except BaseException as error:
        traceback.print_exc()
        text = " ".join(str(error).split())
        sender.send(("end", f"failed: {type(error).__name__}: {text[:300]}"))


def write(results: list[Result], settings: Settings, folder: Path) -> None:
    """Write the page and the data."""
    parts = {
        result.part.name: {
            "seconds": result.seconds,
            "problem": result.problem,
            "rows": result.rows,
        }
        for result in results
    }
    with replacing(folder / "results_gpu.json") as file:
        file.write(json.dumps(parts, indent=1, ensure_ascii=False).encode() + b"\n")
    total = sum(result.seconds for result in results)
    lines = [
        f"# Measured on {settings.device}" + (" (only to try the script)" * settings.quick),
        "",
        f"By `python experiments/speed/gpu.py`, in {total:.0f} s. A ratio is train.py's throughput"
        " over that of a thirty-line loop with the same options; shares are of the data sheet's"
        " bf16 peak, and of the floor that `roofline.py` computes.",
    ]
    for result in results:
        lines += ["", f"## {result.part.question}", ""]
        columns = list(dict.fromkeys(name for row in result.rows for name in row))
        if columns:
            lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
            lines += [
                "| " + " | ".join(cell(row.get(name, "")) for name in columns) + " |"
                for row in result.rows
            ]
        if result.problem is not None:
            lines += ["", f"**Not complete**: `{result.part.name}` {result.problem}"]
    with replacing(folder / "RESULTS_GPU.md") as file:
        file.write(("\n".join(lines) + "\n").encode())


def cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).replace("|", "\\|")


def main() -> None:
    """Measure part by part and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="as little as possible, to try it")
    parser.add_argument("--needs", action="store_true", help="print what has to be at hand")
    parser.add_argument("--pack", action="store_true", help="make the photographs smaller")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS])
    options = parser.parse_args()
    if options.needs:
        print("\n".join(needs()))
        return
    if options.pack:
        pack()
        return
    if options.device == "cuda" and torch.cuda.device_count() == 0:
        sys.exit("error: PyTorch finds no CUDA device; to try the script: --device cpu --quick")
    # A busy processor may take any time.
    slower = 10 if options.quick else 1
    end = time.monotonic() + slower * TOTAL
    folder = Path("runs") if options.quick else HERE
    folder.mkdir(exist_ok=True)
    chosen = [part for part in PARTS if options.parts is None or part.name in options.parts]
    results: list[Result] = []
    method = "fork"
    with tempfile.TemporaryDirectory() as name:
        settings = make_settings(options.device, options.quick, Path(name))
        for part in chosen:
            print(f"{part.name}: {part.question}", flush=True)
            rows = [row for result in results for row in result.rows]
            deadline = min(end, time.monotonic() + slower * part.seconds)
            given = replace(settings, results=rows, deadline=deadline)
            result = run_part(part, given, method)
            if result.problem is not None and not results and method == "fork":
                # Some import has touched CUDA: each part has to import all again.
                method = "spawn"
                result = run_part(part, given, method)
            results.append(result)
            write(results, settings, folder)
    print(folder / "RESULTS_GPU.md")
    sys.exit(any(result.problem is not None for result in results))


if __name__ == "__main__":
    main()
