"""`irodori compare`: which variant is better, and is the difference real?"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Trust
from irodori.utils.errors import IrodoriError


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of runs, of evaluations, or of sweeps.")
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for report.html, report.md, plots, pictures and CSV files.")
    ],
    row: Annotated[
        str,
        typer.Option(
            help="Checkpoints that are compared: last, or best, which were chosen on the "
            "photographs that they are reported on."
        ),
    ] = "last",
    pictures: Annotated[
        int, typer.Option(help="Photographs that are shown side by side.", min=0)
    ] = 6,
    title: Annotated[str | None, typer.Option(help="Of the report.")] = None,
    wandb: Annotated[bool, typer.Option("--wandb", help="Log tables and pictures to W&B.")] = False,
    trust: Trust = None,
) -> None:
    """Compare runs photograph by photograph: a report with intervals, tests, plots, pictures."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.studies.comparison import compare as compare_runs
    from irodori.studies.report import make_report, write_report
    from irodori.studies.terminal import show

    try:
        comparison = compare_runs(folders, row)
        report = make_report(comparison, title, pictures, trust or ())
        path = write_report(report, output)
        show(comparison)
        if wandb:
            from irodori.studies.wandb_log import log

            log(comparison, report, output, group=folders[0].resolve().name)
    except IrodoriError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"report: {path}")
