"""The `irodori` command; `train` and `evaluate` are Hydra's command line under it."""

import sys
from types import ModuleType
from typing import Annotated

import typer

import irodori
from irodori.cli import colorize, compare, demo, export, import_, shards, sheet, study

HYDRA = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
"""Settings of a command whose options, including --help, are Hydra's."""
Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Overrides, and options of Hydra: --config-dir, --multirun (-m), --help, …",
        show_default=False,
    ),
]

app = typer.Typer(
    help="Train, compare and use networks that colorize black-and-white photographs.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(shards.app, name="shards")
app.add_typer(study.app, name="study")


@app.command(context_settings=HYDRA)
def train(arguments: Arguments = None) -> None:
    """Train a network: `irodori train experiment=lab_alpha1`; -m runs a sweep."""
    # Imported here, so that other commands start without Hydra.
    from irodori.programs import train

    _run(train, arguments)


@app.command(context_settings=HYDRA)
def evaluate(arguments: Arguments = None) -> None:
    """Evaluate a checkpoint, or pictures of any method: `irodori evaluate checkpoint=<file>`."""
    from irodori.programs import evaluate

    _run(evaluate, arguments)


app.command()(colorize.colorize)
app.command()(sheet.sheet)
app.command()(export.export)
app.command("import")(import_.import_weights)
app.command()(compare.compare)
app.command()(demo.demo)


def _run(program: ModuleType, arguments: list[str] | None) -> None:
    from irodori.runs.program import run_program

    # Jobs of sweeps and other ranks are started with this script and these arguments.
    sys.argv = [str(program.__file__), *(arguments or [])]
    run_program(program.main)


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
