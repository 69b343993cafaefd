"""Converting the published network of "Let there be Color!" to a `JointNetwork`.

Layers are matched by order and shape. The graph has two inputs; one of them, the photo scaled to
224×224, leads to fully connected layers, by which it is recognized. Low-level layers appear on both
paths and must have the same weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from irodori.color import LumaAb
from irodori.model import Model
from irodori.network import JointNetwork
from irodori.network.paper_backbone import PaperBackbone
from irodori.torch7.graph import Layer, Signal, trace
from irodori.torch7.reader import Object, Table, Value, read
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

NAMES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("SpatialConvolution", "SpatialConvolutionMM"),
    nn.Linear: ("Linear",),
    nn.BatchNorm1d: ("BatchNormalization",),
    nn.BatchNorm2d: ("SpatialBatchNormalization",),
    nn.ReLU: ("ReLU",),
    nn.Sigmoid: ("Sigmoid",),
    nn.Upsample: ("SpatialUpSamplingNearest",),
    nn.Softmax: ("SoftMax", "LogSoftMax"),
}
"""Torch7's layers, without the name of the library (nn or cudnn)."""
LINEAR_WIDTH = 1024
"""Number of outputs of the paper's first fully connected layer."""
WIDEST = 4


def to_network(model: Object, input_mean: float) -> JointNetwork:
    """Convert a `gModule` to a network in evaluation mode.

    Args:
        model: `gModule`, see `irodori.torch7.reader`.
        input_mean: mean that is subtracted from the luminance.

    Raises:
        IrodoriError: its layers, sizes or connections differ from the paper's at any width.
    """
    signal = trace(model)
    outputs = signal if isinstance(signal, tuple) else (signal,)
    chains = [chain(output) for output in outputs]
    colors = [found for found in chains if isinstance(found[1], Layer)]
    classes = [found for found in chains if not isinstance(found[1], Layer)]
    if len(colors) != 1 or len(classes) > 1:
        raise IrodoriError("its outputs are not chrominance, or chrominance and scenes")
    color_path, joint = colors[0]
    assert isinstance(joint, Layer)
    # Channel dimension of B×C×H×W, or of C×H×W.
    if (joint.module.get("dimension"), joint.module.get("nInputDims")) not in (
        *((2, None), (2, 4), (1, 3), (-3, None)),
    ):
        raise IrodoriError("global and local features are not joined as channels")
    if len(joint.inputs) != 2:
        raise IrodoriError("other features than global and local ones are joined")
    paths = [chain(part) for part in joint.inputs]
    local_first = not any(is_a(module, nn.Linear) for module in paths[0][0])
    (global_path, global_input), (local_path, local_input) = paths[::-1] if local_first else paths
    class_path, class_input = classes[0] if classes else ([], global_input)
    if isinstance(global_input, Layer) or {global_input, local_input} != {1, 2}:
        raise IrodoriError("its paths don't start at the two inputs of its graph")
    if class_input != global_input:
        raise IrodoriError("the scenes don't branch off from the global features network")

    widths = [len(array(m, "weight")) for m in global_path if is_a(m, nn.Linear)]
    scenes = [len(array(m, "weight")) for m in class_path if is_a(m, nn.Linear)]
    if not widths or not 0 < widths[0] <= WIDEST * LINEAR_WIDTH:
        raise IrodoriError("its first fully connected layer doesn't match the paper's at any width")
    width = widths[0] / LINEAR_WIDTH
    activations = [m for m in color_path if is_a(m, nn.ReLU) or is_a(m, nn.Sigmoid)]
    fusion = "sigmoid" if activations and is_a(activations[0], nn.Sigmoid) else "relu"
    network = JointNetwork(
        scenes[-1] if scenes else 0,
        width=width,
        fusion=cast(Literal["relu", "sigmoid"], fusion),
        backbone=PaperBackbone(width, input_mean=input_mean),
    )
    backbone, mixed = network.backbone, network.fusion
    assert isinstance(backbone, PaperBackbone)
    assert mixed is not None
    scene_layers = [backbone.low, backbone.global_convolutions, backbone.global_linear]
    color_layers = [mixed.mix, mixed.norm, mixed.activation, network.colorization, nn.Sigmoid()]
    weights: dict[nn.Module, dict[str, Tensor]] = {}
    match("global path", global_path, [*scene_layers, backbone.global_output], weights)
    match("local path", local_path, [backbone.low, backbone.mid], weights)
    match("colorization", color_path, color_layers, weights)
    if network.classification is not None:
        class_layers = [*scene_layers, network.classification, nn.Softmax(1)]
        match("classification", class_path, class_layers, weights)
    if local_first:
        weight = weights[mixed.mix]["weight"]
        local = backbone.local_channels
        weights[mixed.mix]["weight"] = torch.cat([weight[:, local:], weight[:, :local]], 1)
    for layer, tensors in weights.items():
        layer.load_state_dict(tensors)
    return network.eval()


