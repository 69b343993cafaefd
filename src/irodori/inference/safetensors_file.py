"""Models as safetensors files: plain numbers with their description, half the size in fp16."""

import json
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

KEY = "irodori"
"""Under which the description stands as JSON in the file's metadata."""


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the header's length in eight bytes, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A model's description and weights, which `write_safetensors` wrote; fp16 becomes fp32.

    Raises:
        Exception: of many kinds, if the file is damaged or of something else.
    """
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()[KEY])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return description, {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }


def write_safetensors(
    file: BinaryIO, network: nn.Module, description: dict[str, Any], half: bool = False
) -> None:
    """Write a network's weights and its description (see `Model.describe`).

    Args:
        half: parameters as fp16; what batch norms have counted stays fp32, for its variances may
            lie outside fp16's range.

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
