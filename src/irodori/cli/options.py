"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="A package besides irodori whose classes the checkpoint may name; repeat it for more.",
        show_default=False,
    ),
]
CHECKPOINT = "A run folder, its checkpoint, or a file of `irodori export`."
"""Help of the option --checkpoint."""
Checkpoint = Annotated[Path | None, typer.Option(help=CHECKPOINT, show_default="the bundled model")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists already.")]
StyleStrength = Annotated[
    float, typer.Option(help="How far a style decides the colors: from 0, not at all, to 1.")
]
Saturation = Annotated[
    float, typer.Option(help="Saturation of the colors: from 0, gray, to 2, doubled.")
]
Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda or mps.")]
