"""The `irodori` command."""

from typing import Annotated

import typer

import irodori
from irodori import (
    cli_colorize,
    cli_compare,
    cli_demo,
    cli_export,
    cli_import,
    cli_shards,
    cli_sheet,
    cli_study,
)

app = typer.Typer(
    help="Colour black-and-white photographs.", no_args_is_help=True, add_completion=False
)
app.add_typer(cli_shards.app, name="shards")
app.add_typer(cli_study.app, name="study")
app.command()(cli_colorize.colorize)
app.command()(cli_sheet.sheet)
app.command()(cli_export.export)
app.command("import")(cli_import.import_weights)
app.command()(cli_compare.compare)
app.command()(cli_demo.demo)


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
