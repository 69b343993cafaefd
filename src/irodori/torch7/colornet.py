"""The published network of "Let there be Color!" as a `JointNetwork`, by graph order and shape.

The graph has two inputs, of which one is the photo scaled to 224×224 and goes through fully
connected layers; which one is found from the graph. Low-level layers are found twice, once on each
path, and have to have the same weights.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from irodori.network import JointNetwork
from irodori.network.decoders import ColorizationDecoder
from irodori.network.heads import ACTIVATIONS as FUSIONS
from irodori.network.paper_backbone import PaperBackbone
from irodori.torch7.graph import Input, Layer, Signal, trace, whole
from irodori.torch7.steps import Step, chain
from irodori.torch7.values import Object
from irodori.torch7.values import Tensor as StoredTensor
from irodori.torch7.weights import Norm, layer_weights, norm_weights
from irodori.utils.errors import IrodoriError

LOW, MID, GLOBAL, LINEAR, CLASSES = 6, 2, 4, 3, 2
"""Layers of the paper's networks."""
LINEAR_WIDTH = 1024
"""Outputs of the first fully connected layer in the paper."""
WIDEST = 8
"""Width from which on weights are no file's."""


@dataclass(frozen=True)
class Target:
    """A layer of `JointNetwork` with the norm and activation that follow it.

    Attributes:
        name: in `JointNetwork.state_dict`.
        norm_name: likewise; None where the layer has no norm.
        activations: that it may have.
    """

    name: str
    layer: nn.Conv2d | nn.Linear
    norm_name: str | None
    norm: Norm | None
    activations: tuple[str | None, ...]

    def weights(self, step: Step) -> dict[str, Tensor]:
        """The weights of a layer of Torch7, by their names in `JointNetwork.state_dict`.

        Raises:
            IrodoriError: it isn't such a layer.
        """
        kind = "linear" if isinstance(self.layer, nn.Linear) else "convolution"
        if step.kind != kind:
            raise IrodoriError(f"{self.name}: found a layer of kind {step.kind}, not {kind}")
        if step.activation not in self.activations:
            raise IrodoriError(f"{self.name}: its activation is {step.activation}")
        try:
            found = {
                f"{self.name}.{key}": value
                for key, value in layer_weights(step.layer, self.layer).items()
            }
            if self.norm is not None:
                found |= {
                    f"{self.norm_name}.{key}": value
                    for key, value in norm_weights(step.norm, self.norm).items()
                }
            elif step.norm is not None:
                raise IrodoriError("a batch norm where the paper's network has none")
        except IrodoriError as error:
            raise IrodoriError(f"{self.name}: {error}") from None
        return found


@dataclass(frozen=True)
class Found:
    """The steps of each path of the graph, and what follows from how they are joined."""

    global_steps: list[Step]
    local_steps: list[Step]
    color_steps: list[Step]
    class_steps: list[Step]
    """Empty without classification."""
    local_first: bool
    """Whether fusion takes [local ; global] in place of [global ; local]."""


def to_network(model: Object, input_mean: float) -> JointNetwork:
    """The network of a `gModule`, in evaluation mode.

    Args:
        model: see `irodori.torch7.reader`.
        input_mean: what is subtracted from the luminance before the network.

    Raises:
        IrodoriError: its layers, sizes or connections are others than the paper's at any width.
    """
    found = find(trace(model))
    # Without memory: sizes are believed when the file's weights were found to have them.
    with torch.device("meta"):
        network = JointNetwork(
            number_of_classes(found),
            width=width_of(found),
            fusion=fusion_of(found),
            backbone=PaperBackbone(width_of(found), input_mean=input_mean),
        )
    weights = gather(found, network)
    if found.local_first:
        key = "fusion.mix.weight"
        local = network.backbone.local_channels
        weights[key] = torch.cat([weights[key][:, local:], weights[key][:, :local]], 1)
    network.load_state_dict(weights, assign=True)
    return network.eval()


def find(signal: Signal) -> Found:
    """The paths of a graph's outputs: chrominance, alone or with the scenes."""
    outputs = signal if isinstance(signal, tuple) else (signal,)
    if not all(isinstance(output, Layer) for output in outputs):
        raise IrodoriError("an output of its graph is no layer's")
    chains = [chain(output) for output in outputs if isinstance(output, Layer)]
    colors = [each for each in chains if ends(each[0]) == "convolution"]
    classes = [each for each in chains if ends(each[0]) == "linear"]
    if len(colors) != 1 or len(classes) > 1 or len(outputs) != 1 + len(classes):
        raise IrodoriError("its outputs are not chrominance, or chrominance and scenes")
    color_steps, joint = colors[0]
    if not isinstance(joint, Layer) or len(joint.inputs) != 2:
        raise IrodoriError("nothing joins global and local features")
    check_joint(joint.module)
    first, second = (chain(part) for part in joint.inputs)
    local_first = ends(first[0]) != "linear"
    (global_steps, global_source), (local_steps, local_source) = (
        (second, first) if local_first else (first, second)
    )
    sources = [global_source, local_source, *(source for _, source in classes)]
    if not all(isinstance(source, Input) for source in sources):
        raise IrodoriError("a path through its graph begins at a joint, not at an input")
    if global_source == local_source:
        raise IrodoriError("both paths through its graph begin at the same input")
    check_counts(global_steps, local_steps)
    class_steps = classes[0][0] if classes else []
    if class_steps:
        if sources[2] != sources[0] or len(class_steps) != LOW + GLOBAL + LINEAR - 1 + CLASSES:
            raise IrodoriError("the scenes don't branch off from the global features network")
        if class_steps[-1].activation == "probabilities":
            class_steps[-1].activation = None
    return Found(global_steps, local_steps, color_steps, class_steps, local_first)


