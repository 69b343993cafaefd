"""Batch norms folded into the layers before them, which then give the normed features at once.

In use a batch norm is the same scale and shift of a channel at every place: norm(Wx + b) =
s·(Wx + b − μ) + β with s = γ/√(σ² + ε), which is (sW)x + s·(b − μ) + β.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from irodori.inference.fast.pairs import Layer, pairs
from irodori.network.decoders import LearnedUpsampling
from irodori.network.heads import Fusion


def fold(network: nn.Module) -> None:
    """Fold all batch norms that stand behind a layer, in place; the others stay as they are.

    Args:
        network: a `JointNetwork` in evaluation mode.
    """
    followed: list[tuple[Layer, _BatchNorm]] = pairs(network)
    for module in network.modules():
        if isinstance(module, Fusion):
            # The norm of the sum of both halves: the layer holds the weights of both.
            followed.append((module.mix, module.norm))
        elif isinstance(module, LearnedUpsampling):
            followed.append((module.convolution, module.norm))
    names = {module: name for name, module in network.named_modules()}
    for layer, norm in followed:
        absorb(layer, norm)
        # timm's hold the activation that comes after them.
        network.set_submodule(names[norm], getattr(norm, "act", nn.Identity()).eval())


@torch.no_grad()
def absorb(layer: Layer, norm: _BatchNorm) -> None:
    """Change a layer so that it gives what the norm makes of its output.

    Args:
        layer: of n·C outputs, which n = 1, or 4 where a pixel shuffle stands between the two: it
            makes one channel of n neighboring outputs.
        norm: of C channels.
    """
    mean_C, variance_C = norm.running_mean, norm.running_var
    assert mean_C is not None
    assert variance_C is not None
    times = len(layer.weight) // len(mean_C)

    def of_outputs(value_C: Tensor) -> Tensor:
        # In float64, since it is done once and rounded once.
        return value_C.double().repeat_interleave(times)

    scale_O = of_outputs(variance_C).add(norm.eps).rsqrt()
    shift_O = -of_outputs(mean_C) if layer.bias is None else layer.bias - of_outputs(mean_C)
    if norm.affine:
        scale_O = scale_O * of_outputs(norm.weight)
    shift_O = scale_O * shift_O
    if norm.affine:
        shift_O = shift_O + of_outputs(norm.bias)
    weight_OI = layer.weight.double().flatten(1) * scale_O[:, None]
    layer.weight.copy_(weight_OI.view_as(layer.weight))
    layer.bias = nn.Parameter(shift_O.to(layer.weight.dtype), requires_grad=False)
