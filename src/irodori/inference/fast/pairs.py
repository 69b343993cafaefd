"""Layers that a batch norm directly follows, found by watching a network run once.

Neither the names of modules nor their order say what is computed from what, and a network of timm
may use a layer's output twice, or its weights in another way than as they are.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

Layer = nn.Conv2d | nn.Linear


def pairs(network: nn.Module) -> list[tuple[Layer, _BatchNorm]]:
    """Return layers with the batch norm that takes all of their output, and nothing else.

    Args:
        network: of luminance, in evaluation mode.
    """
    some = next(network.parameters())
    # The smallest size that every encoder takes; the global path scales it to its own.
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
    """Follows the outputs of a network's layers while it is active.

    Attributes:
        followers: of each layer that ran, what took its outputs: a batch norm, or None for
            anything else.
        sources: of each batch norm that ran, the layers whose outputs it took; None for any other
            tensor.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        modules = list(network.modules())
        self.layers = {id(m.weight): m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)}
        self.norms = {id(m.running_mean): m for m in filter(is_foldable, modules)}
        self.followers: dict[Layer, list[_BatchNorm | None]] = {}
        self.sources: dict[_BatchNorm, list[Layer | None]] = {}
        # With the tensor, whose id would otherwise be given to another one.
        self.outputs: dict[int, tuple[Layer, Tensor]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`, and note what goes from where to where."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if result is not None and next(tensors(result), None) is None:
            return result  # It was asked for its shape, or the like.
        norm = self.norms.get(id(args[1])) if func == functional.batch_norm else None
        if norm is not None:
            layer, _ = self.outputs.get(id(args[0]), (None, None))
            self.sources.setdefault(norm, []).append(layer)
        for tensor in tensors((args, kwargs)):
            if id(tensor) in self.outputs:
                self.followers[self.outputs[id(tensor)][0]].append(norm)
        if func in (functional.conv2d, functional.linear):
            # Not so where the weight is made from the layer's own, as by weight standardisation.
            layer = self.layers.get(id(args[1]))
            if layer is not None:
                self.outputs[id(result)] = (layer, result)
                self.followers.setdefault(layer, [])
        return result


def is_foldable(module: nn.Module) -> TypeGuard[_BatchNorm]:
    """Return whether it is a batch norm with statistics, or timm's with an activation."""
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