def chain(signal: Signal) -> tuple[list[Object], Signal]:
    """Return the layers that lead to a tensor, in order, and the join or input before them."""
    modules: list[Object] = []
    while isinstance(signal, Layer) and signal.module.name != "nn.JoinTable":
        modules.insert(0, signal.module)
        (signal,) = signal.inputs
    return modules, signal


def is_a(module: Object, kind: type[nn.Module]) -> bool:
    """Return whether a Torch7 layer corresponds to this PyTorch class."""
    return module.name.partition(".")[2] in NAMES[kind]


def match(
    path: str,
    modules: Sequence[Object],
    parts: Sequence[nn.Module],
    weights: dict[nn.Module, dict[str, Tensor]],
) -> None:
    """Match the layers of a path, and add their weights to `weights`.

    Args:
        path: name of the path in messages.
        modules: layers in the file. Batch norms and a final softmax may be missing.
        parts: the corresponding layers in PyTorch, or containers of them.
        weights: weights found so far.

    Raises:
        IrodoriError: a layer differs, or its weights differ between paths.
    """
    layers = [m for part in parts for m in part.modules() if type(m) in NAMES]
    left = list(modules)
    for layer in layers:
        module = left[0] if left and is_a(left[0], type(layer)) else None
        optional = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.Softmax)
        if module is not None:
            del left[0]
        elif not optional:
            found = left[0].name if left else "nothing"
            raise IrodoriError(f"{path}: {found} where the paper has a {type(layer).__name__}")
        try:
            tensors = tensors_of(module, layer)
        except IrodoriError as error:
            name = module.name if module else "no batch norm"
            number = len(modules) - len(left)
            raise IrodoriError(f"{path}, layer {number} ({name}): {error}") from None
        if tensors:
            before = weights.setdefault(layer, tensors)
            if any(not torch.equal(before[name], tensors[name]) for name in tensors):
                raise IrodoriError(f"{path}: its weights differ from the path that shares them")
    if left:
        raise IrodoriError(f"{path}: {left[0].name} after the paper's last layer")


def tensors_of(module: Object | None, layer: nn.Module) -> dict[str, Tensor]:
    """Return a layer's weights by PyTorch's names; None is an identity norm."""
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return norm_tensors(module, layer)
    if module is None:
        return {}
    if isinstance(layer, nn.Conv2d | nn.Linear):
        shape = tuple(layer.weight.shape)
        if isinstance(layer, nn.Conv2d):
            check_convolution(module, layer)
        weight = array(module, "weight")
        if weight.shape not in (shape, (shape[0], int(np.prod(shape[1:])))):
            raise IrodoriError(f"weights {weight.shape} instead of {shape}")
        bias = vector(module, "bias", shape[0], 0.0)
        return {"weight": to_torch(weight.reshape(shape)), "bias": to_torch(bias)}
    if isinstance(layer, nn.Upsample) and module.get("scale_factor") != 2:
        raise IrodoriError(f"upsampling by {module.get('scale_factor')} instead of 2")
    if isinstance(layer, nn.ReLU) and (module.get("threshold") or module.get("val")):
        raise IrodoriError("a threshold other than 0")
    return {}


def check_convolution(module: Object, layer: nn.Conv2d) -> None:
    """Raise IrodoriError unless kernel, stride, padding and groups match the layer."""
    padding = module.get("padding") or 0
    for name, key, default, wanted in (
        ("kernel", "k", None, layer.kernel_size),
        ("stride", "d", None, layer.stride),
        ("padding", "pad", padding, layer.padding),
    ):
        found = tuple(module.fields.get(f"{key}{side}", default) for side in "HW")
        if found != wanted:
            raise IrodoriError(f"{name} {found} instead of {wanted}")
    if module.get("groups") not in (None, 1):
        raise IrodoriError("a grouped convolution")


