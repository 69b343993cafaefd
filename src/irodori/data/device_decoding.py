"""JPEGs that are decoded on the device that trains, by nvJPEG on NVIDIA's GPUs."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from irodori.data.images import common_jpeg_size, decode

_APP14 = b"\xff\xee"
"""Adobe's marker: it may say that the components are R, G and B, and not every decoder listens."""


class Encoded(NamedTuple):
    """A photograph of a batch that isn't decoded yet."""

    place: int
    """In the batch."""
    content: bytes
    name: str
    """Shard and key, for messages."""


def left_to_device(content: bytes, size: tuple[int, int]) -> bool:
    """Whether a file is a common JPEG of that very height and width."""
    # Headers are some hundred bytes long.
    return common_jpeg_size(content) == size and _APP14 not in content[:1024]


def decode_on_device(batch: dict[str, Any]) -> None:
    """Decode what a batch's `encoded` holds into its `images`, on the device that they are on.

    A photograph that can't be decoded gets a line in `bad`, is marked in `valid`, and a valid
    neighbour's pixels stand in for it.
    """
    encoded: list[Encoded] = batch.pop("encoded")
    images_B3HW, valid_B = batch["images"], batch["valid"]
    buffers = [torch.frombuffer(bytearray(one.content), dtype=torch.uint8) for one in encoded]
    decoded: list[Tensor | None] = [None] * len(encoded)
    try:
        if buffers:
            decoded = list(decode_jpeg(buffers, ImageReadMode.RGB, device=images_B3HW.device))
    except RuntimeError:
        pass  # It doesn't say which, so each is tried by itself.
    for one, image_3HW in zip(encoded, decoded, strict=True):
        try:
            images_B3HW[one.place] = decode(one.content) if image_3HW is None else image_3HW
        except RuntimeError as error:
            valid_B[one.place] = False
            batch["bad"].append(f"{one.name}: {error}")
    if not valid_B.all():
        images_B3HW[~valid_B] = images_B3HW[valid_B][0] if valid_B.any() else 0