def ends(steps: list[Step]) -> str | None:
    """The kind of a chain's last step; None of an empty one."""
    return steps[-1].kind if steps else None


def check_joint(join: Object) -> None:
    """Raise IrodoriError unless a JoinTable joins channels."""
    dimension = whole(join.get("dimension"), "dimension of a JoinTable")
    of = join.get("nInputDims")
    # Of B×C×H×W the second, or the first of C×H×W.
    if (dimension, of) not in ((2, None), (2, 4.0), (1, 3.0), (-3, None)):
        raise IrodoriError(f"features are joined along dimension {dimension}, not as channels")


def check_counts(global_steps: list[Step], local_steps: list[Step]) -> None:
    """Raise IrodoriError unless both paths have as many layers of each kind as the paper's."""
    paths = (
        ("global", global_steps, ["convolution"] * (LOW + GLOBAL) + ["linear"] * LINEAR),
        ("local", local_steps, ["convolution"] * (LOW + MID)),
    )
    for name, steps, kinds in paths:
        if [step.kind for step in steps] != kinds:
            raise IrodoriError(
                f"its {name} path has {len(steps)} layers, or not in the order of the paper's"
                f" {len(kinds)}"
            )


def outputs_of(step: Step) -> int:
    """Number of a layer's outputs, by its weight."""
    weight = step.layer.get("weight")
    if not isinstance(weight, StoredTensor) or not weight.shape:
        raise IrodoriError(f"a {step.layer.name} has no weight")
    return weight.shape[0]


def width_of(found: Found) -> float:
    """The width by the first fully connected layer."""
    width = outputs_of(found.global_steps[LOW + GLOBAL]) / LINEAR_WIDTH
    if not 0 < width <= WIDEST:
        raise IrodoriError(f"its width, {width:g} of the paper's network, is no network's")
    return width


def number_of_classes(found: Found) -> int:
    """Number of scenes; 0 without classification."""
    return outputs_of(found.class_steps[-1]) if found.class_steps else 0


def fusion_of(found: Found) -> Literal["relu", "sigmoid"]:
    """Return the activation of the fusion layer."""
    activation = found.color_steps[0].activation
    if activation == "relu":
        return "relu"
    if activation == "sigmoid":
        return "sigmoid"
    raise IrodoriError(f"its fusion layer's activation is {activation}")


def gather(found: Found, network: JointNetwork) -> dict[str, Tensor]:
    """Weights of all layers, by their names in `JointNetwork.state_dict`."""
    low, mid, deep, linear, color, classes = targets(network)
    pairs = [
        *zip(low + deep + linear, found.global_steps, strict=True),
        *zip(low + mid, found.local_steps, strict=True),
    ]
    plain = [step for step in found.color_steps if step.kind != "enlargement"]
    order = [step.kind == "enlargement" for step in found.color_steps]
    # After fusion: one, enlarged, two, enlarged, two.
    if order != [False, False, True, False, False, True, False, False]:
        raise IrodoriError("its colorization network's layers are not in the paper's order")
    pairs += zip(color, plain, strict=True)
    if found.class_steps:
        pairs += zip(low + deep + linear[:-1] + classes, found.class_steps, strict=True)
    weights: dict[str, Tensor] = {}
    for target, step in pairs:
        for name, value in target.weights(step).items():
            if name not in weights:
                weights[name] = value
            elif not torch.equal(weights[name], value):
                raise IrodoriError(f"{name} is not the same on both paths, which share it here")
    return weights


def targets(network: JointNetwork) -> tuple[list[Target], ...]:
    """Layers of the low-level, mid-level and global networks (convolutions, then fully connected
    ones), of fusion with colorization, and of classification, each in order."""
    backbone, fusion = network.backbone, network.fusion
    assert isinstance(backbone, PaperBackbone)
    assert isinstance(network.colorization, ColorizationDecoder)
    assert fusion is not None
    color = [
        Target("fusion.mix", fusion.mix, "fusion.norm", fusion.norm, tuple(FUSIONS)),
        *blocks("colorization.layers", network.colorization.layers),
    ]
    return (
        blocks("backbone.low", backbone.low),
        blocks("backbone.mid", backbone.mid),
        blocks("backbone.global_convolutions", backbone.global_convolutions),
        [
            *blocks("backbone.global_linear", backbone.global_linear),
            block("backbone.global_output", backbone.global_output),
        ],
        color,
        []
        if network.classification is None
        else blocks("classification.layers", network.classification.layers),
    )


def blocks(name: str, modules: nn.Module) -> list[Target]:
    """The layers of a sequence of blocks; what has no weights is left out."""
    found = []
    for number, module in modules.named_children():
        if isinstance(module, nn.Sequential):
            found.append(block(f"{name}.{number}", module))
        elif isinstance(module, nn.Conv2d):
            found.append(Target(f"{name}.{number}", module, None, None, ("sigmoid",)))
        elif isinstance(module, nn.Linear):
            found.append(Target(f"{name}.{number}", module, None, None, (None,)))
    return found


def block(name: str, module: nn.Sequential) -> Target:
    """A layer with batch norm and ReLU."""
    layer, norm, _ = module
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(norm, Norm)
    return Target(f"{name}.0", layer, f"{name}.1", norm, ("relu",))
