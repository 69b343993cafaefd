"""How fast colouring is: `python experiments/speed/inference.py`, for some minutes, undisturbed.

Plain is the network as it was trained, in fp32, contiguous; fast is what `faster` makes of it.

Batches: images/s of both in batches of 8 photos of 224², measured in turn in one process.

Doublings: nearest-neighbour enlargement and a 3×3 convolution over `Doubling`, which is the same,
at the sizes of the full-width network: of 8 photos of 224², and of one of 1024².

Sizes: the table of the paper, one photo at a time, each in a fresh process: seconds, the most
memory that was taken beyond what the process with its network has, megapixels/s.

Prints all as Markdown and puts them into inference.json beside this file. Weights are random:
they change neither time nor memory.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from irodori.hardware import cpu_has_bf16
from irodori.inference.fast import faster
from irodori.inference.fast.doubling import Doubling
from irodori.inference.fast.folding import norms_left
from irodori.network import JointNetwork
from irodori.training.hardware import cpu_name

RESULTS = Path(__file__).parent / "inference.json"
NETWORKS: dict[str, dict[str, Any]] = {
    "paper": {},
    "paper, width 0.25": {"width": 0.25},
    "EfficientNet-Lite0 with skips": {"backbone": "tf_efficientnet_lite0", "decoder": "skips"},
}
SIDES = ("plain", "fast fp32", *(("fast bf16",) if cpu_has_bf16() else ()))
DOUBLINGS = (
    ((8, 128, 28, 28), 64),
    ((8, 64, 56, 56), 32),
    ((1, 128, 128, 128), 64),
    ((1, 64, 256, 256), 32),
)
SIZES = (224, 512, 1024, 2048)
REPORTED = {224: (0.399, 0.080), 512: (1.676, 0.339), 1024: (5.629, 1.084), 2048: (20.116, 4.218)}
"""Seconds that the paper reports, of an eight-core CPU and a GPU of 2016."""


def network_of(name: str) -> JointNetwork:
    """One of NETWORKS in evaluation mode, with norms that do something."""
    network = JointNetwork(**NETWORKS[name]).eval()
    for norm in network.modules():
        if isinstance(norm, _BatchNorm):
            nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network


def side_of(network: JointNetwork, side: str) -> JointNetwork:
    """The network as one of SIDES has it."""
    return network if side == "plain" else faster(network, side.removeprefix("fast "))


@torch.inference_mode()
def seconds(network: nn.Module, values: Tensor) -> float:
    """That one call takes."""
    start = time.perf_counter()
    network(values)
    return time.perf_counter() - start


def batches(name: str, size: int, rounds: int) -> dict[str, Any]:
    """Images/s of every side, and how many times as fast as plain it is: medians over rounds."""
    plain = network_of(name)
    networks = {side: side_of(plain, side) for side in SIDES}
    luminance_B1HW = torch.rand(size, 1, 224, 224)
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds + 1):
        for side, network in networks.items():
            taken = seconds(network, luminance_B1HW)
            if number:  # The first is a warm-up.
                times[side].append(taken)
    return {
        "network": name,
        "batch": size,
        "norms left": len(norms_left(networks["fast fp32"])),
        "images/s": {side: round(size / statistics.median(times[side]), 2) for side in SIDES},
        "times as fast": {
            side: round(
                statistics.median(p / t for p, t in zip(times["plain"], times[side], strict=True)),
                2,
            )
            for side in SIDES
        },
        "ms/image": {side: [round(t / size * 1000, 1) for t in times[side]] for side in SIDES},
    }


@torch.inference_mode()
def doublings(shape: tuple[int, ...], outputs: int, rounds: int) -> dict[str, Any]:
    """How many times as fast `Doubling` is: medians over rounds.

    Args:
        shape: of the features before, B×C×h×w.
        outputs: channels of the convolution.
        rounds: in turn.
    """
    ratios = {}
    for side in SIDES[1:]:
        dtype = torch.bfloat16 if side.endswith("bf16") else torch.float32
        convolution = nn.Conv2d(shape[1], outputs, 3, padding=1)
        forms = [
            form.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for form in (
                nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution),
                Doubling(convolution),
            )
        ]
        features_BCHW = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
        times = [[seconds(form, features_BCHW) for form in forms] for _ in range(rounds + 1)]
        ratios[side] = round(statistics.median(plain / ours for plain, ours in times[1:]), 2)
    return {"shape": list(shape), "outputs": outputs, "times as fast": ratios}


def photo(name: str, side: str, size: int, budget: float) -> dict[str, Any]:
    """Seconds and memory of one photo of size², in this process.

    Args:
        name: of NETWORKS.
        side: of SIDES.
        size: in pixels.
        budget: seconds after which it isn't repeated any more.
    """
    network = side_of(network_of(name), side)
    luminance_B1HW = torch.rand(1, 1, size, size)
    own = memory("VmRSS")
    # Linux sets VmHWM, the most memory that was ever taken, to what is taken now.
    Path("/proc/self/clear_refs").write_text("5")
    # The first call is a warm-up for the clock, and no other one takes more memory.
    seconds(network, luminance_B1HW)
    peak = memory("VmHWM")
    times = [seconds(network, luminance_B1HW)]
    while sum(times) < budget and len(times) < 5:
        times.append(seconds(network, luminance_B1HW))
    median = statistics.median(times)
    return {
        "network": name,
        "side": side,
        "size": size,
        "seconds": round(median, 4),
        "megapixels/s": round(size**2 / 1e6 / median, 3),
        "MB": round((peak - own) / 1024),
    }


def memory(key: str) -> int:
    """A line of /proc/self/status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {key}")


