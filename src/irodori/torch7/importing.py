"""The authors' published weights as a checkpoint of this project."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from irodori.color import LumaAb
from irodori.model import Model
from irodori.torch7.colornet import to_network
from irodori.torch7.reader import read_file
from irodori.torch7.values import Object, Table, Tensor, Value
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

LICENCE = "CC BY-NC-SA 4.0"


@dataclass(frozen=True)
class Imported:
    """What was read."""

    model: Model
    layers: int
    parameters: int


def import_weights(file: Path, output: Path, overwrite: bool) -> Imported:
    """Write the network of a Torch7 file as a checkpoint.

    Args:
        file: a table with the network (nngraph) and the mean that its input is less.
        output: the checkpoint; folders are made if needed.
        overwrite: whether it may exist already.

    Raises:
        IrodoriError: the file isn't what is read here, or `output` exists already.
        OSError: a file can't be read or written.
    """
    if output.exists() and not overwrite:
        raise IrodoriError(f"{output} exists already; choose another --output, or --overwrite it")
    model = read_model(file)
    network = model.network
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    with replacing(output) as opened:
        torch.save({"irodori": model.describe(), "state_dict": weights}, opened)
    layers = sum(isinstance(part, torch.nn.Conv2d | torch.nn.Linear) for part in network.modules())
    return Imported(model, layers, sum(weight.numel() for weight in network.parameters()))


def read_model(file: Path) -> Model:
    """The model of a Torch7 file.

    Scenes have no names in the file, and are numbered as it orders them. It doesn't say the mean
    colour of its training photographs either: gray stands for it.

    Raises:
        IrodoriError: see `import_weights`.
        OSError: the file can't be read.
    """
    content = read_file(file)
    try:
        network = to_network(network_of(content), mean_of(content))
    except IrodoriError as error:
        raise IrodoriError(f"{file}: {error}") from None
    classes = tuple(f"class {n}" for n in range(1, network.arguments["num_classes"] + 1))
    return Model(network, LumaAb(), classes, 0.0, (0.0, 0.0))


def entries(content: Value) -> dict[Any, Value]:
    """The entries of the table that a file holds."""
    if not isinstance(content, Table):
        raise IrodoriError("holds no table with a network and the mean of its input")
    return content.entries


def network_of(content: Value) -> Object:
    """The one network in a file's table."""
    found = [
        value
        for value in entries(content).values()
        if isinstance(value, Object) and value.name == "nn.gModule"
    ]
    if len(found) != 1:
        raise IrodoriError(f"its table has {len(found)} networks (gModule) in place of one")
    return found[0]


def mean_of(content: Value) -> float:
    """The one number in a file's table, or of several the one that is called a mean."""
    found = {key: number for key, value in entries(content).items() for number in number_in(value)}
    if len(found) > 1:
        found = {key: number for key, number in found.items() if "mean" in str(key).lower()}
    if len(found) != 1:
        raise IrodoriError("its table doesn't say which number is the mean of the input")
    ((key, mean),) = found.items()
    if not 0 <= mean <= 1:
        raise IrodoriError(f"the mean of its input, {key!r}, is {mean:g} and not between 0 and 1")
    return mean


def number_in(value: Value) -> list[float]:
    """The number that a value or a tensor of one element is; none of others."""
    if isinstance(value, Tensor) and value.count() == 1:
        return [float(value.array().item())]
    return [value] if isinstance(value, float) else []
