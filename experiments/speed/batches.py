"""Batches as they come after conversion, of random numbers."""

from typing import Any

import torch

SIDE = 224
CHROMA = 2


def random_batch(size: int, classes: int) -> dict[str, Any]:
    """A training batch in a* and b*, on the GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "luminance": torch.rand(size, 1, SIDE, SIDE, device=device),
        "chroma": torch.rand(size, CHROMA, SIDE, SIDE, device=device),
        "labels": torch.randint(0, classes, (size,), device=device),
        "valid": torch.ones(size, dtype=torch.bool, device=device),
        "keys": [str(number) for number in range(size)],
        "bad": [],
        "lost": [],
    }
