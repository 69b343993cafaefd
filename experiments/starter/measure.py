"""How good are a model's colors, beside another's, all gray, and the mean color?

`python experiments/starter/measure.py --model today=FILE --model new=FILE` measures checkpoints on
the validation photographs of `data=photographs` and on the sample's, as they are and as old prints.
Writes measured.md, measured.csv and per_photograph.csv into the folder `--output`.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from portraits import FOLDERS, skin_color
from scipy import stats
from unseen import PHOTOGRAPHS, SAMPLES, Photograph, colored, read

from irodori.evaluation.statistics import LEVEL, RESAMPLES, SEED, Floats, interval
from irodori.inference.fast_network import faster
from irodori.metrics.chrominance import rmse
from irodori.metrics.colorfulness import colorfulness
from irodori.metrics.evaluation import with_ab
from irodori.metrics.feature_distance import frechet_distance
from irodori.metrics.lite0 import Lite0Distance
from irodori.metrics.pair import Pair
from irodori.model import Model, load_model

AGED = ", aged"
GROUPS = 20
"""Parts of the photographs, each of which is left out once for the Fréchet distance's interval."""
TITLES = {
    "chroma_rmse": "chrominance RMSE ↓ (ab units)",
    "chroma_rmse_of_gray": "chrominance RMSE of gray's ↓",
    "chroma_rmse_of_clean": "chrominance RMSE of that of photographs as they are ↓",
    "ciede2000": "CIEDE2000 ↓",
    "colorfulness": "colorfulness",
    "colorfulness_of_true": "colorfulness of the true one",
    "lite0_frechet": "Fréchet distance (Lite0) ↓",
    "skin_hue": "skin, median hue angle (°)",
    "skin_hue_error": "skin, median error of the hue angle ↓ (°)",
    "skin_chroma": "skin, median chroma (ab units)",
}
Row = tuple[str, str, str, int, float, float, float]
COLUMNS = ("variant", "metric", "scene", "photographs", "value", "low", "high")
KEYS = ["set", "variant", "metric", "scene"]
"""What tells the lines of measured.csv apart."""


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", default=PHOTOGRAPHS, help="shards, %(default)s")
    parser.add_argument("--model", action="append", required=True, help="NAME=CHECKPOINT")
    parser.add_argument("--beside", type=Path, help="a measured.csv, of other models")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    models = {}
    for name, path in (text.split("=", 1) for text in chosen.model):
        model = load_model(path)
        models[name] = replace(model, network=faster(model.network, "fp32"))
    tables, records = [], []
    sets = {"validation": chosen.photographs, "sample": f"{SAMPLES}/sample-*.tar"}
    for name, shards in sets.items():
        measured, features = measure(read(shards, chosen.quick), models)
        found = [*estimates(measured), *distances(features)]
        tables.append(pd.DataFrame(found, columns=COLUMNS).assign(set=name))
        records.append(measured.assign(set=name))
    table = pd.concat(tables)
    if chosen.beside is not None:
        earlier = pd.read_csv(chosen.beside, keep_default_na=False)
        table = pd.concat([table, earlier]).drop_duplicates(KEYS)
    table.to_csv(chosen.output / "measured.csv", index=False, float_format="%.5f")
    pd.concat(records).to_csv(
        chosen.output / "per_photograph.csv", index=False, float_format="%.4f"
    )
    text = report(table)
    (chosen.output / "measured.md").write_text(text)
    print(text)


@torch.inference_mode()
def measure(
    photos: Sequence[Photograph], models: Mapping[str, Model]
) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    """Return a line for each photograph and variant, and N×F features of each variant.

    The mean color is that of the last model's training photographs.
    """
    *_, last = models.values()
    # The covariance of F features takes more than F photographs.
    lite0 = Lite0Distance() if len(photos) > Lite0Distance.num_features else None
    rows = []
    features: dict[str, list[torch.Tensor]] = {}
    for number, photo in enumerate(photos, 1):
        true_3HW = photo.image_3HW
        made = {"gray": with_ab(true_3HW, (0, 0)), "mean color": with_ab(true_3HW, last.mean_ab)}
        for name, model in models.items():
            made[name] = colored(model, photo)
            made[name + AGED] = colored(model, photo, old=True)
        made["true"] = true_3HW
        for variant, picture_3HW in made.items():
            pair = Pair(picture_3HW, true_3HW)
            skin_hue, skin_chroma = skin_color(photo.key, pair)
            rows.append(
                {
                    "key": photo.key,
                    "scene": photo.scene,
                    "variant": variant,
                    "chroma_rmse": rmse(pair).item(),
                    "ciede2000": pair.difference.mean().item(),
                    "colorfulness": colorfulness(picture_3HW).item(),
                    "skin_hue": skin_hue,
                    "skin_chroma": skin_chroma,
                }
            )
            if lite0 is not None:
                features.setdefault(variant, []).append(lite0.features(picture_3HW[None]))
        if number % 50 == 0:
            print(f"measured {number} of {len(photos)} photographs", flush=True)
    together = {variant: torch.cat(found).double() for variant, found in features.items()}
    return pd.DataFrame(rows), together