def in_fresh_process(name: str, side: str, size: int, budget: float) -> dict[str, Any]:
    """See `photo`."""
    command = [sys.executable, __file__, "--photo", json.dumps([name, side, size, budget])]
    result: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return result


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def batch_table(figures: list[dict[str, Any]]) -> str:
    """Of what `batches` gives."""
    return table(
        ["network", *(f"{side}, images/s" for side in SIDES), *(f"{s} ×" for s in SIDES[1:])],
        [
            [
                one["network"],
                *(str(one["images/s"][side]) for side in SIDES),
                *(str(one["times as fast"][side]) for side in SIDES[1:]),
            ]
            for one in figures
        ],
    )


def doubling_table(figures: list[dict[str, Any]]) -> str:
    """Of what `doublings` gives."""
    rows = [
        [
            "×".join(map(str, one["shape"])),
            str(one["outputs"]),
            *(str(one["times as fast"][side]) for side in SIDES[1:]),
        ]
        for one in figures
    ]
    return table(["features", "outputs", *(f"{side} ×" for side in SIDES[1:])], rows)


def size_table(figures: list[dict[str, Any]]) -> str:
    """Of what `photo` gives, beside what the paper reports."""
    by_place = {(one["size"], one["side"]): one for one in figures}
    rows = []
    for size in sorted({one["size"] for one in figures}):
        cells = [
            f"{one['seconds']:.3f} s · {one['MB']} MB · {one['megapixels/s']:.2f} MP/s"
            for one in (by_place[size, side] for side in SIDES)
        ]
        reported = " / ".join(f"{value} s" for value in REPORTED[size]) if size in REPORTED else ""
        rows.append([f"{size}²", *cells, reported])
    return table(["photo", *SIDES, "reported in 2016, CPU / GPU"], rows)


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--photo", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.photo:
        print(json.dumps(photo(*arguments.photo)))
        return
    if arguments.quick:
        measured = [batches("paper, width 0.25", 2, rounds=1)]
        doubled = [doublings((1, 8, 16, 16), 4, rounds=1)]
        places = [("paper, width 0.25", size, 0.0) for size in (64, 224)]
    else:
        measured = [batches(name, 8, rounds=8) for name in NETWORKS]
        doubled = [doublings(shape, outputs, rounds=20) for shape, outputs in DOUBLINGS]
        places = [("paper", size, 4.0) for size in SIZES]
    photos = [
        in_fresh_process(name, side, size, budget)
        for name, size, budget in places
        for side in SIDES
    ]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": cpu_name(),
        "versions": {"python": sys.version.split()[0], "torch": str(torch.__version__)},
        "batches": measured,
        "doublings": doubled,
        "sizes": photos,
    }
    arguments.output.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"{result['hardware']} · torch {torch.__version__} · {result['date']}\n")
    print(f"{batch_table(measured)}\n\n{doubling_table(doubled)}\n\n{size_table(photos)}")


if __name__ == "__main__":
    main()
