"""What a network's weights begin with: chance, an encoder's own training, or another checkpoint."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from irodori.config import Config
from irodori.errors import IrodoriError
from irodori.inference.checkpoint import Model, ranges_of, read_checkpoint
from irodori.network.timm_backbone import TimmBackbone
from irodori.training.run_folder import CHECKPOINTS, LAST

SHOWN = 6
"""Parts of a network that a line names."""


def begin(model: Model, config: Config) -> list[str]:
    """Give a network the weights that it begins with; says in lines what they are.

    Nothing is loaded into the network of a run that is gone on with: its checkpoint has all.

    Raises:
        IrodoriError: they can't be had, or don't fit at all.
    """
    backbone = model.network.backbone
    lines = []
    goes_on = config.resume is not None and (Path(config.resume) / CHECKPOINTS / LAST).is_file()
    if isinstance(backbone, TimmBackbone):
        source = "pretrained" if config.backbone.pretrained else "not pretrained"
        if config.backbone.pretrained and not goes_on:
            # Imported here: it asks servers, which other runs needn't load.
            from irodori.pretrained.encoder import encoder_weights

            weights, source = encoder_weights(backbone.name)
            backbone.encoder.load_state_dict(weights)
        lines.append(f"encoder: {backbone.name} · {source}")
    if config.init is not None and not goes_on:
        lines.append(take_over(model, Path(config.init)))
    return lines


def take_over(model: Model, path: Path) -> str:
    """Give a network all layers of a checkpoint that fit by name, shapes and meaning.

    Where the classes differ the last layer of the classification stays new, where the colour space
    does that of the colorization, and where the backbone is another one all of it.

    Returns:
        a line that says what was taken, and what was not.

    Raises:
        IrodoriError: see `read_checkpoint`; or nothing fits.
    """
    description, stored = read_checkpoint(path)
    own = model.network.state_dict()
    other = set()
    if list(model.classes) != description["classes"]:
        other |= last_layer(own, "classification.")
    if model.space.ranges() != ranges_of(description["color_space"]):
        other |= last_layer(own, "colorization.")
    backbones = (model.network.arguments["backbone"], description["network"]["backbone"])
    # Tags behind the name say whose weights it began with.
    if len({name.partition(".")[0] for name in backbones}) > 1:
        other |= {layer_of(name) for name in own if name.startswith("backbone.")}
    # A layer's tensors belong together.
    other |= {
        layer_of(name)
        for name in own.keys() | stored.keys()
        if name not in own or name not in stored or stored[name].shape != own[name].shape
    }
    taken = {name: stored[name] for name in own if layer_of(name) not in other}
    if not taken:
        raise IrodoriError(f"init={path}: nothing of it fits this network")
    model.network.load_state_dict(taken, strict=False)
    line = f"init: {len(taken)} of {len(own)} tensors from {path}"
    new, left = own.keys() - taken.keys(), stored.keys() - taken.keys()
    if new:
        line += f" · new: {parts(new)}"
    if left:
        line += f" · left out: {parts(left)}"
    return line


def layer_of(name: str) -> str:
    """The layer that a tensor of a state dict belongs to."""
    return name.rpartition(".")[0]


def last_layer(weights: dict[str, Tensor], beginning: str) -> set[str]:
    """The last layer of a part of a network; empty if it hasn't this part."""
    layers = [layer_of(name) for name in weights if name.startswith(beginning)]
    return set(layers[-1:])


def parts(names: Iterable[str]) -> str:
    """The parts of a network that tensors belong to, with their number."""
    counts = Counter(".".join(name.split(".")[: 3 if ".layers." in name else 2]) for name in names)
    shown = [f"{part} ({number})" for part, number in sorted(counts.items())]
    more = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    return ", ".join(shown[:SHOWN] + more)
