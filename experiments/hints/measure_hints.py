"""What do hints bring, and where: at random places, or where the colors are most wrong?

`python experiments/hints/measure_hints.py FILE` gives the checkpoint FILE of a network with hints up
to 100 for each validation photograph of `data=photographs`, and measures what it makes of them; the same hints are spread without a network by `levin.py`, on some of the
photographs, since that takes seconds each time. Writes results.csv, results.md and errors.png into
the folder `--output`.
"""

import argparse
import csv
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from levin import spread
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn import functional

from irodori.color import to_float, to_uint8
from irodori.data.images import to_short_side
from irodori.data.opening import open_index
from irodori.data.samples import Samples
from irodori.evaluation.plotting import COLORS, MARKERS, Theme, draw
from irodori.evaluation.statistics import Floats, Stratum, bootstrap, interval, means
from irodori.inference.fast.fast_network import faster
from irodori.metrics.chrominance import rmse
from irodori.metrics.difference import CIEDE2000
from irodori.metrics.fidelity import PSNR
from irodori.metrics.pair import Pair
from irodori.model import Model, load_model
from irodori.network.joint import upsample_chroma

PHOTOGRAPHS = f"{os.environ.get('PHOTOGRAPHS', '.')}/val-*.tar"
"""The shards that are validated on, below the folder of conf/data/photographs.yaml."""
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100)
PLACES = ("random", "largest error")
METHODS = {"network": "network", "optimization": "Levin et al."}
METRICS = {"chroma_rmse": rmse, "psnr": PSNR(0).measure, "ciede2000": CIEDE2000(0).measure}
TITLES = {
    "chroma_rmse": "chrominance RMSE ↓ (ab units)",
    "chroma_rmse_of_none": "of that without hints ↓",
    "psnr": "PSNR ↑ (dB)",
    "ciede2000": "CIEDE2000 ↓",
}
RADIUS = 2
"""A hint is a square of 5×5 pixels, of their mean color."""
SPACING = 8
"""Hints at the largest error are at least so many pixels apart, down or across."""
Place = tuple[int, int]
Row = dict[str, Any]


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a network with hints")
    parser.add_argument("--photographs", default=PHOTOGRAPHS, help="shards, %(default)s")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder")
    parser.add_argument("--limit", type=int, default=32, help="photographs for Levin et al.")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    model = load_model(chosen.checkpoint)
    model = replace(model, network=faster(model.network, "fp32"))
    photos = read(chosen.photographs, 100 if chosen.quick else 1)
    limit = min(1 if chosen.quick else chosen.limit, len(photos))
    # Spread over the shards, which may be ordered by subject.
    with_baseline = {number * len(photos) // limit for number in range(limit)}
    values: dict[str, list[Floats]] = {method: [] for method in METHODS}
    for number, (key, true_3HW) in enumerate(photos):
        for method, found in Photo(model, key, true_3HW).measure(number in with_baseline).items():
            values[method].append(found)
        if number % 20 == 19:
            print(f"measured {number + 1} of {len(photos)} photographs", flush=True)
    measured = {method: np.array(found) for method, found in values.items()}
    same = {**measured, "network": measured["network"][sorted(with_baseline)]}
    rows = estimates({"network": measured["network"]}) + estimates(same)
    with (chosen.output / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = report(rows)
    (chosen.output / "results.md").write_text(text)
    (chosen.output / "errors.png").write_bytes(plot(rows[-len(rows) * 2 // 3 :]))
    print(text)


def read(shards: str, step: int) -> list[tuple[str, Tensor]]:
    """Return every step-th photograph of shards (see `data.val`) with its key: 3×H×W uint8."""
    index = open_index(shards, classes_file=None, cache=None)
    samples = Samples(index)
    keys = [key for shard in index.shards for key in shard.keys]
    chosen = range(0, len(keys), step)
    return [(keys[number], to_short_side(samples.image(number), 256)) for number in chosen]


class Photo:
    """A photograph of which hints are given.

    Args:
        model: a network with hints.
        key: decides the random places.
        true_3HW: the photograph, uint8.
    """

    @torch.inference_mode()
    def __init__(self, model: Model, key: str, true_3HW: Tensor) -> None:
        self.model, self.true_3HW = model, true_3HW
        self.random = np.random.default_rng(zlib.crc32(key.encode()))
        self.luminance_11HW, chroma_1CHW = model.space.encode(to_float(true_3HW[None]))
        side = 2 * RADIUS + 1
        self.patches_Chw = functional.avg_pool2d(chroma_1CHW, side, stride=1)[0]
        """Mean chrominance of each square, by the place of its upper left corner."""
        network = model.network
        self.local = network.backbone.local_features(self.luminance_11HW)
        self.global_1C = None
        if network.backbone.global_channels:
            self.global_1C, _ = network.global_features(self.luminance_11HW)

    @torch.inference_mode()
    def measure(self, with_baseline: bool) -> dict[str, Floats]:
        """Return places × counts × metrics of each method."""
        methods: dict[str, Callable[[Tensor], Tensor]] = {"network": self.by_network}
        if with_baseline:
            methods["optimization"] = self.by_optimization
        values = {method: np.empty((len(PLACES), len(COUNTS), len(METRICS))) for method in methods}
        for p, kind in enumerate(PLACES):
            places: list[Place] = []
            error_HW = torch.zeros(0)
            for c, count in enumerate(COUNTS):
                more = count - len(places)
                if kind == "random":
                    places += self.random_places(more)
                else:
                    places += self.worst_places(error_HW, places, more)
                hints_1MHW = self.hints(places)
                for method, color in methods.items():
                    pair = Pair(self.joined(color(hints_1MHW)), self.true_3HW)
                    values[method][p, c] = [float(measure(pair)) for measure in METRICS.values()]
                    if method == "network":
                        error_HW = pair.ab_error.norm(dim=0)
        return values

    def random_places(self, count: int) -> list[Place]:
        """Return upper left corners of squares, each anywhere."""
        height, width = self.patches_Chw.shape[1:]
        found = self.random.integers(0, (height, width), (count, 2))
        return [(int(top), int(left)) for top, left in found]

    def worst_places(self, error_HW: Tensor, given: Sequence[Place], count: int) -> list[Place]:
        """Return corners of the squares where the network errs most with the hints so far."""
        if not count:
            return []
        error_hw = functional.avg_pool2d(error_HW[None], 2 * RADIUS + 1, stride=1)[0].clone()
        found: list[Place] = []
        for top, left in given:
            free(error_hw, top, left)
        while len(found) < count:
            top, left = divmod(int(error_hw.argmax()), error_hw.shape[1])
            found.append((top, left))
            free(error_hw, top, left)
        return found

    def hints(self, places: Sequence[Place]) -> Tensor:
        """Return what the network takes: chrominance where it is known, and the mask."""
        chroma_1CHW = torch.zeros(1, self.model.network.hint_channels, *self.true_3HW.shape[1:])
        side = 2 * RADIUS + 1
        for top, left in places:
            square_CHW = chroma_1CHW[0, :, top : top + side, left : left + side]
            square_CHW[:-1] = self.patches_Chw[:, top, left, None, None]
            square_CHW[-1] = 1
        return chroma_1CHW

    def by_network(self, hints_1MHW: Tensor) -> Tensor:
        """Return chrominance 1×C×H×W."""
        size = self.true_3HW.shape[1:]
        network = self.model.network
        return upsample_chroma(network.decode(self.local, size, self.global_1C, hints_1MHW), *size)

    def by_optimization(self, hints_1MHW: Tensor) -> Tensor:
        """Return chrominance 1×C×H×W, spread from the hints alone; gray without any."""
        given_HW = hints_1MHW[0, -1].bool()
        if not given_HW.any():
            return self.model.space.gray_chroma(self.luminance_11HW)
        luminance_HW = self.luminance_11HW[0, 0].double().numpy()
        colors_HWC = hints_1MHW[0, :-1].permute(1, 2, 0).double().numpy()
        found_HWC = spread(luminance_HW, colors_HWC, given_HW.numpy())
        return torch.from_numpy(found_HWC).permute(2, 0, 1)[None].float()

    def joined(self, chroma_1CHW: Tensor) -> Tensor:
        """Return the picture, 3×H×W uint8."""
        return to_uint8(self.model.space.decode(self.luminance_11HW, chroma_1CHW))[0]


def free(error_hw: Tensor, top: int, left: int) -> None:
    """Keep other hints away from a place."""
    y, x = max(0, top - SPACING + 1), max(0, left - SPACING + 1)
    error_hw[y : top + SPACING, x : left + SPACING] = -1


def estimates(measured: Mapping[str, Floats]) -> list[Row]:
    """Return means over the same N photographs, and RMSE over that without hints, with intervals.

    Args:
        measured: N × places × counts × metrics of each method.
    """
    count = len(next(iter(measured.values())))
    shape = (len(measured), len(PLACES), len(COUNTS), len(METRICS))
    variants = [
        [Stratum(np.arange(count), values.reshape(1, count, -1))] for values in measured.values()
    ]
    ones_NK = np.ones((count, variants[0][0].values_SNK.shape[2]))
    center = np.array([means(strata, ones_NK) for strata in variants]).reshape(shape)
    drawn = bootstrap(variants, ones_NK).reshape(-1, *shape)
    of_none = "chroma_rmse_of_none"
    numbers = {name: (center[..., k], drawn[..., k]) for k, name in enumerate(METRICS)}
    numbers[of_none] = tuple(x[..., 0] / x[..., :1, 0] for x in (center, drawn))  # type: ignore[assignment]
    rows = []
    for v, method in enumerate(measured):
        for p, kind in enumerate(PLACES):
            for c, hints in enumerate(COUNTS):
                for metric in TITLES:
                    values, resampled = numbers[metric]
                    low, high = interval(resampled[:, v, p, c])
                    head = {"method": method, "places": kind, "hints": hints, "metric": metric}
                    tail = {"value": values[v, p, c], "low": low, "high": high}
                    rows.append({**head, "photographs": count, **tail})
    return rows


def report(rows: Sequence[Row]) -> str:
    """Return the tables as Markdown."""
    parts = ["# Colors with hints", "Means over photographs with 95 % intervals."]
    tables = dict.fromkeys((row["photographs"], row["places"], row["method"]) for row in rows)
    for table in tables:
        own = [row for row in rows if (row["photographs"], row["places"], row["method"]) == table]
        photographs, places, method = table
        parts.append(f"## {METHODS[method]}, hints at places: {places}, {photographs} photographs")
        lines = [f"| hints | {' | '.join(TITLES.values())} |", "|---" * (1 + len(TITLES)) + "|"]
        for hints in COUNTS:
            cells = [cell(row) for row in own if row["hints"] == hints]
            lines.append(f"| {hints} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def cell(row: Row) -> str:
    """Return a value with its interval."""
    digits = 3 if row["metric"].endswith("_of_none") else 2
    value, low, high = (f"{row[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} … {high})"


def plot(rows: Sequence[Row]) -> bytes:
    """Return a PNG: RMSE over the number of hints, a panel for each kind of places."""

    def panel(kind: str) -> Callable[[Axes, Theme], None]:
        def paint(axes: Axes, theme: Theme) -> None:
            for number, (method, title) in enumerate(METHODS.items()):
                wanted = (method, kind, "chroma_rmse")
                own = [r for r in rows if (r["method"], r["places"], r["metric"]) == wanted]
                across = np.arange(len(COUNTS))
                color = COLORS[number]
                axes.plot(
                    across,
                    [r["value"] for r in own],
                    MARKERS[number] + "-",
                    color=color,
                    label=title,
                )
                low, high = ([r[end] for r in own] for end in ("low", "high"))
                axes.fill_between(across, low, high, color=color, alpha=0.2, lw=0)
            axes.set_xticks(np.arange(len(COUNTS)), map(str, COUNTS))
            axes.set(xlabel=f"hints, places: {kind}", ylabel=TITLES["chroma_rmse"], ylim=(0, None))
            axes.label_outer()
            axes.legend()

        return paint

    alt = "Chrominance RMSE over the number of hints, of the network and of Levin et al."
    return draw("errors", alt, 3.2, *map(panel, PLACES)).light


if __name__ == "__main__":
    main()
