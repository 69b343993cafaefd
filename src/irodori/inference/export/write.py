"""Writing a checkpoint's model in an export format, as a graph with dynamic sizes."""

import json
import logging
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Graph
from torch.fx.experimental import _config as fx_config

from irodori.inference.fast_network import fold
from irodori.inference.settings import MAX_SATURATION
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.network.output import ChromaOutput
from irodori.utils.errors import IrodoriError, check_range, one_line
from irodori.utils.files import replacing
from irodori.utils.model_file import KEY, write_safetensors

INPUT = "luminance"
OUTPUTS = ("chroma", "logits")
OPSET = 18
EXTRA_FILE = f"{KEY}.json"
"""Name of the description's file in the archive of torch.export."""
EXAMPLE = (2, 1, 75, 109)
"""Shape of the traced input. No stride divides its sides, so that cropping is part of the graph."""
USE = (
    "luminance, B×1×H×W in [0,1], is the color space's native luminance of the sRGB picture,"
    " divided by luminance_range. chroma, B×C×⌈H/2⌉×⌈W/2⌉ in [0,1], is upsampled by 2, cropped to"
    " H×W, and converted to native units by (chroma - 0.5) * 2 * chroma_range + chroma_center; with"
    " the picture's own luminance it gives the colors. The color space irodori.color.rgb.Rgb has"
    " three channels of sRGB instead of chrominance. logits, B×classes, are scene scores before"
    " softmax."
)
"""Text in the description that explains inputs and outputs."""
ONNX, TORCH_EXPORT, SAFETENSORS = "onnx", "torch-export", "safetensors"
FORMATS = {ONNX: ".onnx", TORCH_EXPORT: ".pt2", SAFETENSORS: ".safetensors"}
"""Formats and their file suffixes."""
NETWORK, PHOTO = "network", "photo"
PARTS = (PHOTO, NETWORK)


def write_torch_export(file: BinaryIO, model: Model) -> None:
    """Write a file for `torch.export.load`, with the description in EXTRA_FILE.

    Raises:
        Exception: of many kinds, if the network can't be traced.
    """
    program = traced(Traceable(folded(model)), (torch.zeros(EXAMPLE),))
    torch.export.save(program, file, extra_files={EXTRA_FILE: described(model, USE)})


def write_onnx(file: BinaryIO, model: Model) -> None:
    """Write the network as ONNX, with the description in metadata_props[KEY].

    Raises:
        ImportError: onnx or onnxscript isn't installed.
        Exception: of many kinds, if the network can't be traced.
    """
    program = traced(Traceable(folded(model)), (torch.zeros(EXAMPLE),))
    outputs = OUTPUTS[: len(program.graph_signature.user_outputs)]
    exported = to_onnx(program, [INPUT], outputs)
    exported.model.metadata_props[KEY] = described(model, USE)
    file.write(exported.model_proto.SerializeToString())


