"""Nearest-neighbour enlargement and the 3×3 convolution after it as one smaller convolution."""

import torch
from torch import Tensor, nn

from irodori.network.decoders import Colorization

TAPS = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)
"""Which of three taps in a row meet each of two input places: of even and of odd output places."""


def merge_doublings(colorization: Colorization) -> None:
    """Change a colorization network, in place, so that `Doubling` does its enlargement.

    Args:
        colorization: with folded norms.
    """
    layers = colorization.layers
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Upsample):
            block = layers[place + 1]
            assert isinstance(block, nn.Sequential)
            assert isinstance(block[0], nn.Conv2d)
            block[0] = Doubling(block[0]).eval()
            layers[place] = nn.Identity().eval()


class Doubling(nn.Module):
    """What a 3×3 convolution (with bias, padded by 1) gives at twice the height and width.

    After enlargement, the nine taps of an output place meet no more than 2×2 input places, always
    the same ones for the four kinds of places (even or odd, in height and width). So each kind has
    a 2×2 kernel, sums of the nine weights, at the small size: 4/9 of the multiplications.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight_OIKK = convolution.weight.detach()
        outputs, inputs = weight_OIKK.shape[:2]
        taps = TAPS.to(weight_OIKK.device)
        kernels = torch.einsum("yhk,xwl,oikl->yxoihw", taps, taps, weight_OIKK.double())
        assert convolution.bias is not None
        self.outputs = outputs
        # The four kinds one after another, from one place before to one after the borders.
        self.convolution = nn.Conv2d(inputs, 4 * outputs, 2, padding=1, dtype=weight_OIKK.dtype)
        self.convolution.weight = frozen(kernels.reshape(4 * outputs, inputs, 2, 2), weight_OIKK)
        self.convolution.bias = frozen(convolution.bias.detach().repeat(4), weight_OIKK)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×h×w → B×outputs×2h×2w."""
        height, width = features_BCHW.shape[-2:]
        kinds = self.convolution(features_BCHW).split(self.outputs, dim=1)
        # Each kind begins where its 2×2 input places do.
        double_BCHW = torch.empty(
            (len(features_BCHW), self.outputs, 2 * height, 2 * width),
            dtype=kinds[0].dtype,
            device=kinds[0].device,
            memory_format=torch.channels_last,
        )
        for number, kind_BCHW in enumerate(kinds):
            y, x = divmod(number, 2)
            double_BCHW[..., y::2, x::2] = kind_BCHW[..., y : y + height, x : x + width]
        return double_BCHW


def frozen(value: Tensor, like: Tensor) -> nn.Parameter:
    """A parameter that isn't trained, of the precision and on the device of another tensor."""
    return nn.Parameter(value.to(like), requires_grad=False)
