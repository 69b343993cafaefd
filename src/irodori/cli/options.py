"""Options that several commands have in common."""

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
