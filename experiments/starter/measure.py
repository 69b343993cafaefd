"""How good are the colors of the bundled model, beside those of others, of gray and mean color?

`python experiments/starter/measure.py --photographs FOLDER --model today=FILE --model new=FILE`
measures checkpoints on the shards `val-*.tar` of a folder and on the sample's photographs, as they
are and as old prints, and on portraits' skin. Writes measured.md, measured.csv (the same) and
per_photograph.csv into the folder `--output`.
"""

import argparse
import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faces import faces
from photographs import Photograph, colored, sample, validation
from scipy import stats

from irodori.evaluation.statistics import Floats, Stratum, bootstrap, interval, means
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
Row = dict[str, Any]
"""A line of measured.csv: set, variant, metric, scene, photographs, value, low, high."""


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True, help="folder of shards")
    parser.add_argument("--model", action="append", required=True, help="NAME=CHECKPOINT")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    models = {}
    for name, _, path in (text.partition("=") for text in chosen.model):
        models[name] = load_model(path)
        models[name].network.to(memory_format=torch.channels_last)
    rows: list[Row] = []
    records: list[Row] = []
    for name, photos in (
        ("validation", validation(chosen.photographs, chosen.quick)),
        ("sample", sample(chosen.quick)),
    ):
        measured, features = measure(photos, models)
        records += [
            {"set": name, "key": photo.key, "scene": photo.scene, "variant": variant}
            | {metric: round(value, 4) for metric, value in zip(METRICS, values, strict=True)}
            for variant, values_NK in measured.items()
            for photo, values in zip(photos, values_NK.tolist(), strict=True)
        ]
        scenes = [photo.scene for photo in photos]
        made = estimates(measured, scenes) + distances(features)
        rows += [{"set": name, **row} for row in made]
    portraits = faces(validation(chosen.photographs), models, chosen.quick)
    rows += [{"set": "validation", **row} for row in portraits]
    write(chosen.output / "measured.csv", rows)
    write(chosen.output / "per_photograph.csv", records)
    text = report(rows)
    (chosen.output / "measured.md").write_text(text)
    print(text)


METRICS = ("chroma_rmse", "ciede2000", "colorfulness")


@torch.inference_mode()
def measure(
    photos: Sequence[Photograph], models: Mapping[str, Model]
) -> tuple[dict[str, Floats], dict[str, torch.Tensor]]:
    """Return of each variant N×3 METRICS, and N×320 features of EfficientNet-Lite0.

    The mean color is the last model's.
    """
    *_, last = models.values()
    lite0 = Lite0Distance()
    values: dict[str, list[list[float]]] = {}
    features: dict[str, list[torch.Tensor]] = {}
    for number, photo in enumerate(photos):
        true_3HW = photo.image_3HW
        made = {"gray": with_ab(true_3HW, (0, 0)), "mean color": with_ab(true_3HW, last.mean_ab)}
        for name, model in models.items():
            made[name] = colored(model, photo)
            made[name + AGED] = colored(model, photo, old=True)
        made["true"] = true_3HW
        for variant, picture_3HW in made.items():
            pair = Pair(picture_3HW, true_3HW)
            numbers = (rmse(pair), pair.difference.mean(), colorfulness(picture_3HW))
            values.setdefault(variant, []).append([float(number) for number in numbers])
            features.setdefault(variant, []).append(lite0.features(picture_3HW[None]))
        if number % 50 == 49:
            print(f"measured {number + 1} of {len(photos)} photographs", flush=True)
    return (
        {variant: np.array(numbers) for variant, numbers in values.items()},
        {variant: torch.cat(found).double() for variant, found in features.items()},
    )


def estimates(measured: Mapping[str, Floats], scenes: Sequence[str]) -> list[Row]:
    """Return means over photographs, and ratios of means, with bootstrap intervals.

    Ratios: RMSE over that of gray, in all and by scene; of an old print over that of the same
    photographs as they are; colorfulness over the true one.
    """
    everything = np.arange(len(scenes))
    columns = [(metric, "") for metric in METRICS]
    columns += [("chroma_rmse", scene) for scene in sorted(set(scenes))]
    weights_NK = np.array(
        [[scene in ("", own) for _, scene in columns] for own in scenes], np.float64
    )
    places = [METRICS.index(metric) for metric, _ in columns]
    variants = [[Stratum(everything, values[None, :, places])] for values in measured.values()]
    center_VK = np.array([means(strata, weights_NK) for strata in variants])
    resampled_RVK = bootstrap(variants, weights_NK)
    names = list(measured)
    counts = {"": len(scenes), **Counter(scenes)}

    rows = []

    def add(metric: str, variant: str, column: int, value: float, drawn_R: Floats) -> None:
        scene = columns[column][1]
        low, high = interval(drawn_R)
        head = {"variant": variant, "metric": metric, "scene": scene, "photographs": counts[scene]}
        rows.append({**head, "value": value, "low": low, "high": high})

    for v, variant in enumerate(names):
        for k, (metric, _) in enumerate(columns):
            add(metric, variant, k, center_VK[v, k], resampled_RVK[:, v, k])
            others = {"gray": "gray"} if metric == "chroma_rmse" else {}
            if metric == "colorfulness":
                others = {"true": "true"}
            elif metric == "chroma_rmse" and variant.endswith(AGED):
                others["clean"] = variant.removesuffix(AGED)
            for word, other in others.items():
                w = names.index(other)
                value = center_VK[v, k] / center_VK[w, k]
                drawn_R = resampled_RVK[:, v, k] / resampled_RVK[:, w, k]
                add(f"{metric}_of_{word}", variant, k, value, drawn_R)
    return rows


