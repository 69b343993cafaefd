"""Chains of layers as steps: a convolution or fully connected layer with its norm and activation.

A chain goes from one of the network's inputs, or from a joint of two tensors, to a tensor.
"""

from dataclasses import dataclass

from irodori.torch7.graph import JOIN, Input, Layer, whole
from irodori.torch7.values import Object
from irodori.torch7.weights import CONVOLUTIONS, LINEAR
from irodori.utils.errors import IrodoriError

ENLARGING = "nn.SpatialUpSamplingNearest"
NORMS = frozenset(
    f"{library}.{name}"
    for library in ("nn", "cudnn")
    for name in ("BatchNormalization", "SpatialBatchNormalization")
)
ACTIVATIONS = {
    f"{library}.{name}": name.lower() for library in ("nn", "cudnn") for name in ("ReLU", "Sigmoid")
}
PROBABILITIES = frozenset(
    f"{library}.{name}" for library in ("nn", "cudnn") for name in ("SoftMax", "LogSoftMax")
)
"""What may stand after the scene logits, and isn't needed."""


@dataclass
class Step:
    """A layer with weights, what follows it, or an enlargement by two.

    Attributes:
        kind: "convolution", "linear" or "enlargement".
        activation: "relu", "sigmoid", "probabilities", or None.
    """

    kind: str
    layer: Object
    norm: Object | None = None
    activation: str | None = None


def chain(signal: Layer | Input) -> tuple[list[Step], Layer | Input]:
    """The steps to a tensor, and the joint or input that they begin with.

    Raises:
        IrodoriError: a layer isn't where the paper's network has one of its kind.
    """
    layers = []
    while isinstance(signal, Layer) and signal.module.name != JOIN:
        layers.append(signal.module)
        (signal,) = signal.inputs
    steps: list[Step] = []
    for module in reversed(layers):
        last = steps[-1] if steps else None
        if module.name in CONVOLUTIONS:
            steps.append(Step("convolution", module))
        elif module.name == LINEAR:
            steps.append(Step("linear", module))
        elif module.name == ENLARGING:
            factor = whole(module.get("scale_factor"), "scale_factor of an enlargement")
            if factor != 2:
                raise IrodoriError(f"an enlargement by {factor} in place of 2")
            steps.append(Step("enlargement", module))
        elif last is None or last.kind == "enlargement" or last.activation is not None:
            raise IrodoriError(f"a {module.name} that follows no layer with weights")
        elif module.name in NORMS:
            if last.norm is not None:
                raise IrodoriError("two batch norms follow each other")
            last.norm = module
        elif module.name in ACTIVATIONS:
            last.activation = ACTIVATIONS[module.name]
            if module.get("threshold") or module.get("val"):
                raise IrodoriError("a ReLU with a threshold other than 0")
        elif module.name in PROBABILITIES:
            last.activation = "probabilities"
        else:
            raise IrodoriError(f"a {module.name} where the paper's network has none")
    return steps, signal
