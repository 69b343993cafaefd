"""Writing a checkpoint's model in an export format."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from irodori.inference.export.graphs import write_onnx, write_torch_export
from irodori.inference.settings import MAX_SATURATION, check_range
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.network.output import ChromaOutput
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing
from irodori.utils.model_file import write_safetensors

ONNX, TORCH_EXPORT, SAFETENSORS = "onnx", "torch-export", "safetensors"
FORMATS = {ONNX: ".onnx", TORCH_EXPORT: ".pt2", SAFETENSORS: ".safetensors"}
"""Formats and their file suffixes."""
NETWORK, PHOTO = "network", "photo"
PARTS = (PHOTO, NETWORK)


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
