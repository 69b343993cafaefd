"""A faster copy of a network: folded batch norms, channels-last, and bf16 where it is faster.

At inference, a batch norm is a constant scale and shift of each channel: norm(Wx + b) = s·(Wx + b −
μ) + β with s = γ/√(σ² + ε), which equals (sW)x + s·(b − μ) + β.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from irodori.network import JointNetwork
from irodori.network.decoders import LearnedUpsampling
from irodori.network.joint import Fusion
from irodori.utils.cpu import bf16_is_fast_on_cpu, bf16_is_fast_on_gpu
from irodori.utils.errors import IrodoriError

Layer = nn.Conv2d | nn.Linear
PRECISIONS = ("auto", "fp32", "bf16")


def fold(network: nn.Module) -> None:
    """Fold all batch norms that follow a layer, in place.

    Args:
        network: a `JointNetwork` in evaluation mode.
    """
    followed: list[tuple[Layer, _BatchNorm]] = pairs(network)
    for module in network.modules():
        if isinstance(module, Fusion):
            # The norm applies to the sum of both halves of the fusion.
            followed.append((module.mix, module.norm))
        elif isinstance(module, LearnedUpsampling):
            followed.append((module.convolution, module.norm))
    names = {module: name for name, module in network.named_modules()}
    for layer, norm in followed:
        absorb(layer, norm)
        # timm's batch norms include the activation.
        network.set_submodule(names[norm], getattr(norm, "act", nn.Identity()).eval())


@torch.no_grad()
def absorb(layer: Layer, norm: _BatchNorm) -> None:
    """Merge a batch norm into the layer before it.

    Args:
        layer: layer with n·C outputs: n = 1, or 4 with a pixel shuffle between the two, which
            merges n adjacent outputs into one channel.
        norm: batch norm of C channels.
    """
    times = len(layer.weight) // norm.num_features
    mean, variance, scale, shift = (
        None if value_C is None else value_C.double().repeat_interleave(times)
        for value_C in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    assert mean is not None
    assert variance is not None
    # In float64, so that weights are rounded once. The function also accepts linear layers.
    bias = None if layer.bias is None else layer.bias.double()
    weight, shift = fuse_conv_bn_weights(
        layer.weight.double(), bias, mean, variance, norm.eps, scale, shift
    )
    layer.weight.copy_(weight)
    layer.bias = nn.Parameter(shift.to(layer.weight.dtype), requires_grad=False)


def pairs(network: nn.Module) -> list[tuple[Layer, _BatchNorm]]:
    """Return pairs of layers and the batch norms that exclusively consume their outputs.

    They are found by tracing a run of the network: names and order of modules don't tell the data
    flow, and a timm network may use a layer's output twice or modify its weights.

    Args:
        network: network with luminance input, in evaluation mode.
    """
    some = next(network.parameters())
    # The smallest size that every encoder accepts; the global path rescales it.
    luminance_B1HW = torch.zeros(1, 1, 32, 32, dtype=some.dtype, device=some.device)
    with torch.no_grad(), Watch(network) as watch:
        network(luminance_B1HW)
    found: list[tuple[Layer, _BatchNorm]] = []
    for layer, followers in watch.followers.items():
        norm = followers[0] if followers else None
        if norm and set(followers) == {norm} and set(watch.sources[norm]) == {layer}:
            found.append((layer, norm))
    return found


class Watch(TorchFunctionMode):
    """Records how layers' outputs are used while it is active.

    Attributes:
        followers: for each executed layer, the consumers of its outputs: a batch norm, or None for
            anything else.
        sources: for each executed batch norm, the layers whose outputs it consumed; None for other
            tensors.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        modules = list(network.modules())
        self.layers = {id(m.weight): m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)}
        self.norms = {id(m.running_mean): m for m in filter(is_foldable, modules)}
        self.followers: dict[Layer, list[_BatchNorm | None]] = {}
        self.sources: dict[_BatchNorm, list[Layer | None]] = {}
        # Keeps the tensor alive, so that its id isn't reused.
        self.outputs: dict[int, tuple[Layer, Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call `func`, and record the data flow."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if result is not None and next(tensors(result), None) is None:
            return result  # an attribute such as the shape
        norm = self.norms.get(id(args[1])) if func == functional.batch_norm else None
        if norm is not None:
            layer, _ = self.outputs.get(id(args[0]), (None, None))
            self.sources.setdefault(norm, []).append(layer)
        for tensor in tensors((args, kwargs)):
            if id(tensor) in self.outputs:
                self.followers[self.outputs[id(tensor)][0]].append(norm)
        if func in (functional.conv2d, functional.linear):
            # False if the weight is derived from the layer's own, as by weight standardization.
            layer = self.layers.get(id(args[1]))
            if layer is not None:
                self.outputs[id(result)] = (layer, result)
                self.followers.setdefault(layer, [])
        return result


def is_foldable(module: nn.Module) -> TypeGuard[_BatchNorm]:
    """Return whether a module is a batch norm with statistics, possibly timm's with activation."""
    plain = type(module) in (nn.BatchNorm1d, nn.BatchNorm2d)
    with_activation = isinstance(module, _BatchNorm) and hasattr(module, "act")
    return (plain or with_activation) and module.running_mean is not None


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield all tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def faster(network: JointNetwork, precision: str = "auto") -> JointNetwork:
    """Return a faster copy for inference on the same device, which can't be trained or saved.

    Args:
        network: network to copy.
        precision: "fp32", which differs from the network by rounding; "bf16", which differs by well
            below 1 ΔE on average; or "auto": bf16 on devices where it is faster, and otherwise
            fp32.

    Raises:
        IrodoriError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise IrodoriError(
            f"precision={precision} is unknown: choose one of {', '.join(PRECISIONS)}"
        )
    device = next(network.parameters()).device
    # Folded on the CPU, since MPS has no float64.
    copy = deepcopy(network).cpu().eval().requires_grad_(False)
    fold(copy)
    copy = copy.to(device).to(memory_format=torch.channels_last)
    if precision == "auto":
        is_fast = {"cpu": bf16_is_fast_on_cpu, "cuda": bf16_is_fast_on_gpu}.get(device.type)
        precision = "bf16" if is_fast is not None and is_fast() else "fp32"
    if precision == "bf16":
        to_bf16(copy)
    return copy


def to_bf16(network: JointNetwork) -> None:
    """Convert a network to bf16, in place, keeping its fp32 interface.

    Weights are stored in bf16, since autocast would convert them at every call. Luminance is scaled
    and normalized in fp32, since bf16 has only 128 steps from 0.5 to 1; chrominance (see
    `network.output`), its changes by hints, and scene logits are fp32. Global features are bf16 and
    accepted in any precision.
    """
    for part in network.children():
        if part not in (network.output, network.hint_spread):
            part.to(torch.bfloat16)
    network.backbone.first_layer().register_forward_pre_hook(_to_bf16)
    if network.fusion is not None:
        network.fusion.register_forward_pre_hook(_to_bf16)
    if network.classification is not None:
        network.classification.register_forward_hook(lambda _, __, logits_BC: logits_BC.float())


def _to_bf16(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(value.bfloat16() for value in inputs)
