"""A network as one graph for pictures of any size."""

from typing import Any

import torch
from torch import Tensor, nn

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


def use_static_padding(network: nn.Module) -> None:
    """Change a network, in place, so that no padding depends on the size of the picture.

    timm's layers with TensorFlow's padding compute it from the size, and tracing that for all sizes
    takes minutes. Features have sizes that all strides divide, since a backbone extends photos to
    whole steps.
    """
    for name, layer in list(network.named_modules()):
        # By name, so that timm is only imported for its models.
        kind = type(layer).__name__
        if kind not in ("Conv2dSame", "MaxPool2dSame"):
            continue
        same: Any = layer
        shape = same.kernel_size, same.stride, 0, same.dilation
        padding: Any = []
        for kernel, stride, dilation in zip(*shape[:2], same.dilation, strict=True):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            # torch wants the last dimension first.
            padding[:0] = [total // 2, total - total // 2]
        plain: nn.Module = nn.MaxPool2d(*shape)
        if kind == "Conv2dSame":
            plain = nn.Conv2d(same.in_channels, same.out_channels, *shape, same.groups)
            plain.weight, plain.bias = same.weight, same.bias
        pad = nn.ConstantPad2d(padding, 0.0 if kind == "Conv2dSame" else -torch.inf)
        network.set_submodule(name, nn.Sequential(pad, plain).eval())
