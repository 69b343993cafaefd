"""A model as a graph of operations for pictures of any size and number."""

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
"""Name of the file in torch.export's archive that holds the description."""
EXAMPLE = (2, 1, 75, 109)
"""Shape of what is traced. No stride divides its sides, so that what is cut off of other sizes is
cut off in the graph."""
USE = (
    "luminance, B×1×H×W in [0,1], is the color space's native luminance of the sRGB picture,"
    " divided by luminance_range. chroma, B×C×⌈H/2⌉×⌈W/2⌉ in [0,1], is upsampled twice, cut to H×W,"
    " and becomes native by (chroma - 0.5) * 2 * chroma_range + chroma_center; together with the"
    " picture's own luminance it gives its colors. The color space irodori.color.rgb.Rgb has three"
    " channels of sRGB in place of chrominance. logits, B×classes, are the scenes' before softmax."
)
"""Text of a graph's description: how its numbers become colors."""


def write_torch_export(file: BinaryIO, model: Model) -> None:
    """Write what `torch.export.load` reads; the description is in its EXTRA_FILE.

    Raises:
        Exception: of many kinds, if the network can't be traced.
    """
    program = traced(Traceable(folded(model)), (torch.zeros(EXAMPLE),))
    torch.export.save(program, file, extra_files={EXTRA_FILE: described(model, USE)})


def write_onnx(file: BinaryIO, model: Model) -> None:
    """Write the network as an ONNX file with the description in its metadata_props, under KEY.

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
    """Return a traced program as ONNX.

    Raises:
        ImportError: onnx or onnxscript isn't installed.
    """
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401

    # Its log of what it leaves as it is helps nobody.
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
    """Return a copy of the network with its norms folded, ready to be traced."""
    network = deepcopy(model.network).eval().requires_grad_(False)
    fold(network)
    use_static_padding(network)
    return network


def traced(module: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    """Return a module's graph for any size and number of pictures (dimensions 0, 2 and 3).

    Raises:
        Exception: of many kinds, if it can't be traced.
    """
    dimensions = tuple(dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC) for _ in example)
    # Sizes that tracing tells apart, such as 1, which is broadcast, are not to be so here.
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
    """Remove the checks that sizes are like the example's where tracing told them apart.

    That the graph is right for other sizes, too, is tested.
    """
    for node in graph.nodes:
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()


def described(model: Model, use: str) -> str:
    """Return the description as JSON, and how the numbers are to be used."""
    return json.dumps({**model.describe(), "use": use}, ensure_ascii=False)