def to_onnx(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Convert a traced program to ONNX.

    Raises:
        ImportError: onnx or onnxscript isn't installed.
    """
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401

    # Silences logs about skipped optimizations.
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    return torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=inputs,
        output_names=outputs,
        verbose=False,
    )


def folded(model: Model) -> JointNetwork:
    """Return a copy of the network with folded batch norms, ready for tracing."""
    network = deepcopy(model.network).eval().requires_grad_(False)
    fold(network)
    use_static_padding(network)
    return network


def traced(module: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    """Trace a module with dynamic batch size, height and width (dimensions 0, 2 and 3).

    Raises:
        Exception: of many kinds, if it can't be traced.
    """
    dimensions = tuple(dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC) for _ in example)
    # Don't specialize on sizes that tracing treats specially, such as 1 (broadcast).
    with (
        torch.no_grad(),
        fx_config.patch(  # type: ignore[attr-defined]
            backed_size_oblivious=True
        ),
    ):
        program = torch.export.export(
            module,
            example,
            dynamic_shapes=dimensions,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    remove_assertions(program.graph_module.graph)
    return program


def remove_assertions(graph: Graph) -> None:
    """Remove assertions that sizes resemble the example's.

    Tests verify that the graph is correct for other sizes.
    """
    for node in graph.nodes:
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()


def described(model: Model, use: str) -> str:
    """Return the description as JSON, including `use`, an explanation of inputs and outputs."""
    return json.dumps({**model.describe(), "use": use}, ensure_ascii=False)


class Traceable(nn.Module):
    """`JointNetwork.forward` without Python code that depends on the picture's size.

    The network skips scaling if a picture already has the global path's size, and a trace would
    keep only one of the two branches.

    Args:
        network: network in evaluation mode.
    """

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, luminance_B1HW: Tensor) -> tuple[Tensor, ...]:
        """Map luminance in [0,1] to chrominance B×C×⌈H/2⌉×⌈W/2⌉ and, with scenes, logits."""
        global_BC, logits_BC = global_features(self.network, luminance_B1HW)
        chroma_BCHW = self.network.color(luminance_B1HW, global_BC)
        return (chroma_BCHW,) if logits_BC is None else (chroma_BCHW, logits_BC)


def global_features(
    network: JointNetwork, luminance_B1HW: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return global features and scene logits for luminance of any size."""
    if network.fusion is None:
        return None, None
    size = network.backbone.input_size
    return network.global_features(scaled_by_products(luminance_B1HW, *size))


def scaled_by_products(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """`network.backbone.scaled_to` as two matrix products, which all formats support."""
    rows_hH = bilinear_weights(luminance_B1HW.shape[-2], height, luminance_B1HW)
    columns_wW = bilinear_weights(luminance_B1HW.shape[-1], width, luminance_B1HW)
    return rows_hH @ (luminance_B1HW @ columns_wW.T)


def bilinear_weights(size: int, wanted: int, like: Tensor) -> Tensor:
    """Return the wanted×size matrix of antialiased bilinear scaling along one dimension.

    As in Pillow and torch, the filter is a triangle whose width is the reduction factor.

    Args:
        size: original size, may be symbolic.
        wanted: target size.
        like: tensor with the dtype and device of the result.
    """
    scale = size / wanted
    centers_w1 = (torch.arange(wanted, dtype=like.dtype, device=like.device)[:, None] + 0.5) * scale
    positions_S = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    reach: Any = torch.sym_max(scale, 1.0)
    distances_wS = (positions_S - centers_w1).abs() / reach
    weights_wS = (1 - distances_wS).clamp(min=0)
    normalized_wS: Tensor = weights_wS / weights_wS.sum(1, keepdim=True)
    return normalized_wS


def use_static_padding(network: nn.Module) -> None:
    """Replace padding that depends on the picture's size, in place.

    timm's layers with TensorFlow-style padding compute it from the size, which takes minutes to
    trace dynamically. Here all strides divide the sizes of features, since the backbone pads its
    input.
    """
    for name, layer in list(network.named_modules()):
        # By name, so that timm is imported only for its models.
        kind = type(layer).__name__
        if kind not in ("Conv2dSame", "MaxPool2dSame"):
            continue
        same: Any = layer
        shape = same.kernel_size, same.stride, 0, same.dilation
        padding: Any = []
        for kernel, stride, dilation in zip(*shape[:2], same.dilation, strict=True):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            # torch's order of padding starts with the last dimension.
            padding[:0] = [total // 2, total - total // 2]
        plain: nn.Module = nn.MaxPool2d(*shape)
        if kind == "Conv2dSame":
            plain = nn.Conv2d(same.in_channels, same.out_channels, *shape, same.groups)
            plain.weight, plain.bias = same.weight, same.bias
        pad = nn.ConstantPad2d(padding, 0.0 if kind == "Conv2dSame" else -torch.inf)
        network.set_submodule(name, nn.Sequential(pad, plain).eval())


def export_model(
    checkpoint: Path,
    form: str,
    output: Path,
    half: bool = False,
    saturation: float = 1.0,
    part: str | None = None,
    overwrite: bool = False,
    trust: Sequence[str] = (),
) -> None:
    """Export a checkpoint's model to one file, atomically.

    Args:
        form: format, one of `FORMATS`.
        half: store parameters as fp16 (safetensors only).
        saturation: factor of the color strength, see `saturate`.
        part: "network" (luminance to chrominance) or "photo" (sRGB to sRGB; ONNX only, and its
            default).
        overwrite: replace an existing output.
        trust: names of packages besides irodori whose classes the checkpoint may use.

    Raises:
        IrodoriError: see `load_model`; or the output exists, the format is unknown or doesn't
            support the model, a package is missing, or the file can't be written.
    """
    if form not in FORMATS:
        raise IrodoriError(f"--format {form} is unknown: choose one of {', '.join(FORMATS)}")
    if output.suffix.lower() != FORMATS[form]:
        raise IrodoriError(f"{output}: a file of --format {form} must end with {FORMATS[form]}")
    if half and form != SAFETENSORS:
        raise IrodoriError(f"--half requires --format {SAFETENSORS}, not {form}")
    if part not in (None, *PARTS):
        raise IrodoriError(f"--part {part} is unknown: choose one of {', '.join(PARTS)}")
    if part == PHOTO and form != ONNX:
        raise IrodoriError(f"--part {PHOTO} requires --format {ONNX}, not {form}")
    if output.exists() and not overwrite:
        raise IrodoriError(f"{output} already exists: choose another --output, or --overwrite")
    model = load_model(checkpoint, trust)
    saturate(model.network, saturation)
    try:
        with replacing(output) as file:
            write_model(file, model, form, half, part)
    except IrodoriError:
        raise
    except OSError as error:
        raise IrodoriError(f"{output} can't be written: {error.strerror or error}") from None
    except ImportError as error:
        raise IrodoriError(
            f"--format {form} needs the package {error.name}: pip install 'irodori[export]'"
        ) from None
    except Exception as error:
        # Tracing raises many exceptions.
        backbone = model.network.backbone
        name = getattr(backbone, "name", type(backbone).__name__)
        raise IrodoriError(
            f"{checkpoint}: backbone {name} can't be exported as {form}: {one_line(error)[:200]}"
        ) from None


@torch.no_grad()
def saturate(network: JointNetwork, factor: float) -> None:
    """Multiply the chrominance logits by a factor, in place.

    Networks predict uncertain colors too pale; a factor determined on training photographs
    compensates.

    Raises:
        IrodoriError: the factor is out of range, or the network's output isn't chrominance logits.
    """
    if factor == 1:
        return
    check_range("--saturation", factor, 0, MAX_SATURATION)
    last = getattr(network.colorization, "output", None)
    if not isinstance(network.output, ChromaOutput) or not isinstance(last, nn.Conv2d):
        raise IrodoriError("--saturation needs decoder=skips or queries, and logits of chrominance")
    for parameter in last.parameters():
        parameter.mul_(factor)


def write_model(file: BinaryIO, model: Model, form: str, half: bool, part: str | None) -> None:
    """Write a model to an open file; see `export_model`."""
    if form == SAFETENSORS:
        write_safetensors(file, model.network, model.describe(), half)
    elif form == TORCH_EXPORT:
        write_torch_export(file, model)
    elif part == NETWORK:
        write_onnx(file, model)
    else:
        # Imported here, since it needs the extra `export`.
        from irodori.inference.export.photo_graph import write_photo_onnx

        write_photo_onnx(file, model)
