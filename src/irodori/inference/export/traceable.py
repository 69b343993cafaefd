"""A network as one graph for pictures of any size."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.network import JointNetwork


class Traceable(nn.Module):
    """`JointNetwork.forward` without Python code that depends on the picture's size.

    The network itself doesn't scale a picture that has the global path's size already. A trace
    would keep one of the two ways for all sizes.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, luminance_B1HW: Tensor) -> tuple[Tensor, ...]:
        """Map luminance in [0,1] to chrominance B×C×⌈H/2⌉×⌈W/2⌉, and logits with scenes."""
        global_BC, logits_BC = global_features(self.network, luminance_B1HW)
        chroma_BCHW = self.network.color(luminance_B1HW, global_BC)
        return (chroma_BCHW,) if logits_BC is None else (chroma_BCHW, logits_BC)


def global_features(
    network: JointNetwork, luminance_B1HW: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return the global features and the scene logits of luminance of any size."""
    if network.fusion is None:
        return None, None
    size = network.backbone.input_size
    return network.global_features(scaled_by_products(luminance_B1HW, *size))


def scaled_by_products(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """Do what `network.backbone.scaled_to` does by two matrix products, which any format has."""
    rows_hH = bilinear_weights(luminance_B1HW.shape[-2], height, luminance_B1HW)
    columns_wW = bilinear_weights(luminance_B1HW.shape[-1], width, luminance_B1HW)
    return rows_hH @ (luminance_B1HW @ columns_wW.T)


def bilinear_weights(size: int, wanted: int, like: Tensor) -> Tensor:
    """Return the matrix wanted×size of bilinear scaling with antialiasing along one side.

    Each position sees a triangle around its center, as wide as the reduction, as in Pillow and
    torch.

    Args:
        size: may be symbolic.
        wanted: the size to scale to.
        like: of this precision and device.
    """
    scale = size / wanted
    centers_w1 = (torch.arange(wanted, dtype=like.dtype, device=like.device)[:, None] + 0.5) * scale
    positions_S = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    reach: Any = torch.sym_max(scale, 1.0)
    distances_wS = (positions_S - centers_w1).abs() / reach
    weights_wS = (1 - distances_wS).clamp(min=0)
    normalized_wS: Tensor = weights_wS / weights_wS.sum(1, keepdim=True)
    return normalized_wS


class StaticPadding(nn.Module):
    """A layer of timm with TensorFlow's padding, of features that its stride divides.

    timm's own computes the padding from the size, and tracing that for all sizes takes minutes.

    Args:
        layer: a convolution or pooling whose forward pads.
        plain: what computes the layer of padded features.
        value: what is padded with.
    """

    def __init__(self, layer: Any, plain: Any, value: float = 0.0) -> None:
        super().__init__()
        self.layer, self.plain, self.value = layer, plain, value
        self.padding: list[int] = []
        for kernel, stride, dilation in zip(
            *map(pair, (layer.kernel_size, layer.stride, getattr(layer, "dilation", 1))),
            strict=True,
        ):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            # torch wants the last dimension first.
            self.padding[:0] = [total // 2, total - total // 2]

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Map B×inputs×H×W to B×outputs×H/s×W/s."""
        padded_BCHW = functional.pad(features_BCHW, self.padding, value=self.value)
        result_BCHW: Tensor = self.plain(self.layer, padded_BCHW)
        return result_BCHW


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return a setting for height and width."""
    return (value, value) if isinstance(value, int) else value


def use_static_padding(network: nn.Module) -> None:
    """Change a network, in place, so that no padding depends on the size of the picture.

    Features have sizes that all strides divide, since a backbone extends photos to whole steps.
    """
    for name, module in list(network.named_modules()):
        # By name, so that timm is only imported for its models.
        if type(module).__name__ == "Conv2dSame":
            network.set_submodule(name, StaticPadding(module, _convolved).eval())
        elif type(module).__name__ == "MaxPool2dSame":
            network.set_submodule(name, StaticPadding(module, _pooled, -torch.inf).eval())


def _convolved(layer: nn.Conv2d, padded_BCHW: Tensor) -> Tensor:
    return functional.conv2d(
        padded_BCHW, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups
    )


def _pooled(layer: nn.MaxPool2d, padded_BCHW: Tensor) -> Tensor:
    return functional.max_pool2d(padded_BCHW, layer.kernel_size, layer.stride, 0, layer.dilation)