def distances(features: Mapping[str, torch.Tensor]) -> list[Row]:
    """Return Fréchet distances to the true photographs; none of fewer than there are features.

    The interval is the delete-a-group jackknife's: resamples with replacement would hold fewer
    different photographs than features, and be further away.
    """
    true_NF = features["true"]
    count = len(true_NF)
    if count < true_NF.shape[1]:
        return []
    rows = []
    group_N = np.random.default_rng(0).permutation(count) % GROUPS
    for variant, predicted_NF in features.items():
        value = frechet_distance(predicted_NF, true_NF)
        kept = [torch.from_numpy(group_N != group) for group in range(GROUPS)]
        without_G = np.array([frechet_distance(predicted_NF[k], true_NF[k]) for k in kept])
        deviation = math.sqrt((GROUPS - 1) * without_G.var())
        half = deviation * stats.t.ppf(0.975, GROUPS - 1)
        head = {"variant": variant, "metric": "lite0_frechet", "scene": "", "photographs": count}
        rows.append({**head, "value": value, "low": value - half, "high": value + half})
    return rows


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def report(rows: Sequence[Row]) -> str:
    """Return the tables as Markdown."""
    cells = {(r["set"], r["variant"], r["metric"], r["scene"]): r for r in rows}
    parts = ["# Measured colors", "Means with 95 % intervals. Aged: the model saw an old print."]

    def table(first: str, columns: Sequence[str], lines: Mapping[str, Sequence[Row | None]]) -> None:
        made = [f"| {first} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        made += [f"| {name} | " + " | ".join(map(cell, found)) + " |" for name, found in lines.items()]
        parts.append("\n".join(made))

    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        variants = list(dict.fromkeys(row["variant"] for row in own))
        scenes = {row["scene"]: row["photographs"] for row in own if row["metric"] == METRICS[0]}
        parts.append(f"## {name}: {scenes.pop('')} photographs")
        lines = {v: [cells.get((name, v, m, "")) for m in TITLES] for v in variants}
        table("", list(TITLES.values()), lines)
        parts.append("Chrominance RMSE of all gray's, by scene:")
        judged = [v for v in variants if v not in ("gray", "true")]
        lines = {
            f"{scene} ({count})": [cells[name, v, "chroma_rmse_of_gray", scene] for v in judged]
            for scene, count in scenes.items()
        }
        table("", judged, lines)
    groups = {r["scene"]: r["photographs"] for r in rows if r["metric"] == "skin_hue"}
    shown = [v for v in dict.fromkeys(r["variant"] for r in rows) if v != "gray"]
    for metric, title in SKIN_TITLES.items():
        parts.append(f"## {title}")
        lines = {
            f"{scene} ({count})": [cells["validation", v, metric, scene] for v in shown]
            for scene, count in groups.items()
        }
        table("", shown, lines)
    return "\n\n".join(parts) + "\n"


TITLES = {
    "chroma_rmse": "chrominance RMSE ↓ (ab units)",
    "chroma_rmse_of_gray": "of gray's ↓",
    "chroma_rmse_of_clean": "of that of photographs as they are ↓",
    "ciede2000": "CIEDE2000 ↓",
    "colorfulness": "colorfulness",
    "colorfulness_of_true": "of the true one",
    "lite0_frechet": "Fréchet distance (Lite0) ↓",
}
SKIN_TITLES = {
    "skin_hue": "Skin of portraits: median hue angle (°)",
    "skin_hue_error": "Skin of portraits: median error of the hue angle ↓ (°)",
    "skin_chroma": "Skin of portraits: median chroma (ab units)",
}


def cell(row: Row | None) -> str:
    """Return a value with its interval."""
    if row is None:
        return "–"
    digits = 3 if "_of_" in row["metric"] else 1 if "skin" in row["metric"] else 2
    value, low, high = (f"{row[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} … {high})"


if __name__ == "__main__":
    main()
