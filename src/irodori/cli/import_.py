"""`irodori import`: the paper's own published weights."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from irodori.utils.errors import IrodoriError


def import_weights(
    file: Annotated[
        Path, typer.Argument(help="colornet.t7 as the paper's authors published it (Torch7).")
    ],
    output: Annotated[Path, typer.Option(help="The checkpoint to write.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a checkpoint that is there already.")
    ] = False,
) -> None:
    """Convert the weights that the paper's authors published to a checkpoint."""
    # Imported here, so that `irodori --help` doesn't wait for torch.
    from irodori.torch7 import importing

    try:
        done = importing.import_weights(file, output, overwrite)
    except IrodoriError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror or error}", file=sys.stderr)
        raise typer.Exit(1) from None
    network = done.model.network.arguments
    scenes = network["num_classes"]
    print(
        f"{output}: {done.layers} layers, {done.parameters:,} parameters"
        f" (width {network['width']:g}), {scenes or 'no'} classes,"
        f" input mean {network['backbone'].input_mean:g}"
    )
    print(
        f"licence: the authors' weights are under {importing.LICENCE}: name the authors, no"
        " commercial use, and what you make of them is shared alike"
    )
