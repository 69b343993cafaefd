"""The color of skin in official portraits, which have the face in the middle.

Skin is what lies in an ellipse in the middle of the picture and has the color of skin in the true
photograph; hair, glasses, hats and background fall out by their color.
"""

import math

import torch

from irodori.metrics.pair import Pair

FOLDERS = ("us-house", "us-senate", "18f-team")
"""Where keys of portraits begin."""
CENTER, RADIUS = (0.48, 0.5), (0.20, 0.16)
"""Of the ellipse, vertical and horizontal, as shares of height and width."""
LIGHTNESS, CHROMA, HUE = (20, 90), (8, 50), (15, 85)
"""What the color of skin is in L*, C*ab and h°ab."""
ENOUGH = 200
"""Pixels of skin that a portrait must show."""
MIDDLE = 50.0
"""The hue around which others are counted, so that none is torn apart at 0° or 360°."""


def skin_color(key: str, pair: Pair) -> tuple[float, float]:
    """Return hue in degrees and chroma of skin as it was colored: of median a* and median b*.

    Both are NaN where the key is of no portrait, or the portrait shows too little skin.
    """
    lab_3HW = pair.true_lab
    height, width = lab_3HW.shape[1:]
    y_H1 = ((torch.arange(height) + 0.5) / height - CENTER[0])[:, None] / RADIUS[0]
    x_1W = ((torch.arange(width) + 0.5) / width - CENTER[1])[None] / RADIUS[1]
    skin_HW = y_H1.square() + x_1W.square() <= 1
    chroma_HW = lab_3HW[1:].norm(dim=0)
    hue_HW = torch.atan2(lab_3HW[2], lab_3HW[1]).rad2deg()
    for plane_HW, (low, high) in ((lab_3HW[0], LIGHTNESS), (chroma_HW, CHROMA), (hue_HW, HUE)):
        skin_HW &= (plane_HW >= low) & (plane_HW <= high)
    if not key.startswith(FOLDERS) or skin_HW.sum() < ENOUGH:
        return math.nan, math.nan
    a, b = pair.predicted_lab[1:, skin_HW].median(1).values.tolist()
    hue = math.degrees(math.atan2(b, a))
    return (hue - MIDDLE + 180) % 360 - 180 + MIDDLE, math.hypot(a, b)
