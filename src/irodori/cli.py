"""The `irodori` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import irodori
from irodori import cli_compare, cli_shards
from irodori.errors import IrodoriError

app = typer.Typer(
    help="Colour black-and-white photographs.", no_args_is_help=True, add_completion=False
)
app.add_typer(cli_shards.app, name="shards")
app.command()(cli_compare.compare)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        print(f"irodori {irodori.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Colour black-and-white photographs; train with `python train.py` in the checkout."""


@app.command()
def colorize(
    photos: Annotated[list[Path], typer.Argument(help="Photos: JPEG, PNG, WebP, TIFF, BMP.")],
    output: Annotated[Path, typer.Option(help="Folder for the coloured photos (PNG).")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoints/best.ckpt of a training run.")],
    style: Annotated[
        Path | None, typer.Option(help="A photo whose scene decides the colours.")
    ] = None,
) -> None:
    """Colour photos; each keeps its size and its own lightness."""
    # Imported here, so that `irodori --help` doesn't wait for torch.
    from irodori.inference.files import colorize_files

    try:
        failures = colorize_files(photos, output, checkpoint, style)
    except IrodoriError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if failures:
        raise typer.Exit(1)
