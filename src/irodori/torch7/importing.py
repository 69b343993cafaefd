"""The authors' published weights as a checkpoint of this project."""

from pathlib import Path

import numpy as np
import torch

from irodori.color import LumaAb
from irodori.model import Model
from irodori.torch7.colornet import to_network
from irodori.torch7.reader import Object, Table, Value, read
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
        model, mean = network_and_mean(read(file.read_bytes()))
        network = to_network(model, mean)
    except IrodoriError as error:
        raise IrodoriError(f"{file}: {error}") from None
    classes = tuple(f"class {n}" for n in range(1, network.arguments["num_classes"] + 1))
    return Model(network, LumaAb(), classes, 0.0, (0.0, 0.0))


def network_and_mean(content: Value) -> tuple[Object, float]:
    """Return the one network in a file's table, and the one number or the one called a mean."""
    entries = content.items() if isinstance(content, Table) else ()
    models = [x for _, x in entries if isinstance(x, Object) and x.name == "nn.gModule"]
    if len(models) != 1:
        raise IrodoriError(f"holds no table with one network (gModule), but {len(models)} of them")
    numbers = {
        key: float(np.ravel(x)[0])
        for key, x in entries
        if isinstance(x, float | np.ndarray) and not isinstance(x, bool) and np.size(x) == 1
    }
    if len(numbers) > 1:
        numbers = {key: x for key, x in numbers.items() if "mean" in str(key).lower()}
    if len(numbers) != 1:
        raise IrodoriError("its table doesn't say which number is the mean of the input")
    ((key, mean),) = numbers.items()
    if not 0 <= mean <= 1:
        raise IrodoriError(f"the mean of its input, {key!r}, is {mean:g} and not between 0 and 1")
    return models[0], mean
