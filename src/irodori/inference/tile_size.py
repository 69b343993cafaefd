"""How large tiles may be: of a network's memory by pixel."""

from math import isqrt, sqrt

import torch

from irodori.inference.memory import TensorMemory
from irodori.network import JointNetwork

BUDGET = 1 << 30
"""Bytes that the network may take beside its weights and the photo."""
PROBES = (256, 512)
"""Sides in pixels of the two photos whose memory is counted."""
HIDDEN = 1.5
"""Memory allowed for, over that of tensors: convolutions keep copies in layouts of their own. An
estimate, not measured."""


def tile_for(network: JointNetwork, budget: int = BUDGET) -> int:
    """The side in pixels, of whole steps, of the largest square that fits into memory.

    Args:
        network: in evaluation mode.
        budget: bytes that may be taken while the square goes through the network.
    """
    one, other = (_peak(network, side) for side in PROBES)
    pixels = [side * side for side in PROBES]
    # Attention may take memory with the square of the pixels.
    square = max(0.0, (other / pixels[1] - one / pixels[0]) / (pixels[1] - pixels[0]))
    linear = other / pixels[1] - square * pixels[1]
    budget_of_tensors = budget / HIDDEN
    most = 2 * budget_of_tensors / (linear + sqrt(linear**2 + 4 * square * budget_of_tensors))
    step = network.backbone.step
    return max(isqrt(int(most)) // step, 1) * step


@torch.inference_mode()
def _peak(network: JointNetwork, side: int) -> int:
    """Most bytes of tensors at a time while a square goes through the local path."""
    device = next(network.parameters()).device
    luminance_11HW = torch.zeros(1, 1, side, side, device=device)
    global_BC = None
    if network.fusion is not None:
        global_BC = torch.zeros(1, network.backbone.global_channels, device=device)
    with TensorMemory() as memory:
        network.color(luminance_11HW, global_BC)
    peak: int = memory.peak
    return peak
