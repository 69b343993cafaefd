"""Initializing weights from pretrained encoders or another checkpoint."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from irodori.model import Model, read_checkpoint
from irodori.network import JointNetwork
from irodori.training.settings import EncoderTraining
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import checkpoint_file

SHOWN = 6
"""Largest number of parts of a network named in a message."""


def initialize_encoder(model: Model, encoder: EncoderTraining, load: bool) -> list[str]:
    """Load a backbone's pretrained weights, and freeze its encoder if configured.

    Args:
        model: model to be trained.
        encoder: settings of the encoder's training.
        load: False for a resumed run, whose checkpoint has all weights.

    Returns:
        Messages with the source of the encoder's weights; empty for a backbone without encoder.

    Raises:
        IrodoriError: the weights are unavailable, or there are encoder settings but no encoder.
    """
    backbone = model.network.backbone
    if backbone.encoder is None:
        for name, value in vars(EncoderTraining()).items():
            if getattr(encoder, name) != value:
                raise IrodoriError(
                    f"encoder.{name}={getattr(encoder, name)} needs a pretrained encoder, but this"
                    " backbone has none: leave it out, or choose another backbone"
                )
        return []
    name = backbone.arguments.get("name", type(backbone).__name__)
    source = "pretrained" if encoder.pretrained else "not pretrained"
    if encoder.pretrained and load:
        source = backbone.load_pretrained()
    if encoder.freeze_steps < 0:
        backbone.encoder.requires_grad_(False)
        source += ", frozen"
    return [f"encoder: {name} · {source}"]


def load_matching_weights(model: Model, path: Path) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Load the layers of a checkpoint that match a network by name, shape and meaning.

    If the classes differ, the last layer of the classification is not loaded; if the color space
    differs, the last layer of the colorization; if the backbone differs, the whole backbone.

    Returns:
        A message about loaded and skipped layers, and the checkpoint's `trained_on`.

    Raises:
        IrodoriError: see `checkpoint_file` and `read_checkpoint`; or no layer matches.
    """
    path = checkpoint_file(path)
    description, stored = read_checkpoint(path)
    own, wanted = model.network.state_dict(), model.describe()

    def layers(prefix: str) -> list[str]:
        return [_layer_of(name) for name in own if name.startswith(prefix)]

    # The tensors of a layer are loaded together.
    new_layers = {
        _layer_of(name)
        for name in own.keys() | stored.keys()
        if name not in own or name not in stored or stored[name].shape != own[name].shape
    }
    if wanted["classes"] != description["classes"]:
        new_layers.update(layers("classification.")[-1:])
    if wanted["color_space"] != description["color_space"]:
        new_layers.add(_last_layer(model.network))
    if _backbone(wanted) != _backbone(description):
        new_layers.update(layers("backbone."))
    loaded = {name: stored[name] for name in own if _layer_of(name) not in new_layers}
    if not loaded:
        raise IrodoriError(f"init={path}: no layer matches this network")
    model.network.load_state_dict(loaded, strict=False)
    line = f"init: {len(loaded)} of {len(own)} tensors from {path}"
    for title, tensors in (("new", own), ("left out", stored)):
        if others := tensors.keys() - loaded.keys():
            line += f" · {title}: {_parts(others)}"
    return line, tuple(description.get("trained_on", ()))


def _last_layer(network: JointNetwork) -> str:
    """Return the name of the decoder's layer that makes the prediction: the last that is called.

    It needn't be the last of the decoder's weights.
    """
    called: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, module in network.named_modules()
        if name.startswith("colorization.")
        and next(module.parameters(recurse=False), None) is not None
    ]
    training = network.training
    network.eval()
    side = 2 * network.backbone.step
    with torch.no_grad():
        network.predict(next(network.parameters()).new_zeros(1, 1, side, side))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return called[-1]


def _backbone(description: dict[str, Any]) -> tuple[str, str]:
    """Return class and name of a description's backbone, without the tag of pretrained weights."""
    backbone = description["network"].get("backbone") or {}
    return backbone.get("_target_", ""), str(backbone.get("name", "")).partition(".")[0]


def _layer_of(name: str) -> str:
    """Return the layer that a tensor of a state dict belongs to."""
    return name.rpartition(".")[0]


def _parts(names: Iterable[str]) -> str:
    """Return the parts of a network that tensors belong to, with the number of tensors."""
    counts = Counter(".".join(name.split(".")[: 3 if ".layers." in name else 2]) for name in names)
    parts = [f"{part} ({number})" for part, number in sorted(counts.items())]
    more = [f"and {len(parts) - SHOWN} more"] if len(parts) > SHOWN else []
    return ", ".join(parts[:SHOWN] + more)
