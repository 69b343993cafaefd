"""From a layer of Torch7 to the weights of the same layer in PyTorch."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from irodori.torch7 import values
from irodori.torch7.graph import whole
from irodori.torch7.values import Array, Object, Value
from irodori.utils.errors import IrodoriError

CONVOLUTIONS = frozenset(
    ["nn.SpatialConvolution", "nn.SpatialConvolutionMM", "cudnn.SpatialConvolution"]
)
LINEAR = "nn.Linear"
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def layer_weights(module: Object, target: nn.Conv2d | nn.Linear) -> dict[str, Tensor]:
    """Weight and bias of a convolution or fully connected layer, fp32.

    Args:
        module: of one of the classes `CONVOLUTIONS` or `LINEAR`.
        target: the layer whose sizes, stride and padding it has to have.

    Raises:
        IrodoriError: it hasn't.
    """
    if isinstance(target, nn.Linear):
        shape: tuple[int, ...] = (target.out_features, target.in_features)
    else:
        check_convolution(module, target)
        shape = tuple(target.weight.shape)
    weight = numbers(module.get("weight"), "weight")
    if weight.shape not in (shape, (shape[0], int(np.prod(shape[1:])))):
        raise IrodoriError(f"weights {sizes(weight.shape)} in place of {sizes(shape)}")
    bias = np.zeros(shape[0])
    if module.get("bias") is not None:
        bias = vector(module, "bias", shape[0])
    return {"weight": to_torch(weight.reshape(shape)), "bias": to_torch(bias)}


def check_convolution(module: Object, target: nn.Conv2d) -> None:
    """Raise IrodoriError unless kernel, stride, padding and groups are the target's."""
    padding = number(module, "padding", 0)
    found = {
        name: (number(module, f"{key}H", default), number(module, f"{key}W", default))
        for name, key, default in (
            ("kernel", "k", None),
            ("stride", "d", None),
            ("padding", "pad", padding),
        )
    }
    wanted = {"kernel": target.kernel_size, "stride": target.stride, "padding": target.padding}
    for name, pair in found.items():
        if pair != wanted[name]:
            raise IrodoriError(f"{name} {sizes(pair)} in place of {sizes(wanted[name])}")
    if number(module, "groups", 1) != 1:
        raise IrodoriError("a convolution in groups")


def norm_weights(module: Object | None, target: Norm) -> dict[str, Tensor]:
    """Statistics, weight and bias of a batch norm, fp32; None is no norm: one that does nothing.

    PyTorch's norm divides by √(variance + its own eps). Torch's eps may be another, and its first
    versions stored 1/√(variance + eps), so the variance stored here holds the difference.

    Raises:
        IrodoriError: its size is another, or its numbers can't be a norm's.
    """
    size = target.num_features
    mean, under_root = np.zeros(size), np.ones(size)
    weight, bias = np.ones(size), np.zeros(size)
    if module is not None:
        mean = vector(module, "running_mean", size)
        if module.get("running_var") is not None:
            eps = module.get("eps")
            if not isinstance(eps, float):
                raise IrodoriError("a batch norm without eps")
            under_root = vector(module, "running_var", size) + eps
        else:
            with np.errstate(all="ignore"):
                under_root = vector(module, "running_std", size) ** -2.0
        if not (np.isfinite(under_root) & (under_root > 0)).all():
            raise IrodoriError("a batch norm's variance isn't above 0")
        # Without `affine` both are missing.
        if module.get("weight") is not None:
            weight = vector(module, "weight", size)
        if module.get("bias") is not None:
            bias = vector(module, "bias", size)
    return {
        "weight": to_torch(weight),
        "bias": to_torch(bias),
        "running_mean": to_torch(mean),
        "running_var": to_torch(under_root - target.eps),
        "num_batches_tracked": torch.tensor(0),
    }


def vector(module: Object, name: str, size: int) -> Array:
    """A field that holds `size` numbers, float64."""
    found = numbers(module.get(name), name)
    if found.shape != (size,):
        raise IrodoriError(f"{name} {sizes(found.shape)} in place of {size}")
    return found.astype(np.float64)


def numbers(value: Value, name: str) -> Array:
    """The finite numbers of a tensor of floating point."""
    if not isinstance(value, values.Tensor):
        raise IrodoriError(f"has no {name}")
    found = value.array()
    if found.dtype.kind != "f" or not np.isfinite(found).all():
        raise IrodoriError(f"{name} holds what is no finite number")
    return found


def number(module: Object, name: str, default: int | None) -> int:
    """A field that is a whole number; the default, if there is one, stands for a missing one."""
    value = module.get(name)
    if value is None and default is not None:
        return default
    return whole(value, f"{name} of {module.name}")


def to_torch(array: Array) -> Tensor:
    """A copy as an fp32 tensor.

    Raises:
        IrodoriError: a number is too large for fp32.
    """
    with np.errstate(over="ignore"):
        copied: Any = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        raise IrodoriError("a number is too large for fp32")
    return torch.from_numpy(copied)


def sizes(shape: Any) -> str:
    """A shape as it is read: 3×3."""
    return "×".join(map(str, shape)) or "none"
