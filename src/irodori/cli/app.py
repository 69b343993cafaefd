"""The `irodori` command."""

from typing import Annotated

import typer

import irodori
from irodori.cli import colorize, compare, demo, export, import_, programs, shards, sheet, study

app = typer.Typer(
    help="Train, compare and use networks that colorize black-and-white photographs.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(shards.app, name="shards")
app.add_typer(study.app, name="study")
app.command(context_settings=programs.HYDRA)(programs.train)
app.command(context_settings=programs.HYDRA)(programs.evaluate)
app.command()(colorize.colorize)
app.command()(sheet.sheet)
app.command()(export.export)
app.command("import")(import_.import_weights)
app.command()(compare.compare)
app.command()(demo.demo)


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        print(f"irodori {irodori.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train, compare and use networks that colorize black-and-white photographs."""