def estimates(measured: pd.DataFrame) -> Iterator[Row]:
    """Yield means over photographs, ratios of means, and medians over portraits."""
    mean, median = partial(np.mean, axis=-1), partial(np.median, axis=-1)

    def ratio(values: Floats, others: Floats) -> Any:
        return mean(values) / mean(others)

    of = {name: own.reset_index() for name, own in measured.groupby("variant", sort=False)}
    gray, true = of["gray"], of["true"]
    scenes = {scene: gray["scene"] == scene for scene in sorted(gray["scene"].unique())}
    portrait_N = true["skin_hue"].notna()
    groups = {"portraits": portrait_N}
    groups |= {folder: portrait_N & true["key"].str.startswith(folder) for folder in FOLDERS}
    for variant, own in of.items():
        for metric in ("chroma_rmse", "ciede2000", "colorfulness"):
            yield estimate(variant, metric, "", mean, own[metric])
        columns = own["colorfulness"], true["colorfulness"]
        yield estimate(variant, "colorfulness_of_true", "", ratio, *columns)
        if variant.endswith(AGED):
            columns = own["chroma_rmse"], of[variant.removesuffix(AGED)]["chroma_rmse"]
            yield estimate(variant, "chroma_rmse_of_clean", "", ratio, *columns)
        for scene, here_N in {"": gray["scene"].notna(), **scenes}.items():
            columns = own["chroma_rmse"][here_N], gray["chroma_rmse"][here_N]
            yield estimate(variant, "chroma_rmse_of_gray", scene, ratio, *columns)
        own["skin_hue_error"] = ((own["skin_hue"] - true["skin_hue"] + 180) % 360 - 180).abs()
        for metric in ("skin_hue", "skin_hue_error", "skin_chroma"):
            for group, here_N in groups.items():
                # The hue of gray is noise.
                if here_N.any() and variant != "gray":
                    yield estimate(variant, metric, group, median, own[metric][here_N])


def estimate(
    variant: str, metric: str, scene: str, statistic: Callable[..., Any], *columns: pd.Series
) -> Row:
    """Return a statistic of columns of N photographs with its percentile bootstrap interval."""
    arrays = [column.to_numpy() for column in columns]
    count = len(arrays[0])
    drawn_RN = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    low, high = interval(statistic(*(values_N[drawn_RN] for values_N in arrays)))
    return variant, metric, scene, count, float(statistic(*arrays)), low, high


def distances(features: Mapping[str, torch.Tensor]) -> Iterator[Row]:
    """Yield Fréchet distances of N×F features to those of the true photographs.

    The interval is the delete-a-group jackknife's: resamples with replacement would hold fewer
    different photographs than features, and be further away.
    """
    for variant, own_NF in features.items():
        true_NF, count = features["true"], len(own_NF)
        group_N = np.random.default_rng(SEED).permutation(count) % GROUPS
        kept = [torch.from_numpy(group_N != group) for group in range(GROUPS)]
        value = frechet_distance(own_NF, true_NF)
        without_G = np.array([frechet_distance(own_NF[part], true_NF[part]) for part in kept])
        error = np.sqrt((GROUPS - 1) * without_G.var())
        half = error * stats.t.ppf((1 + LEVEL) / 2, GROUPS - 1)  # type: ignore[attr-defined]
        yield variant, "lite0_frechet", "", count, value, value - half, value + half


def report(table: pd.DataFrame) -> str:
    """Return the tables as Markdown."""
    parts = ["# Measured colors", "With 95 % intervals. Aged: the model saw an old print."]
    for name, own in table.groupby("set", sort=False):
        variants = own["variant"].unique()
        lines = [["", "photographs", *variants], ["---"] * (2 + len(variants))]
        keys = ["metric", "scene", "photographs"]
        for (metric, scene, count), found in own.groupby(keys, sort=False):
            digits = 3 if "_of_" in metric else 1 if "skin" in metric else 2
            cells = dict.fromkeys(variants, "–")
            for row in found.itertuples():
                value, low, high = (f"{x:.{digits}f}" for x in (row.value, row.low, row.high))
                cells[row.variant] = f"{value} ({low} … {high})"
            title = f"{TITLES[metric]}: {scene}" if scene else TITLES[metric]
            lines.append([title, str(count), *cells.values()])
        parts += [f"## {name}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
