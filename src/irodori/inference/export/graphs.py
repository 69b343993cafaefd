"""A model as a graph of operations for pictures of any size and number."""

import json
import logging
from copy import deepcopy
from typing import Any, BinaryIO

import torch
from torch.export import ExportedProgram
from torch.fx import Graph
from torch.fx.experimental import _config as fx_config

from irodori.inference.export.traceable import Traceable, use_static_padding
from irodori.inference.fast.folding import fold
from irodori.model import Model
from irodori.utils.model_file import KEY

INPUT = "luminance"
OUTPUTS = ("chroma", "logits")
EXTRA_FILE = f"{KEY}.json"
"""Where torch.export has the description."""
EXAMPLE = (2, 1, 75, 109)
"""Shape of what is traced. No stride divides its sides, so that what is cut off of other sizes is
cut off in the graph."""
USE = (
    "luminance, B×1×H×W in [0,1], is the color space's native luminance of the sRGB picture,"
    " divided by luminance_range. chroma, B×C×⌈H/2⌉×⌈W/2⌉ in [0,1], is enlarged twice, cut to H×W,"
    " and becomes native by (chroma - 0.5) * 2 * chroma_range + chroma_center; together with the"
    " picture's own luminance it gives its colors. The color space irodori.color.rgb.Rgb has three"
    " channels of sRGB in place of chrominance. logits, B×classes, are the scenes' before softmax."
)
"""How a graph's numbers become colors; stands in its description."""


def write_torch_export(file: BinaryIO, model: Model) -> None:
    """Write what `torch.export.load` reads; the description is in its EXTRA_FILE.

    Raises:
        Exception: of many kinds, if the network can't be traced.
    """
    torch.export.save(traced(model), file, extra_files={EXTRA_FILE: described(model)})


def write_onnx(file: BinaryIO, model: Model) -> None:
    """Write an ONNX file with the description in its metadata_props, under KEY.

    Raises:
        ImportError: onnx or onnxscript isn't installed.
        Exception: of many kinds, if the network can't be traced.
    """
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401

    traced_program = traced(model)
    outputs = len(traced_program.graph_signature.user_outputs)
    # What it leaves as it is concerns nobody.
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    program: Any = torch.onnx.export(
        traced_program,
        dynamo=True,
        input_names=[INPUT],
        output_names=list(OUTPUTS[:outputs]),
        verbose=False,
    )
    program.model.metadata_props[KEY] = described(model)
    file.write(program.model_proto.SerializeToString())


def traced(model: Model) -> ExportedProgram:
    """The network's graph, with its norms folded, for any size and number of pictures.

    Raises:
        Exception: of many kinds, if the network can't be traced.
    """
    network = deepcopy(model.network).eval().requires_grad_(False)
    fold(network)
    use_static_padding(network)
    dimensions = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    # Sizes that tracing tells apart, such as 1, which is broadcast, are not to be so here.
    with (
        torch.no_grad(),
        fx_config.patch(  # type: ignore[attr-defined]
            backed_size_oblivious=True
        ),
    ):
        program = torch.export.export(
            Traceable(network),
            (torch.zeros(EXAMPLE),),
            dynamic_shapes=(dimensions,),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    remove_assertions(program.graph_module.graph)
    return program


def remove_assertions(graph: Graph) -> None:
    """Take away the checks that sizes are like the example's where tracing told them apart.

    That the graph is right for other sizes, too, is tested.
    """
    for node in graph.nodes:
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()


def described(model: Model) -> str:
    """The description as JSON, and how the numbers are to be used."""
    return json.dumps({**model.describe(), "use": USE}, ensure_ascii=False)
