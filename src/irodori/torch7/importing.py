"""The authors' published weights as a checkpoint of this project."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from irodori.color import LumaAb
from irodori.model import Model
from irodori.torch7.colornet import to_network
from irodori.torch7.reader import Object, Table, Value, read_file
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing


def import_weights(file: Path, output: Path, overwrite: bool) -> Model:
    """Write the network of a Torch7 file as a checkpoint, and return it.

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
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    with replacing(output) as opened:
        torch.save({"irodori": model.describe(), "state_dict": weights}, opened)
    return model


def read_model(file: Path) -> Model:
    """Return the model of a Torch7 file.

    Scenes have no names in the file, and are numbered as it orders them. It doesn't say the mean
    color of its training photographs either: gray stands for it.

    Raises:
        IrodoriError: see `import_weights`.
        OSError: the file can't be read.
    """
    try:
        content = read_file(file)
        network = to_network(network_of(content), mean_of(content))
    except IrodoriError as error:
        raise IrodoriError(f"{file}: {error}") from None
    classes = tuple(f"class {n}" for n in range(1, network.arguments["num_classes"] + 1))
    return Model(network, LumaAb(), classes, 0.0, (0.0, 0.0))


def network_of(content: Value) -> Object:
    """Return the one network in a file's table."""
    values = content.values() if isinstance(content, Table) else ()
    found = [value for value in values if isinstance(value, Object) and value.name == "nn.gModule"]
    if len(found) != 1:
        raise IrodoriError(f"holds no table with one network (gModule), but {len(found)} of them")
    return found[0]


def mean_of(content: Value) -> float:
    """Return the one number in a file's table, or of several the one that is called a mean."""
    assert isinstance(content, Table)
    numbers = {key: found for key, value in content.items() if (found := number_in(value))}
    if len(numbers) > 1:
        numbers = {key: found for key, found in numbers.items() if "mean" in str(key).lower()}
    if len(numbers) != 1:
        raise IrodoriError("its table doesn't say which number is the mean of the input")
    ((key, (mean,)),) = numbers.items()
    if not 0 <= mean <= 1:
        raise IrodoriError(f"the mean of its input, {key!r}, is {mean:g} and not between 0 and 1")
    return mean


def number_in(value: Any) -> tuple[float, ...]:
    """Return the number that a value or a tensor of one element is; none of others."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return (float(value.item()),)
    return (value,) if isinstance(value, float) else ()
