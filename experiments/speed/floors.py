"""What stands in the way of a figure: bytes over measured bandwidth, operations over measured peak.

Each floor is a time (or an amount of memory) below which this project's way of computing can't come
on the machine, and with the plain way's own the highest ratio that there can be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures import Row, Run, middle, peak_key
from roofline import Case, Machine, on_meta, seconds, works_of
from units import number, quantity

CASES = {
    "step_batch32": Case("", 32, 224, training=True),
    "step_batch8": Case("", 8, 224, training=True),
    "infer_batch8": Case("", 8, 224, training=False),
    "infer_1": Case("", 1, 224, training=False),
    "infer_1024": Case("", 1, 1024, training=False),
    "infer_2048": Case("", 1, 2048, training=False),
}
PHOTOS = {"memory_1024": CASES["infer_1024"], "memory_2048": CASES["infer_2048"]}
CONVERSIONS = {
    "conversion_lab": 12 + 12,
    "conversion_from_uint8": 3 + 12,
    "conversion_to_rgb": 12 + 12,
}
"""Bytes that are read and written for each pixel."""
WHOLE = 512
"""Features at stride 8 that are there for the whole photo, before a layer and after it."""
FEWER = 4
"""Times fewer products in Winograd's form, at most."""
STATE = 4
"""fp32 numbers a weight in training: itself, its gradient, Adadelta's two moments."""


@dataclass(frozen=True)
class Floor:
    """Why a figure has a limit, and the highest ratio."""

    row: Row
    reckoning: str
    highest: float


def floors_of(rows: Sequence[Row], runs: Sequence[Run], hardware: Mapping[str, Any]) -> list[Floor]:
    """Of the figures that aren't reached, where the runs have what a floor is computed from."""
    floors = [floor_of(row, runs, hardware) for row in rows if row.reached is False]
    return [floor for floor in floors if floor is not None]


def floor_of(row: Row, runs: Sequence[Run], hardware: Mapping[str, Any]) -> Floor | None:
    """See `floors_of`."""
    key, bf16 = row.figure.key, hardware["bf16"]
    peak = middle(runs, peak_key(bf16), "flops_per_second")
    speed = middle(runs, "bandwidth", "bytes_per_second")
    if key in CASES and peak is not None and speed is not None:
        return network_floor(row, CASES[key], Machine("", peak, speed), bf16)
    if key in CONVERSIONS and speed is not None:
        count = 224.0**2 * CONVERSIONS[key]
        powers = middle(runs, "conversion_powers", "seconds")
        if key == "conversion_lab" and powers is not None:
            text = f"three powers of 2.4 and three cube roots a pixel: {quantity(powers, 's')}"
            powers += count / speed
            text += f"; {quantity(count, 'B')} at {quantity(speed, 'B/s')}"
            return least(row, text, powers)
        return least(row, f"{quantity(count, 'B')} at {quantity(speed, 'B/s')}", count / speed)
    if key == "memory_batch32":
        count = 4 * STATE * sum(weight.numel() for weight in on_meta().parameters())
        return least(row, "weights, gradients and Adadelta's moments, with no activations", count)
    if key in PHOTOS:
        count = 2 * WHOLE * (PHOTOS[key].side // 8) ** 2 * (2 if bf16 else 4)
        return least(row, "what a layer of 512 features at stride 8 reads and writes", count)
    if key == "loader":
        return Floor(row, "raw decoding with nothing around it", 1.0)
    if key == "framework":
        return framework_floor(row, runs, hardware)
    if row.figure.against == "allowed":
        first = key == "first_step"
        taken = middle(runs, "import_stack" if first else "python", "seconds")
        name = "Python and the imports of torch and Lightning alone" if first else "Python alone"
        return None if taken is None else least(row, name, taken)
    return None


def least(row: Row, text: str, value: float) -> Floor:
    """A floor in the figure's unit."""
    return Floor(row, f"{text}: {quantity(value, row.figure.unit)}", row.against / value)


def network_floor(row: Row, case: Case, machine: Machine, bf16: bool) -> Floor:
    """The network's operations at the peak, and kernel by kernel with the bytes it moves.

    The first is a floor for whatever computes all products of the original network; a quarter of it
    one for Winograd's form, which is taken in fp32. The second goes through memory after each
    kernel: caches, and kernels that do several things, go below it.
    """
    works = works_of(case, bf16)
    flops = sum(work.flops for work in works) / case.batch
    by_flops, by_both = flops / machine.flops, seconds(works, machine) / case.batch
    peak = row.figure.against == "peak"
    with_bytes = by_flops / by_both if peak else row.against / by_both
    return Floor(
        row,
        f"{quantity(flops, 'FLOP')} at {quantity(machine.flops, 'FLOP/s')}:"
        f" {quantity(by_flops, 's')}; if every kernel also moves its bytes at"
        f" {quantity(machine.bandwidth, 'B/s')}: {quantity(by_both, 's')}, {number(with_bytes)}"
        + ("" if bf16 else "; Winograd's form needs at least a quarter of the products"),
        (1.0 if peak else row.against / by_flops) * (1 if bf16 else FEWER),
    )


def framework_floor(row: Row, runs: Sequence[Run], hardware: Mapping[str, Any]) -> Floor | None:
    """On a CPU the cores that compute also decode and convert."""
    rate = middle(runs, "jpeg_decode", "images_per_core_second")
    convert = middle(runs, "conversion_from_uint8", "ours")
    if hardware["accelerator"] != "cpu" or rate is None or convert is None:
        return None
    data = (1 / rate + convert) / hardware["cores"]
    text = (
        f"the same cores decode and convert: {quantity(data, 's')} an image beside"
        f" {quantity(row.against, 's')} of the bare loop"
    )
    return Floor(row, text, row.against / (row.against + data))
