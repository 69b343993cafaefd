"""`irodori export`: write a model for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Checkpoint, Overwrite, Trust
from irodori.cli.reporting import report_errors
from irodori.utils.progress import waiting


def export(
    form: Annotated[
        str, typer.Option("--format", help="Format: onnx, torch-export or safetensors.")
    ],
    output: Annotated[
        Path,
        typer.Option(help="File to write: .onnx, .pt2 or .safetensors, according to the format."),
    ],
    checkpoint: Checkpoint = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in half precision (safetensors only).")
    ] = False,
    saturation: Annotated[
        float,
        typer.Option(
            help="Factor of the color strength (of chrominance logits), stored in the file."
        ),
    ] = 1.0,
    part: Annotated[
        str | None,
        typer.Option(
            help="Part to export: photo (sRGB to sRGB) or network (luminance to chrominance).",
            show_default="photo for onnx, network for torch-export",
        ),
    ] = None,
    overwrite: Overwrite = False,
    trust: Trust = None,
) -> None:
    """Export a model as ONNX or torch.export, for images of any size, or as safetensors."""
    with report_errors(), waiting(f"exporting {checkpoint or 'the bundled model'}"):
        # Imported here, so that `irodori --help` doesn't wait for torch.
        from irodori.inference.colorizer import STARTER
        from irodori.inference.export.write import export_model

        export_model(
            checkpoint or STARTER,
            form,
            output,
            half=half,
            saturation=saturation,
            part=part,
            overwrite=overwrite,
            trust=trust or (),
        )
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
