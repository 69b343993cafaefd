"""What the machine can do at most: `python experiments/speed/machine.py`.

Matrix products in fp32, tf32 (GPU) and bf16, the best of sizes that double; memory bandwidth of a
copy and of a·x + y of arrays far larger than any cache, counting every byte that is read and
written; and how long Python itself takes to start, and with the packages that train.py stands on,
below which no command can.
Medians of repeated calls, on the GPU if there is one, else with all threads. bf16 is also measured
where it is emulated, at sizes for which that isn't too slow.

Prints one JSON object.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from timing import seconds

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SMALLEST = 256
STACK = "import gc; gc.disable(); import torch, lightning.pytorch"


def median_seconds(call: Callable[[], object], budget: float) -> float:
    """Of calls after the first, as many as go into `budget` seconds, but at least three."""
    call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 100):
        times.append(seconds(call))
    return statistics.median(times)


def gemm(dtype: torch.dtype, largest: int, budget: float) -> float:
    """FLOP/s of square products of the size at which they are highest.

    Args:
        dtype: of the matrices.
        largest: size that is tried at most.
        budget: seconds for a size; one whose calls would take several times as long isn't tried.
    """
    best, size, taken = 0.0, SMALLEST, 0.0
    while size <= largest and 8 * taken <= budget:
        a, b = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))
        taken = median_seconds(lambda a=a, b=b: torch.mm(a, b), budget)  # type: ignore[misc]
        best = max(best, 2 * size**3 / taken)
        size *= 2
    return best


def bandwidth(count: int, budget: float) -> float:
    """Bytes/s, read and written, of the better of a copy and of a·x + y.

    Args:
        count: of fp32 numbers in an array.
        budget: seconds for each.
    """
    x, y, out = (torch.ones(count, device=DEVICE) for _ in range(3))
    copy = median_seconds(lambda: out.copy_(x), budget)
    triad = median_seconds(lambda: torch.add(y, x, alpha=3, out=out), budget)
    return x.nbytes * max(2 / copy, 3 / triad)


def start(code: str) -> float:
    """Seconds of a fresh Python that runs some code."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    quick = parser.parse_args().quick
    largest, count, budget = (SMALLEST, 1 << 16, 0.0) if quick else (8192, 1 << 26, 0.2)
    figures = {
        "gemm_fp32": {"flops_per_second": gemm(torch.float32, largest, budget)},
        "gemm_bf16": {"flops_per_second": gemm(torch.bfloat16, largest, budget)},
        "bandwidth": {"bytes_per_second": bandwidth(count, budget)},
        "python": {"seconds": start("pass")},
        "import_stack": {"seconds": start("pass" if quick else STACK)},
    }
    if GPU:
        torch.set_float32_matmul_precision("high")
        figures["gemm_tf32"] = {"flops_per_second": gemm(torch.float32, largest, budget)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