def norm_tensors(
    module: Object | None, layer: nn.BatchNorm1d | nn.BatchNorm2d
) -> dict[str, Tensor]:
    """Return the weights and statistics of a batch norm.

    PyTorch's norm divides by √(variance + eps) with its own eps. Torch's eps may differ, and early
    versions stored 1/√(variance + eps); the returned variance compensates for this.
    """
    size = layer.num_features
    if module is None:
        fields = {"eps": 0.0, "running_mean": np.zeros(size), "running_var": np.ones(size)}
        module = Object("no batch norm", Table(fields))
    if module.get("running_var") is not None:
        eps = module.get("eps")
        if not isinstance(eps, float):
            raise IrodoriError("a batch norm without eps")
        variance_and_eps = vector(module, "running_var", size) + eps
    else:
        with np.errstate(all="ignore"):
            variance_and_eps = vector(module, "running_std", size) ** -2.0
    if not (np.isfinite(variance_and_eps) & (variance_and_eps > 0)).all():
        raise IrodoriError("a batch norm's variance isn't positive")
    return {
        # Both are missing without `affine`.
        "weight": to_torch(vector(module, "weight", size, 1.0)),
        "bias": to_torch(vector(module, "bias", size, 0.0)),
        "running_mean": to_torch(vector(module, "running_mean", size)),
        "running_var": to_torch(variance_and_eps - layer.eps),
        "num_batches_tracked": torch.tensor(0),
    }


def vector(module: Object, name: str, size: int, default: float | None = None) -> NDArray[Any]:
    """Return a field of `size` numbers as float64; a default replaces a missing field."""
    if default is not None and module.get(name) is None:
        return np.full(size, default)
    found = array(module, name)
    if found.shape != (size,):
        raise IrodoriError(f"{name} {found.shape} instead of {size}")
    return found.astype(np.float64)


def array(module: Object, name: str) -> NDArray[Any]:
    """Return the finite floating-point numbers of a field."""
    found = module.get(name)
    if not isinstance(found, np.ndarray) or not found.size:
        raise IrodoriError(f"has no {name}")
    if found.dtype.kind != "f" or not np.isfinite(found).all():
        raise IrodoriError(f"{name} contains non-finite numbers")
    return found


def to_torch(numbers: NDArray[Any]) -> Tensor:
    """Return a copy in fp32. Raises IrodoriError if a number is too large for fp32."""
    with np.errstate(over="ignore"):
        copied = np.array(numbers, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        raise IrodoriError("a number is too large for fp32")
    return torch.from_numpy(copied)


def import_weights(file: Path, output: Path, overwrite: bool) -> Model:
    """Convert the network in a Torch7 file to a checkpoint, and return the model.

    Args:
        file: Torch7 file of a table with the network (nngraph) and the mean of its input.
        output: checkpoint to write; folders are created if necessary.
        overwrite: replace an existing output.

    Raises:
        IrodoriError: the file has other content, or `output` already exists.
        OSError: a file can't be read or written.
    """
    if output.exists() and not overwrite:
        raise IrodoriError(f"{output} already exists; choose another --output, or --overwrite it")
    model = read_model(file)
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    with replacing(output) as opened:
        torch.save({"irodori": model.describe(), "state_dict": weights}, opened)
    return model


def read_model(file: Path) -> Model:
    """Read the model in a Torch7 file.

    The file contains neither names of scenes, which are numbered instead, nor the mean color of the
    training photographs, which is set to gray.

    Raises:
        IrodoriError: see `import_weights`.
        OSError: the file can't be read.
    """
    try:
        model, mean = network_and_mean(read(file.read_bytes()))
        network = to_network(model, mean)
    except IrodoriError as error:
        raise IrodoriError(f"{file}: {error}") from None
    classes = tuple(f"class {n}" for n in range(1, network.arguments["num_classes"] + 1))
    return Model(network, LumaAb(), classes, 0.0, (0.0, 0.0))


def network_and_mean(content: Value) -> tuple[Object, float]:
    """Return the network in a file's table, and the only number or the one named a mean."""
    entries = content.items() if isinstance(content, Table) else ()
    models = [x for _, x in entries if isinstance(x, Object) and x.name == "nn.gModule"]
    if len(models) != 1:
        raise IrodoriError(f"expected a table with one network (gModule), found {len(models)}")
    numbers = {
        key: float(np.ravel(x)[0])
        for key, x in entries
        if isinstance(x, float | np.ndarray) and not isinstance(x, bool) and np.size(x) == 1
    }
    if len(numbers) > 1:
        numbers = {key: x for key, x in numbers.items() if "mean" in str(key).lower()}
    if len(numbers) != 1:
        raise IrodoriError("its table doesn't identify the mean of the input")
    ((key, mean),) = numbers.items()
    if not 0 <= mean <= 1:
        raise IrodoriError(f"the mean of its input, {key!r}, is {mean:g}, not between 0 and 1")
    return models[0], mean
