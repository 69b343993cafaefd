"""Does training on photographs that look old help with photographs that look old?

`python experiments/starter/aged.py <sweep folder>` takes the runs of `make study-starter`, judges
each on the photographs of its own fold, as they are and aged (several prints of each, always the
same ones), and compares the networks that were trained with `augmentation.age` and without. The
colors are judged with the true luminance, so that nothing but the chrominance counts. Writes
aged.csv and aged.png beside this file, and prints a table.
"""

import csv
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor

from irodori.color import to_float, to_uint8
from irodori.config import PROJECT
from irodori.data.aging import age
from irodori.data.images import to_short_side
from irodori.data.index import Index, read_index
from irodori.data.samples import Samples
from irodori.evaluation.statistics import sign_flip_p
from irodori.inference.contact_sheet import contact_sheet
from irodori.metrics.chrominance import chroma_rmse
from irodori.model import Model, load_model
from irodori.network.joint import upsample_chroma

HERE = Path(__file__).parent
PRINTS = 3
"""Aged versions of each photograph."""
HUBER = "irodori.training.objectives.Huber"
SHOWN = (3, 12, 20, 31)
"""Photographs of the first fold in the picture, by their place."""


def main() -> None:
    """Judge all runs, write the data, print the means and a paired test."""
    rows: list[dict[str, str | float]] = []
    first: dict[float, Model] = {}
    for folder in sorted(Path(sys.argv[1]).glob("*/checkpoints"), key=lambda path: path.parent):
        config = yaml.safe_load((folder.parent / "config.yaml").read_text())
        if config["objective"]["_target_"] != HUBER:
            continue
        trained, fold = config["augmentation"]["age"], config["data"]["fold"]
        model = load_model(folder / "last.ckpt")
        if fold == 0:
            first[trained] = model
        for key, photo in photographs(fold).items():
            values = [error(model, photo, None)]
            values += [error(model, photo, seed) for seed in seeds(key)]
            rows.append(
                {
                    "photograph": key,
                    "fold": fold,
                    "trained_with_age": trained,
                    "as_is": values[0],
                    "aged": float(np.mean(values[1:])),
                }
            )
    with (HERE / "aged.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: round(x, 4) if isinstance(x, float) else x for name, x in row.items()}
            for row in rows
        )
    print("| trained with | photographs as they are | aged |\n|---|---|---|")
    for trained in sorted(first):
        means = [mean(rows, trained, kind) for kind in ("as_is", "aged")]
        print(f"| augmentation.age={trained:g} | {means[0]:.2f} | {means[1]:.2f} |")
    for kind in ("as_is", "aged"):
        differences = paired(rows, kind)
        p = float(sign_flip_p(differences[:, None])[0])
        print(f"{kind}: difference {differences.mean():+.2f} ab units, p = {p:.4f}")
    picture(first).save(HERE / "aged.png")


def photographs(fold: int) -> dict[str, Tensor]:
    """A fold's photographs as they are validated: 3×H×W uint8 by their keys."""
    sample = read_index(PROJECT / "data" / "sample")
    index = Index((sample.shards[fold],), sample.classes)
    data = Samples(index)
    keys = index.shards[0].keys
    return {key: to_short_side(data.image(place), 256) for place, key in enumerate(keys)}


def seeds(key: str) -> list[int]:
    """Of a photograph's prints: its own, and the same in every run of this script."""
    return [zlib.crc32(f"{key} {number}".encode()) for number in range(PRINTS)]


def luminance_of(model: Model, photo_3HW: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """The true luminance, and the one that the network is shown: 1×1×H×W each."""
    true_11HW, _ = model.space.encode(to_float(photo_3HW[None]))
    if seed is None:
        return true_11HW, true_11HW
    return true_11HW, age(true_11HW[0], seed)[None]


@torch.inference_mode()
def colored(model: Model, photo_3HW: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """The photo with its true luminance, and as it was shown: 3×H×W uint8 each, colored."""
    true_11HW, shown_11HW = luminance_of(model, photo_3HW, seed)
    chroma_1Chw, _ = model.network(shown_11HW)
    chroma_1CHW = upsample_chroma(chroma_1Chw, *photo_3HW.shape[-2:])
    return tuple(  # type: ignore[return-value]
        to_uint8(model.space.decode(luminance_11HW, chroma_1CHW))[0]
        for luminance_11HW in (true_11HW, shown_11HW)
    )


def error(model: Model, photo_3HW: Tensor, seed: int | None) -> float:
    """Chrominance RMSE in ab units."""
    return chroma_rmse(colored(model, photo_3HW, seed)[0], photo_3HW).item()


def mean(rows: list[dict[str, str | float]], trained: float, kind: str) -> float:
    """Over photographs."""
    return float(np.mean([row[kind] for row in rows if row["trained_with_age"] == trained]))


def paired(rows: list[dict[str, str | float]], kind: str) -> np.ndarray:
    """Of each photograph the error with `augmentation.age` less that without."""
    without, with_age = (
        {row["photograph"]: float(row[kind]) for row in rows if (row["trained_with_age"] > 0) == w}  # type: ignore[operator]
        for w in (False, True)
    )
    return np.array([with_age[key] - without[key] for key in without])


def picture(models: dict[float, Model]) -> Image.Image:
    """Aged gray, and colored by both."""
    without, with_age = models[min(models)], models[max(models)]
    rows = []
    fold = photographs(0)
    for key in np.array(list(fold))[list(SHOWN)].tolist():
        photo, seed = fold[key], seeds(key)[0]
        shown_3HW = to_uint8(luminance_of(without, photo, seed)[1][0]).expand(3, -1, -1)
        rows.append(
            [shown_3HW, colored(without, photo, seed)[1], colored(with_age, photo, seed)[1]]
        )
    titles = ("aged", "trained as it is", "trained aged, too")
    return contact_sheet(rows, titles)


if __name__ == "__main__":
    main()
