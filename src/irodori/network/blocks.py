"""The two layers that the whole network is made of, and the scaling of their widths."""

from torch import Tensor, nn
from torch.nn import functional

from irodori.network import winograd
from irodori.network.recompute import recomputed

CHEAP = 4
"""Input channels up to which a convolution is `recomputed`, too: a thousandth of all operations,
where the features of the first one, at half the photo's size, are an eighth of what is kept."""


def scaled(channels: int, width: float) -> int:
    """Channels of a layer at a width multiplier; `width` 1.0 is the paper's network."""
    return max(1, round(channels * width))


class ConvBlock(nn.Sequential):
    """A convolution, batch norm and ReLU; norm and ReLU are `recomputed` in the backward pass."""

    winograd = False
    """Train by `winograd.convolution`, see `use_winograd`."""

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×H×W → B×outputs×⌈H/s⌉×⌈W/s⌉."""
        convolution, norm, activation = self
        mixed_BCHW: Tensor
        if self.winograd and self.training and isinstance(convolution, nn.Conv2d):
            mixed_BCHW = winograd.convolution(features_BCHW, convolution.weight, convolution.bias)
        elif features_BCHW.shape[1] <= CHEAP:
            mixed_BCHW = recomputed(convolution, convolution, features_BCHW)
        else:
            mixed_BCHW = convolution(features_BCHW)

        return normed(norm, activation, mixed_BCHW)


def normed(norm: nn.Module, activation: nn.Module, mixed_BCHW: Tensor) -> Tensor:
    """A norm and an activation, B×C×H×W; a batch norm and a ReLU are `recomputed`."""

    # A synchronised norm would wait for the other ranks, and a frozen one takes its statistics.
    if type(norm) is not nn.BatchNorm2d or not norm.training or not isinstance(activation, nn.ReLU):
        result_BCHW: Tensor = activation(norm(mixed_BCHW))
        return result_BCHW

    def again(mixed_BCHW: Tensor) -> Tensor:
        return functional.batch_norm(
            mixed_BCHW, None, None, norm.weight, norm.bias, training=True, eps=norm.eps
        )

    return recomputed(norm, again, mixed_BCHW, rectify=True)


def conv_block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> ConvBlock:
    """Convolution with bias, batch norm, ReLU: B×inputs×H×W → B×outputs×⌈H/s⌉×⌈W/s⌉."""
    return ConvBlock(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def linear_block(inputs: int, outputs: int) -> nn.Sequential:
    """Fully connected layer with bias, batch norm, ReLU: B×inputs → B×outputs."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))


def winograd_blocks(network: nn.Module, fewest: int) -> list[ConvBlock]:
    """Blocks whose convolution is faster by Winograd's form.

    Args:
        network: a `JointNetwork`, or a part of one.
        fewest: products of input and output channels, see `winograd`.
    """
    return [
        module
        for name, module in network.named_modules()
        # The paper's global path ends at 14×14 and 7×7 places, too few beside its weights.
        if isinstance(module, ConvBlock)
        and "global_convolutions" not in name
        and isinstance(module[0], nn.Conv2d)
        and winograd.fits(module[0], fewest)
    ]


def use_winograd(network: nn.Module) -> None:
    """Train the convolutions for which that is faster by `winograd.convolution`, in place."""
    for block in winograd_blocks(network, winograd.FEWEST_IN_TRAINING):
        block.winograd = True
