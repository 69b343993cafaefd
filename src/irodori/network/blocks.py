"""Basic layers of the networks, and the scaling of widths."""

from torch import nn


def scaled(channels: int, width: float) -> int:
    """Scale a number of channels by a width multiplier; 1.0 is the paper's network."""
    return max(1, round(channels * width))


def conv_block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return convolution with bias, batch norm, ReLU: B×inputs×H×W → B×outputs×⌈H/s⌉×⌈W/s⌉."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def linear_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a linear layer with bias, batch norm, ReLU: B×inputs → B×outputs."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))
