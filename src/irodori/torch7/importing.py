"""Converting the authors' published weights to a checkpoint."""

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
    """Convert the network in a Torch7 file to a checkpoint, and return the model.

    Args:
        file: Torch7 file of a table with the network (nngraph) and the mean of its input.
        output: checkpoint to write; folders are created if necessary.
        overwrite: replace an existing output.

    Raises:
        IrodoriError: the file has other content, or `output` already exists.
        OSError: a file can't be read or written.
    """
    if output.exists() and not overwrite:
        raise IrodoriError(f"{output} already exists; choose another --output, or --overwrite it")
    model = read_model(file)
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    with replacing(output) as opened:
        torch.save({"irodori": model.describe(), "state_dict": weights}, opened)
    return model


def read_model(file: Path) -> Model:
    """Read the model in a Torch7 file.

    The file contains neither names of scenes, which are numbered instead, nor the mean color of the
    training photographs, which is set to gray.

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
    """Return the network in a file's table, and the only number or the one named a mean."""
    entries = content.items() if isinstance(content, Table) else ()
    models = [x for _, x in entries if isinstance(x, Object) and x.name == "nn.gModule"]
    if len(models) != 1:
        raise IrodoriError(f"expected a table with one network (gModule), found {len(models)}")
    numbers = {
        key: float(np.ravel(x)[0])
        for key, x in entries
        if isinstance(x, float | np.ndarray) and not isinstance(x, bool) and np.size(x) == 1
    }
    if len(numbers) > 1:
        numbers = {key: x for key, x in numbers.items() if "mean" in str(key).lower()}
    if len(numbers) != 1:
        raise IrodoriError("its table doesn't identify the mean of the input")
    ((key, mean),) = numbers.items()
    if not 0 <= mean <= 1:
        raise IrodoriError(f"the mean of its input, {key!r}, is {mean:g}, not between 0 and 1")
    return models[0], mean
