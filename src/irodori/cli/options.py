"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.reporting import report_errors

Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="A package besides irodori whose classes the checkpoint may name; repeat it for more.",
        show_default=False,
    ),
]


def checkpoint_path(given: str) -> Path:
    """Return the path of a checkpoint; one of the Hugging Face hub is downloaded."""
    if not given.startswith("hf://"):
        return Path(given)
    # Imported here, so that other commands don't wait for it.
    from irodori.pretrained.hub import download_from

    with report_errors():
        return download_from(given)


Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="A run folder, its checkpoint, a file of `irodori export`, or hf://USER/NAME@REVISION.",
        parser=checkpoint_path,
        metavar="PATH",
        show_default="the bundled model",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists already.")]
StyleStrength = Annotated[
    float, typer.Option(help="How far a style decides the colors: from 0, not at all, to 1.")
]
Saturation = Annotated[
    float, typer.Option(help="Saturation of the colors: from 0, gray, to 2, doubled.")
]
Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda or mps.")]
