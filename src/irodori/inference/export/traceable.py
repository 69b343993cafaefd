"""Adapting a network for tracing with dynamic sizes."""

from typing import Any

import torch
from torch import Tensor, nn

from irodori.network import JointNetwork


class Traceable(nn.Module):
    """`JointNetwork.forward` without Python code that depends on the picture's size.

    The network skips scaling if a picture already has the global path's size, and a trace would
    keep only one of the two branches.

    Args:
        network: network in evaluation mode.
    """

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, luminance_B1HW: Tensor) -> tuple[Tensor, ...]:
        """Map luminance in [0,1] to chrominance B×C×⌈H/2⌉×⌈W/2⌉ and, with scenes, logits."""
        global_BC, logits_BC = global_features(self.network, luminance_B1HW)
        chroma_BCHW = self.network.color(luminance_B1HW, global_BC)
        return (chroma_BCHW,) if logits_BC is None else (chroma_BCHW, logits_BC)


def global_features(
    network: JointNetwork, luminance_B1HW: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return global features and scene logits for luminance of any size."""
    if network.fusion is None:
        return None, None
    size = network.backbone.input_size
    return network.global_features(scaled_by_products(luminance_B1HW, *size))


def scaled_by_products(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """`network.backbone.scaled_to` as two matrix products, which all formats support."""
    rows_hH = bilinear_weights(luminance_B1HW.shape[-2], height, luminance_B1HW)
    columns_wW = bilinear_weights(luminance_B1HW.shape[-1], width, luminance_B1HW)
    return rows_hH @ (luminance_B1HW @ columns_wW.T)


def bilinear_weights(size: int, wanted: int, like: Tensor) -> Tensor:
    """Return the wanted×size matrix of antialiased bilinear scaling along one dimension.

    As in Pillow and torch, the filter is a triangle whose width is the reduction factor.

    Args:
        size: original size, may be symbolic.
        wanted: target size.
        like: tensor with the dtype and device of the result.
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
    """Replace padding that depends on the picture's size, in place.

    timm's layers with TensorFlow-style padding compute it from the size, which takes minutes to
    trace dynamically. Here all strides divide the sizes of features, since the backbone pads its
    input.
    """
    for name, layer in list(network.named_modules()):
        # By name, so that timm is imported only for its models.
        kind = type(layer).__name__
        if kind not in ("Conv2dSame", "MaxPool2dSame"):
            continue
        same: Any = layer
        shape = same.kernel_size, same.stride, 0, same.dilation
        padding: Any = []
        for kernel, stride, dilation in zip(*shape[:2], same.dilation, strict=True):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            # torch's order of padding starts with the last dimension.
            padding[:0] = [total // 2, total - total // 2]
        plain: nn.Module = nn.MaxPool2d(*shape)
        if kind == "Conv2dSame":
            plain = nn.Conv2d(same.in_channels, same.out_channels, *shape, same.groups)
            plain.weight, plain.bias = same.weight, same.bias
        pad = nn.ConstantPad2d(padding, 0.0 if kind == "Conv2dSame" else -torch.inf)
        network.set_submodule(name, nn.Sequential(pad, plain).eval())
