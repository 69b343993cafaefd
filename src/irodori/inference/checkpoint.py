"""Checkpoints that describe themselves: a network, its colour space and classes from one file."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from irodori.color import ColorSpace, color_space
from irodori.errors import IrodoriError
from irodori.inference.safetensors_file import is_safetensors, read_safetensors
from irodori.network import JointNetwork
from irodori.utils.describable import build

FORMAT = 2
"""Version of the description that stands under the key "irodori" of a checkpoint."""
DESCRIBED = {"network", "color_space", "alpha", "mean_ab", "classes"}
"""What a description has beside the format."""


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
            "color_space": {"class": self.space.describe(), **self.space.ranges()},
            "alpha": self.alpha,
            "mean_ab": list(self.mean_ab),
            "classes": list(self.classes),
        }


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's description (see `Model.describe`) and its network's weights, on the CPU.

    It is one of a run, or a safetensors file of `irodori export`; the content says which. Only
    tensors and plain types are read, so a checkpoint from elsewhere can't run code.

    Raises:
        IrodoriError: there is no such file, it isn't a checkpoint of this project, or it is of
            another format, or incomplete.
    """
    if not path.is_file():
        raise IrodoriError(f"{path}: no such checkpoint")
    try:
        read = read_safetensors if is_safetensors(path) else read_run_checkpoint
        description, weights = read(path)
        found = description["format"]
    except Exception as error:
        # Many kinds are raised here, by what the file is; all of them mean the same to the user.
        if isinstance(error, pickle.UnpicklingError | EOFError):
            reason = "no file of PyTorch's, or one that would run code"
        else:
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            reason = shorten(line, 120, placeholder="…")
        raise IrodoriError(f"{path}: not a checkpoint of irodori ({reason})") from None
    if found != FORMAT:
        raise IrodoriError(f"{path}: format {found}, but this version of irodori reads {FORMAT}")
    if lacking := DESCRIBED - description.keys():
        raise IrodoriError(f"{path}: its description lacks {', '.join(sorted(lacking))}")
    return description, weights


def read_run_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the network's weights of a training run's checkpoint.

    Raises:
        Exception: of many kinds, if the file is damaged or of something else.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    return checkpoint["irodori"], weights


def load_model(path: str | Path) -> Model:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        IrodoriError: see `read_checkpoint`; or it was written for other ranges of the colour space.
    """
    path = Path(path)
    description, weights = read_checkpoint(path)
    try:
        return build_model(description, weights)
    except IrodoriError as error:
        raise IrodoriError(f"{path}: {error}") from None
    except Exception as error:
        reason = shorten(str(error), 200, placeholder="…") or type(error).__name__
        raise IrodoriError(f"{path}: its description and weights don't fit: {reason}") from None


def space_of(described: dict[str, Any]) -> ColorSpace:
    """Return the color space that a description names, by its class or, in older files, its name.

    Raises:
        IrodoriError: there is no such color space.
    """
    if "name" in described:
        return color_space(described["name"])
    space: ColorSpace = build(described["class"])
    return space


def ranges_of(described: dict[str, Any]) -> dict[str, Any]:
    """Return the ranges (see `ColorSpace.ranges`) of a description's color space."""
    return {key: value for key, value in described.items() if key not in ("class", "name")}


def build_model(description: dict[str, Any], weights: dict[str, Tensor]) -> Model:
    """The model of a description (see `Model.describe`) and its network's weights.

    Raises:
        IrodoriError: it is for other ranges of the colour space.
    """
    space = space_of(description["color_space"])
    if space.ranges() != ranges_of(description["color_space"]):
        raise IrodoriError(
            f"was trained with other ranges of {space!r}: {description['color_space']}"
        )
    network = JointNetwork(**description["network"])
    for what, found, wanted in (
        ("classes", len(description["classes"]), network.arguments["num_classes"]),
        ("chroma channels", space.chroma_channels, network.arguments["chroma_channels"]),
    ):
        if found != wanted:
            raise IrodoriError(f"names {found} {what}, and its network has {wanted}")
    network.load_state_dict(weights)
    first, second = description["mean_ab"]
    return Model(
        network.eval(),
        space,
        tuple(description["classes"]),
        description["alpha"],
        (first, second),
    )
