"""`Model`: a network with its color space and classes, as stored in checkpoints."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from irodori.color import ColorSpace, to_float, to_uint8
from irodori.config.describable import build, describe
from irodori.network import JointNetwork
from irodori.network.joint import upsample_chroma
from irodori.utils.errors import IrodoriError
from irodori.utils.model_file import FORMAT, read_checkpoint
from irodori.utils.run_files import checkpoint_file

__all__ = ["Model", "build_model", "color_pictures", "load_model", "read_checkpoint"]


@dataclass(frozen=True)
class Model:
    """A network with its color space, scene classes and training metadata.

    Attributes:
        network: network that predicts chrominance in `space` and logits of `classes`.
        space: color space.
        classes: names of the scenes; empty without classification.
        alpha: weight of the classification loss in training.
        mean_ab: mean a* and b* of the training photographs.
        trained_on: name, size and SHA-256 of the training shards, including those of a model used
            for initialization.
    """

    network: JointNetwork
    space: ColorSpace
    classes: tuple[str, ...]
    alpha: float
    mean_ab: tuple[float, float]
    trained_on: tuple[dict[str, Any], ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return the description that `build_model` needs besides the weights, as plain types.

        Raises:
            TypeError: an argument of a part of the network can't be described.
        """
        return {
            "format": FORMAT,
            "network": describe(self.network),
            "color_space": {**describe(self.space), "ranges": self.space.ranges()},
            "alpha": self.alpha,
            "mean_ab": list(self.mean_ab),
            "classes": list(self.classes),
            "trained_on": list(self.trained_on),
        }


def load_model(path: str | Path, trust: Sequence[str] = ()) -> Model:
    """Load a model from a checkpoint, on the CPU and in evaluation mode.

    Args:
        path: run folder, checkpoint, or safetensors file of `irodori export`.
        trust: names of packages besides irodori whose classes the checkpoint may use.

    Raises:
        IrodoriError: see `checkpoint_file`, `read_checkpoint` and `build_model`.
    """
    path = checkpoint_file(Path(path))
    description, weights = read_checkpoint(path)
    try:
        return build_model(description, weights, trust)
    except IrodoriError as error:
        raise IrodoriError(f"{path}: {error}") from None
    except Exception as error:
        # Any exception, since the description may come from anyone.
        reason = shorten(str(error), 200, placeholder="…") or type(error).__name__
        raise IrodoriError(f"{path}: its description and weights don't match: {reason}") from None


def build_model(
    description: dict[str, Any], weights: dict[str, Tensor], trust: Sequence[str] = ()
) -> Model:
    """Build a model from a description (see `Model.describe`) and weights.

    The network is built on the meta device and compared with the weights, which are then assigned
    without copying.

    Raises:
        IrodoriError: a class isn't trusted (see `describable.build`), the description has other
            ranges of the color space, or it doesn't match the weights.
        Exception: of many kinds, if the description is damaged.
    """
    space = build_space(description["color_space"], trust)
    with _Uninitialized():
        try:
            with torch.device("meta"):
                network = build(description["network"], trust)
        except (NotImplementedError, RuntimeError):
            if not trust:
                raise
            # Custom classes may need values, which the meta device doesn't have.
            network = build(description["network"], trust)
        if not isinstance(network, JointNetwork):
            raise IrodoriError(f"describes a {type(network).__name__}, not a JointNetwork")
        for name, found, wanted in (
            ("classes", len(description["classes"]), network.arguments["num_classes"]),
            ("chroma channels", space.chroma_channels, network.chroma_channels),
        ):
            if found != wanted:
                raise IrodoriError(f"has {found} {name}, but its network has {wanted}")
        wanted = network.state_dict()
        check_shapes(wanted, weights)
        if trust or {name for name, _ in network.named_buffers()} - wanted.keys():
            # It has tensors that are not part of the weights.
            network = build(description["network"], trust)
    weights = {name: weight.to(wanted[name].dtype) for name, weight in weights.items()}
    network.load_state_dict(weights, assign=True)
    first, second = description["mean_ab"]
    return Model(
        network.eval(),
        space,
        tuple(map(str, description["classes"])),
        float(description["alpha"]),
        (float(first), float(second)),
        tuple(description.get("trained_on", ())),
    )


class _Uninitialized(TorchFunctionMode):
    """Skips the functions of torch.nn.init, since all weights are loaded afterwards.

    On the meta device they would import torch's compiler, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, or return its tensor unchanged."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def build_space(description: dict[str, Any], trust: Sequence[str] = ()) -> ColorSpace:
    """Build the color space of a description.

    Raises:
        IrodoriError: its class isn't trusted, or its ranges have changed.
    """
    space = build({key: part for key, part in description.items() if key != "ranges"}, trust)
    name = type(space).__name__
    if not isinstance(space, ColorSpace):
        raise IrodoriError(f"describes a {name}, not a color space")
    own = space.ranges()
    for key, stored in description["ranges"].items():
        if own.get(key, stored) != stored:
            raise IrodoriError(f"was trained with other ranges of {name}: {key}={stored}")
    return space


def check_shapes(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Raise IrodoriError unless weights have the names and shapes that a network expects."""
    if names := wanted.keys() - found.keys():
        raise IrodoriError(f"lacks {len(names)} tensors, such as {min(names)}")
    if names := found.keys() - wanted.keys():
        raise IrodoriError(f"has {len(names)} tensors too many, such as {min(names)}")
    for name, tensor in wanted.items():
        shape = tuple(found[name].shape)
        if tensor.shape != shape:
            raise IrodoriError(
                f"{name} has the shape {shape}, but its description asks for {tuple(tensor.shape)}"
            )


@torch.no_grad()
def color_pictures(
    network: Callable[[Tensor], tuple[Tensor, Tensor | None]],
    space: ColorSpace,
    images: list[Tensor],
    own_luminance: bool = True,
) -> tuple[list[Tensor], Tensor | None]:
    """Colorize pictures, each at its own size; pictures of equal size form a batch.

    Args:
        network: `JointNetwork` in evaluation mode.
        space: color space of the network.
        images: N pictures, each 3×H×W uint8 RGB, of which only the luminance is used.
        own_luminance: False uses the luminance predicted by the network, in spaces that contain one
            (`ColorSpace.as_predicted`).

    Returns:
        N pictures of the same sizes, 3×H×W uint8 RGB, and N×num_classes logits (None without
        classification).
    """
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_size[tuple(image.shape[-2:])].append(index)
    colored: dict[int, Tensor] = {}
    logits: dict[int, Tensor] = {}
    for (height, width), indices in by_size.items():
        luminance_B1HW, _ = space.encode(to_float(torch.stack([images[i] for i in indices])))
        chroma_BCHW, logits_BC = network(luminance_B1HW)
        full_BCHW = upsample_chroma(chroma_BCHW, height, width)
        if own_luminance:
            rgb_B3HW = space.decode(luminance_B1HW, full_BCHW)
        else:
            rgb_B3HW = space.as_predicted(full_BCHW)
        colored.update(zip(indices, to_uint8(rgb_B3HW), strict=True))
        if logits_BC is not None:
            logits.update(zip(indices, logits_BC.float(), strict=True))
    order = range(len(images))
    stacked = torch.stack([logits[index] for index in order]) if logits else None
    return [colored[index] for index in order], stacked
