"""Options shared by several commands."""

from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.reporting import report_errors

Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="A package besides irodori whose classes the checkpoint may use; repeat for more.",
        show_default=False,
    ),
]


def checkpoint_path(given: str) -> Path:
    """Return the path of a checkpoint; download one of the Hugging Face hub."""
    if not given.startswith("hf://"):
        return Path(given)
    # Imported here, so that other commands start faster.
    from irodori.pretrained.hub import download_from

    with report_errors():
        return download_from(given)


Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Run folder, checkpoint, safetensors file, or hf://USER/NAME@REVISION.",
        parser=checkpoint_path,
        metavar="PATH",
        show_default="the bundled model",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
StyleStrength = Annotated[
    float, typer.Option(help="Strength of the style, from 0 (no effect) to 1.")
]
Saturation = Annotated[
    float, typer.Option(help="Factor of the color saturation, from 0 (gray) to 2.")
]
Device = Annotated[str, typer.Option(help="Device to run on: auto, cpu, cuda or mps.")]
