"""Checkpoints that describe themselves: a network, its colour space and classes from one file."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from irodori.color import ColorSpace, color_space
from irodori.errors import IrodoriError
from irodori.network import JointNetwork

FORMAT = 2
"""Version of the description that stands under the key "irodori" of a checkpoint."""


@dataclass(frozen=True)
class Model:
    """A network with what its numbers mean."""

    network: JointNetwork
    space: ColorSpace
    classes: tuple[str, ...]
    alpha: float
    mean_ab: tuple[float, float]
    """Mean a* and b* of the training photographs: the colour that needs no network."""

    def describe(self) -> dict[str, Any]:
        """All that is needed to build this model again, in plain types."""
        return {
            "format": FORMAT,
            "network": self.network.arguments,
            "color_space": self.space.describe(),
            "alpha": self.alpha,
            "mean_ab": list(self.mean_ab),
            "classes": list(self.classes),
        }


def load_model(path: str | Path) -> Model:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Only tensors and plain types are read, so a checkpoint from elsewhere can't run code.

    Raises:
        IrodoriError: there is no such file, it isn't a checkpoint of this project, or it was
            written for other ranges of the colour space.
    """
    path = Path(path)
    if not path.is_file():
        raise IrodoriError(f"{path}: no such checkpoint")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        description = checkpoint["irodori"]
        weights = checkpoint["state_dict"]
    except Exception as error:
        # torch raises many kinds here, by what the file is; all of them mean the same to the user.
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = shorten(line, 120, placeholder="…")
        raise IrodoriError(f"{path}: not a checkpoint of irodori ({reason})") from None
    try:
        return build_model(description, weights)
    except IrodoriError as error:
        raise IrodoriError(f"{path}: {error}") from None
    except Exception as error:
        reason = shorten(str(error), 200, placeholder="…") or type(error).__name__
        raise IrodoriError(f"{path}: its description and weights don't fit: {reason}") from None


def build_model(description: dict[str, Any], weights: dict[str, Tensor]) -> Model:
    """The model of a description (see `Model.describe`) and a LightningModule's weights.

    Raises:
        IrodoriError: it is of another format, or for other ranges of the colour space.
    """
    if description["format"] != FORMAT:
        raise IrodoriError(
            f"format {description['format']}, but this version of irodori reads {FORMAT}"
        )
    space = color_space(description["color_space"]["name"])
    if space.describe() != description["color_space"]:
        raise IrodoriError(
            f"was trained with other ranges of {space.name}: {description['color_space']}"
        )
    network = JointNetwork(**description["network"])
    network.load_state_dict(
        {
            name.removeprefix("network."): tensor
            for name, tensor in weights.items()
            if name.startswith("network.")
        }
    )
    first, second = description["mean_ab"]
    return Model(
        network.eval(),
        space,
        tuple(description["classes"]),
        description["alpha"],
        (first, second),
    )
