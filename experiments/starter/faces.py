"""The color of skin in official portraits, which are head and shoulders with the face in the middle.

Skin is what lies in an ellipse in the middle of the picture and has the color of skin in the true
photograph (SKIN); hair, glasses, hats and background fall out by their color. A portrait's skin
color is the median a* and the median b* there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from photographs import Photograph, colored
from scipy import stats
from torch import Tensor

from irodori.evaluation.statistics import SEED, Floats
from irodori.metrics.evaluation import with_ab
from irodori.metrics.pair import Pair
from irodori.model import Model

FOLDERS = ("us-house", "us-senate", "18f-team")
"""Where keys of portraits begin."""
CENTER, RADIUS = (0.48, 0.5), (0.20, 0.16)
"""Of the ellipse, vertical and horizontal, as shares of height and width."""
SKIN = {"lightness": (20, 90), "chroma": (8, 50), "hue": (15, 85)}
"""What the color of skin is in L*, C*ab and h°ab."""
ENOUGH = 200
"""Pixels of skin that a portrait must show."""
MIDDLE = 50.0
"""The hue around which others are counted, so that none is torn apart at 0° or 360°."""


def faces(
    photos: Sequence[Photograph], models: Mapping[str, Model], quick: bool
) -> list[dict[str, Any]]:
    """Return medians over portraits, by folder and in all, with bootstrap intervals.

    skin_hue and skin_chroma: of the skin's color, in degrees and ab units. skin_hue_error: how far
    the hue is from the true one, either way.
    """
    portraits = [photo for photo in photos if photo.key.split("/")[0] in FOLDERS]
    *_, last = models.values()
    colors: dict[str, list[Tensor]] = {}
    measured = []
    for photo in portraits[:4] if quick else portraits:
        true_3HW = photo.image_3HW
        skin_HW = skin_of(Pair(true_3HW, true_3HW).true_lab)
        if skin_HW.sum() < ENOUGH:
            continue
        measured.append(photo)
        made = {"mean color": with_ab(true_3HW, last.mean_ab), "true": true_3HW}
        for name, model in models.items():
            made[name] = colored(model, photo)
            made[f"{name}, aged"] = colored(model, photo, old=True)
        for variant, picture_3HW in made.items():
            ab_2N = Pair(picture_3HW, true_3HW).predicted_lab[1:, skin_HW]
            colors.setdefault(variant, []).append(ab_2N.median(1).values)
    hues = {variant: hue_of(torch.stack(found).T.double()) for variant, found in colors.items()}
    folders = np.array([photo.key.split("/")[0] for photo in measured])
    rows = []
    for variant, found in colors.items():
        error = np.abs((hues[variant] - hues["true"] + 180) % 360 - 180)
        chroma = torch.stack(found).norm(dim=1).double().numpy()
        for metric, values in (
            ("skin_hue", hues[variant]),
            ("skin_chroma", chroma),
            ("skin_hue_error", error),
        ):
            for folder in ("", *FOLDERS):
                chosen = values[folders == folder] if folder else values
                if len(chosen) > 1:
                    head = {"variant": variant, "metric": metric, "scene": folder or "portraits"}
                    rows.append({**head, "photographs": len(chosen), **median(chosen)})
    return rows


def skin_of(lab_3HW: Tensor) -> Tensor:
    """Return which pixels of a true portrait are skin: H×W bool."""
    height, width = lab_3HW.shape[1:]
    y_H1 = ((torch.arange(height) + 0.5) / height - CENTER[0])[:, None] / RADIUS[0]
    x_1W = ((torch.arange(width) + 0.5) / width - CENTER[1])[None] / RADIUS[1]
    inside_HW = y_H1.square() + x_1W.square() <= 1
    found = {
        "lightness": lab_3HW[0],
        "chroma": lab_3HW[1:].norm(dim=0),
        "hue": torch.atan2(lab_3HW[2], lab_3HW[1]).rad2deg(),
    }
    for name, (low, high) in SKIN.items():
        inside_HW = inside_HW & (found[name] >= low) & (found[name] <= high)
    return inside_HW


def hue_of(ab_2N: Tensor) -> Floats:
    """Return hue angles in degrees, less than 180 from MIDDLE."""
    degrees = torch.atan2(ab_2N[1], ab_2N[0]).rad2deg().numpy()
    hues: Floats = (degrees - MIDDLE + 180) % 360 - 180 + MIDDLE
    return hues


def median(values: Floats) -> dict[str, float]:
    """Return the median with its bootstrap interval."""
    found = stats.bootstrap(
        (values,), np.median, method="percentile", vectorized=True, rng=np.random.default_rng(SEED)
    ).confidence_interval
    return {"value": float(np.median(values)), "low": float(found.low), "high": float(found.high)}
