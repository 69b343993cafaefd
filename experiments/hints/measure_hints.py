"""Measure the effect of hints at random positions and at those of the largest error.

`python experiments/hints/measure_hints.py FILE` gives a network with hints (the checkpoint FILE) up
to 100 of them for each validation photograph of `data=photographs`, and measures what it makes of
them. On `--limit` of the photographs, the same hints are given to `Colorizer`, which meets their
colors exactly, and spread without a network by levin.py, which takes seconds each time. Writes
results.csv, results.md and errors.png into the folder `--output`.
"""

import argparse
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from levin import spread
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn import functional

from irodori import Colorizer
from irodori.color import to_float, to_uint8
from irodori.data.images import to_short_side
from irodori.data.opening import ShardOpener
from irodori.data.samples import Samples
from irodori.evaluation.plotting import COLORS, MARKERS, draw
from irodori.evaluation.statistics import Floats, Stratum, bootstrap, interval, means
from irodori.inference.hints import Hint
from irodori.inference.prepared_photo import PreparedPhoto
from irodori.metrics.chrominance import rmse
from irodori.metrics.difference import CIEDE2000
from irodori.metrics.fidelity import PSNR
from irodori.metrics.pair import Pair
from irodori.network.joint import upsample_chroma

PHOTOGRAPHS = f"{os.environ.get('PHOTOGRAPHS', '.')}/val-*.tar"
"""Validation shards, below the folder of conf/data/photographs.yaml."""
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100)
PLACES = ("random", "largest error")
METHODS = {"network": "network", "colorizer": "Colorizer", "optimization": "Levin et al."}
METRICS = {"chroma_rmse": rmse, "psnr": PSNR(0).measure, "ciede2000": CIEDE2000(0).measure}
TITLES = {
    "chroma_rmse": "chrominance RMSE ↓ (ab units)",
    "chroma_rmse_of_none": "of that without hints ↓",
    "psnr": "PSNR ↑ (dB)",
    "ciede2000": "CIEDE2000 ↓",
}
SIDE = 5
"""Side of a hint in pixels."""
SPACING = 8
"""Smallest distance of hints at the largest error in pixels, vertically or horizontally."""
Place = tuple[int, int]
Row = tuple[int, str, str, int, str, float, float, float]
COLUMNS = ["photographs", "method", "places", "hints", "metric", "value", "low", "high"]


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a network with hints")
    parser.add_argument("--photographs", default=PHOTOGRAPHS, help="shards, %(default)s")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder")
    parser.add_argument("--every", type=int, default=1, help="every how many-th photograph")
    parser.add_argument("--limit", type=int, default=32, help="photographs for all methods")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    colorizer = Colorizer.load(chosen.checkpoint, precision="fp32")
    photos = read(chosen.photographs, 100 if chosen.quick else chosen.every)
    limit = min(1 if chosen.quick else chosen.limit, len(photos))
    # Spread over the shards, which may be ordered by subject.
    compared = [number * len(photos) // limit for number in range(limit)]
    values: dict[str, list[Floats]] = {method: [] for method in METHODS}
    for number, (key, true_3HW) in enumerate(photos):
        photo = Photo(colorizer, key, true_3HW)
        for method, found in photo.measure(number in compared).items():
            values[method].append(found)
        if number % 20 == 19:
            print(f"measured {number + 1} of {len(photos)} photographs", flush=True)
    measured = {method: np.array(found) for method, found in values.items()}
    same = {**measured, "network": measured["network"][compared]}
    on_the_same = pd.DataFrame(estimates(same), columns=COLUMNS)
    results = pd.DataFrame(estimates({"network": measured["network"]}), columns=COLUMNS)
    results = pd.concat([results, on_the_same])
    results.to_csv(chosen.output / "results.csv", index=False, float_format="%.5f")
    text = report(results)
    (chosen.output / "results.md").write_text(text)
    (chosen.output / "errors.png").write_bytes(plot(on_the_same))
    print(text)


def read(shards: str, step: int) -> list[tuple[str, Tensor]]:
    """Return every step-th photograph of shards (see `data.val`) with its key: 3×H×W uint8."""
    index = ShardOpener().open(shards)
    samples = Samples(index)
    keys = [key for shard in index.shards for key in shard.keys]
    chosen = range(0, len(keys), step)
    return [(keys[number], to_short_side(samples.image(number), 256)) for number in chosen]


class Photo:
    """A photograph for which hints are given.

    Args:
        colorizer: colorizer whose network supports hints.
        key: seeds the random positions.
        true_3HW: photograph, uint8.
    """

    @torch.inference_mode()
    def __init__(self, colorizer: Colorizer, key: str, true_3HW: Tensor) -> None:
        self.colorizer, self.true_3HW = colorizer, true_3HW
        self.space, self.network = colorizer.model.space, colorizer.network
        self.random = np.random.default_rng(zlib.crc32(key.encode()))
        self.luminance_11HW, chroma_1CHW = self.space.encode(to_float(true_3HW[None]))
        self.patches_Chw = functional.avg_pool2d(chroma_1CHW, SIDE, stride=1)[0]
        """Mean chrominance of each square, by its upper left corner."""
        self.local = self.network.backbone.local_features(self.luminance_11HW)
        self.global_1C, _ = self.network.global_features(self.luminance_11HW)

    @cached_property
    def prepared(self) -> PreparedPhoto:
        """The photograph prepared by `Colorizer`."""
        return self.colorizer.prepare(self.true_3HW.permute(1, 2, 0).numpy())

    @torch.inference_mode()
    def measure(self, every: bool) -> dict[str, Floats]:
        """Return places × counts × metrics of each method, or of the network alone."""
        methods: dict[str, Callable[[Sequence[Place]], Tensor]] = {"network": self.by_network}
        if every:
            methods |= {"colorizer": self.by_colorizer, "optimization": self.by_optimization}
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
                for method, color in methods.items():
                    pair = Pair(color(places), self.true_3HW)
                    values[method][p, c] = [float(measure(pair)) for measure in METRICS.values()]
                    if method == "network":
                        error_HW = pair.ab_error.norm(dim=0)
        return values

    def random_places(self, count: int) -> list[Place]:
        """Return random upper left corners of squares."""
        height, width = self.patches_Chw.shape[1:]
        found = self.random.integers(0, (height, width), (count, 2))
        return [(int(top), int(left)) for top, left in found]

    def worst_places(self, error_HW: Tensor, given: Sequence[Place], count: int) -> list[Place]:
        """Return corners of the squares with the largest error, given the previous hints."""
        if not count:
            return []
        error_hw = functional.avg_pool2d(error_HW[None], SIDE, stride=1)[0].clone()
        found: list[Place] = []
        for top, left in given:
            free(error_hw, top, left)
        while len(found) < count:
            top, left = divmod(int(error_hw.argmax()), error_hw.shape[1])
            found.append((top, left))
            free(error_hw, top, left)
        return found

    def hints(self, places: Sequence[Place]) -> Tensor:
        """Return the network's hint input: known chrominance, and the mask."""
        hints_1MHW = torch.zeros(1, self.network.hint_channels, *self.true_3HW.shape[1:])
        for top, left in places:
            square_MHW = hints_1MHW[0, :, top : top + SIDE, left : left + SIDE]
            square_MHW[:-1] = self.patches_Chw[:, top, left, None, None]
            square_MHW[-1] = 1
        return hints_1MHW

    def by_network(self, places: Sequence[Place]) -> Tensor:
        """Return the picture colorized by the network, 3×H×W uint8."""
        size = self.true_3HW.shape[1:]
        chroma_1Chw = self.network.decode(self.local, size, self.global_1C, self.hints(places))
        return self.joined(upsample_chroma(chroma_1Chw, *size))

    def by_colorizer(self, places: Sequence[Place]) -> Tensor:
        """Return the picture colorized by `Colorizer`, 3×H×W uint8."""
        hints = []
        for top, left in places:
            y, x = top + SIDE // 2, left + SIDE // 2
            mean_1C11 = self.patches_Chw[None, :, top, left, None, None]
            luminance_1111 = self.luminance_11HW[..., y, x, None, None]
            rgb_1311 = to_uint8(self.space.decode(luminance_1111, mean_1C11))
            hints.append(Hint(x + 0.5, y + 0.5, "#" + bytes(rgb_1311.flatten().tolist()).hex()))
        return torch.from_numpy(self.prepared.color(hints).pixels_HW3).permute(2, 0, 1)

    def by_optimization(self, places: Sequence[Place]) -> Tensor:
        """Return the picture with colors propagated only from hints; gray without hints."""
        hints_1MHW = self.hints(places)
        given_HW = hints_1MHW[0, -1].bool()
        if not given_HW.any():
            return self.joined(self.space.gray_chroma(self.luminance_11HW))
        luminance_HW = self.luminance_11HW[0, 0].double().numpy()
        colors_HWC = hints_1MHW[0, :-1].permute(1, 2, 0).double().numpy()
        found_HWC = spread(luminance_HW, colors_HWC, given_HW.numpy())
        return self.joined(torch.from_numpy(found_HWC).permute(2, 0, 1)[None].float())

    def joined(self, chroma_1CHW: Tensor) -> Tensor:
        """Return the picture with this chrominance, 3×H×W uint8."""
        return to_uint8(self.space.decode(self.luminance_11HW, chroma_1CHW))[0]


def free(error_hw: Tensor, top: int, left: int) -> None:
    """Exclude positions near a hint."""
    y, x = max(0, top - SPACING + 1), max(0, left - SPACING + 1)
    error_hw[y : top + SPACING, x : left + SPACING] = -1


def estimates(measured: Mapping[str, Floats]) -> Iterator[Row]:
    """Yield means over N photographs, and RMSE relative to no hints, with intervals.

    Args:
        measured: N × places × counts × metrics of each method.
    """
    for method, values_NPCM in measured.items():
        count = len(values_NPCM)
        flat = Stratum(np.arange(count), values_NPCM.reshape(1, count, -1))
        ones_NK = np.ones(flat.values_SNK.shape[1:])
        # The first row is the mean, the others are resamples.
        lines_LK = np.concatenate([[means([flat], ones_NK)], bootstrap([[flat]], ones_NK)[:, 0]])
        lines_LPCM = lines_LK.reshape(-1, *values_NPCM.shape[1:])
        rmse_LPC = lines_LPCM[..., 0]
        numbers = {name: lines_LPCM[..., m] for m, name in enumerate(METRICS)}
        numbers["chroma_rmse_of_none"] = rmse_LPC / rmse_LPC[..., :1]
        for (p, kind), (c, hints) in product(enumerate(PLACES), enumerate(COUNTS)):
            for metric in TITLES:
                value, *drawn = numbers[metric][:, p, c]
                yield count, method, kind, hints, metric, value, *interval(np.array(drawn))


def report(results: pd.DataFrame) -> str:
    """Return the tables as Markdown."""
    parts = ["# Colors with hints", "Means over photographs with 95 % intervals."]
    for (count, method, kind), own in results.groupby(COLUMNS[:3], sort=False):
        parts.append(f"## {METHODS[method]}, hints at places: {kind}, {count} photographs")
        lines = [["hints", *TITLES.values()], ["---"] * (1 + len(TITLES))]
        for hints, found in own.groupby("hints"):
            line = [str(hints)]
            for row in found.itertuples():
                digits = 3 if row.metric.endswith("_of_none") else 2
                value, low, high = (f"{x:.{digits}f}" for x in (row.value, row.low, row.high))
                line.append(f"{value} ({low} … {high})")
            lines.append(line)
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def plot(results: pd.DataFrame) -> bytes:
    """Return a PNG: RMSE over the number of hints, a panel for each kind of places."""
    results = results[results["metric"] == "chroma_rmse"]

    def panel(axes: Axes, kind: str) -> None:
        across = np.arange(len(COUNTS))
        for number, (method, title) in enumerate(METHODS.items()):
            own = results[(results["method"] == method) & (results["places"] == kind)]
            color, style = COLORS[number], MARKERS[number] + "-"
            axes.plot(across, own["value"], style, color=color, label=title)
            axes.fill_between(across, own["low"], own["high"], color=color, alpha=0.2, lw=0)
        axes.set_xticks(across, map(str, COUNTS))
        axes.set(xlabel=f"hints, places: {kind}", ylabel=TITLES["chroma_rmse"])
        axes.set_ylim(0, 1.05 * results["high"].max())
        axes.label_outer()
        if kind == PLACES[0]:
            axes.legend()

    alt = "Chrominance RMSE over the number of hints, of all methods"
    return draw("errors", alt, 3.2, *(partial(panel, kind=kind) for kind in PLACES)).png


if __name__ == "__main__":
    main()
