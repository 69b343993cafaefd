"""`irodori train` and `irodori evaluate`: Hydra's command line under the `irodori` command."""

import sys
from types import ModuleType
from typing import Annotated

import typer

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


def train(arguments: Arguments = None) -> None:
    """Train a network: `irodori train experiment=lab_alpha1`; -m runs a sweep."""
    # Imported here, so that other commands start without Hydra.
    from irodori.programs import train

    _run(train, arguments)


def evaluate(arguments: Arguments = None) -> None:
    """Evaluate a checkpoint, or pictures of any method: `irodori evaluate checkpoint=<file>`."""
    from irodori.programs import evaluate

    _run(evaluate, arguments)


def _run(program: ModuleType, arguments: list[str] | None) -> None:
    from irodori.runs.program import run_program

    # Jobs of sweeps and other ranks are started with this script and these arguments.
    sys.argv = [str(program.__file__), *(arguments or [])]
    run_program(program.main)
