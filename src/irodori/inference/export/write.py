"""Writing a checkpoint's model in a format that other programs read."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from irodori.inference.export.graphs import write_onnx, write_torch_export
from irodori.inference.settings import MAX_SATURATION
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.network.output import ChromaOutput
from irodori.utils.errors import IrodoriError, check_range, one_line
from irodori.utils.files import replacing
from irodori.utils.model_file import write_safetensors

ONNX, TORCH_EXPORT, SAFETENSORS = "onnx", "torch-export", "safetensors"
FORMATS = {ONNX: ".onnx", TORCH_EXPORT: ".pt2", SAFETENSORS: ".safetensors"}
"""Formats with the suffixes of their files."""
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
    """Write a checkpoint's model as one file, whole or not at all.

    Args:
        form: one of `FORMATS`.
        half: parameters as fp16; of safetensors only.
        saturation: factor of the colors' strength, see `saturate`.
        part: "network", from luminance to chrominance; or "photo", from sRGB to sRGB, of ONNX only
            and its default.
        overwrite: an existing output is replaced.
        trust: names of packages besides irodori whose classes the checkpoint may name.

    Raises:
        IrodoriError: see `load_model`; or the output exists, the format is unknown or can't hold
            this model, a package is missing, or the file can't be written.
    """
    if form not in FORMATS:
        raise IrodoriError(f"--format {form} is unknown: it is one of {', '.join(FORMATS)}")
    if output.suffix.lower() != FORMATS[form]:
        raise IrodoriError(f"{output}: a file of --format {form} ends with {FORMATS[form]}")
    if half and form != SAFETENSORS:
        raise IrodoriError(f"--half goes with --format {SAFETENSORS} only, not with {form}")
    if part not in (None, *PARTS):
        raise IrodoriError(f"--part {part} is unknown: it is one of {', '.join(PARTS)}")
    if part == PHOTO and form != ONNX:
        raise IrodoriError(f"--part {PHOTO} goes with --format {ONNX} only, not with {form}")
    if output.exists() and not overwrite:
        raise IrodoriError(f"{output} exists already: choose another --output, or --overwrite")
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
        # Errors of any kind, by what torch can't trace.
        backbone = model.network.backbone
        name = getattr(backbone, "name", type(backbone).__name__)
        raise IrodoriError(
            f"{checkpoint}: backbone {name} can't be exported as {form}: {one_line(error)[:200]}"
        ) from None


@torch.no_grad()
def saturate(network: JointNetwork, factor: float) -> None:
    """Multiply the logits of the chrominance, in place: 1 leaves all colors as they are.

    Colors that an error leaves open are predicted paler than they are; a factor found on training
    photographs sets that right.

    Raises:
        IrodoriError: the factor is out of range, or the network's output isn't such logits.
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
        # Imported here: it needs onnx, an extra.
        from irodori.inference.export.photo_graph import write_photo_onnx

        write_photo_onnx(file, model)
