"""Exporting a network as a graph with dynamic batch and image sizes."""

import json
import logging
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Graph
from torch.fx.experimental import _config as fx_config

from irodori.inference.export.traceable import Traceable, use_static_padding
from irodori.inference.fast.folding import fold
from irodori.model import Model
from irodori.network import JointNetwork
from irodori.utils.model_file import KEY

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
