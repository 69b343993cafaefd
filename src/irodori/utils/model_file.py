"""Model files: checkpoints of runs, and safetensors files, which contain only the network."""

import json
import pickle
import zipfile
from pathlib import Path
from textwrap import shorten
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from irodori.utils.errors import IrodoriError

FORMAT = 3
"""Version of the description in model files."""
KEY = "irodori"
"""Key of the description in a checkpoint, or (as JSON) in the metadata of safetensors."""
DESCRIBED = {"network", "color_space", "alpha", "mean_ab", "classes"}
"""Keys of a description besides the format."""


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint's description (see `Model.describe`) and network weights, on the CPU.

    Only tensors and plain types are read, so that a checkpoint can't run code.

    Raises:
        IrodoriError: the file doesn't exist, isn't a checkpoint of irodori, is damaged or
            incomplete, or has another format version.
    """
    if not path.is_file():
        raise IrodoriError(f"{path}: no such checkpoint")
    try:
        read = read_safetensors if is_safetensors(path) else read_run_checkpoint
        description, weights = read(path)
        found = description["format"]
    except Exception as error:
        # Many exceptions are possible, with the same meaning for the user.
        if isinstance(error, pickle.UnpicklingError | EOFError):
            reason = "not a file of PyTorch, or one that would run code"
        else:
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            reason = shorten(line, 120, placeholder="…")
        raise IrodoriError(f"{path}: not a checkpoint of irodori ({reason})") from None
    if found != FORMAT:
        raise IrodoriError(f"{path}: format {found}, but this version of irodori reads {FORMAT}")
    if missing := DESCRIBED - description.keys():
        raise IrodoriError(f"{path}: its description lacks {', '.join(sorted(missing))}")
    return description, weights


def read_run_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a training run's checkpoint; other files raise any exception."""
    # torch.load doesn't verify checksums: flipped bits would load silently.
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its members are compressed, unlike those of PyTorch")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it is damaged")
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    # Tensors may be views that claim more numbers than the file contains.
    if sum(tensor.nbytes for tensor in weights.values()) > path.stat().st_size:
        raise ValueError("it claims more weights than it contains")
    return checkpoint[KEY], weights


def stored(checkpoint: Path) -> dict[str, Any]:
    """Return all that a run's checkpoint holds; torch raises many kinds of errors."""
    content: dict[str, Any] = torch.load(
        checkpoint, map_location="cpu", weights_only=True, mmap=True
    )
    return content


def is_safetensors(path: Path) -> bool:
    """Return whether a file starts like safetensors: length of the header (8 bytes), then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file of `write_safetensors`, fp16 as fp32; other files raise any exception."""
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()[KEY])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            weights[name] = tensor.float()
    return description, weights


def write_safetensors(
    file: BinaryIO, network: nn.Module, description: dict[str, Any], half: bool = False
) -> None:
    """Write a network's weights and its description (see `Model.describe`).

    Args:
        half: store parameters as fp16; running statistics of batch norms stay fp32, since variances
            may exceed the range of fp16.

    Raises:
        ValueError: a parameter is too large for fp16.
    """
    parameters = {name for name, _ in network.named_parameters()}
    weights = {}
    for name, tensor in network.state_dict().items():
        if half and name in parameters:
            if not tensor.half().isfinite().all():
                raise ValueError(f"{name} has weights too large for half precision")
            tensor = tensor.half()
        weights[name] = tensor.detach().cpu().contiguous()
    file.write(save(weights, {KEY: json.dumps(description)}))
