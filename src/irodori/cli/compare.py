"""`irodori compare`: compare variants, with intervals and tests."""

from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Trust
from irodori.cli.reporting import report_errors
from irodori.metrics.catalog import MAIN
from irodori.utils.progress import ProgressLines, waiting


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs, evaluations or sweeps.")],
    output: Annotated[
        Path, typer.Option(help="Folder for report.html, report.md, plots, pictures and CSV files.")
    ],
    row: Annotated[
        str,
        typer.Option(
            help="Checkpoints to compare: last, or best, which was chosen on the same "
            "photographs and so is biased."
        ),
    ] = "last",
    metric: Annotated[str, typer.Option(help="Main metric, by its name in metrics.json.")] = MAIN,
    pictures: Annotated[
        int, typer.Option(help="Number of photographs to show side by side.", min=0)
    ] = 6,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    wandb: Annotated[bool, typer.Option("--wandb", help="Log tables and pictures to W&B.")] = False,
    trust: Trust = None,
) -> None:
    """Compare runs photograph by photograph: a report with intervals, tests, plots, pictures."""
    report = ProgressLines()
    # Imported here, so that `irodori --help` doesn't wait for them.
    with waiting("loading pandas and Matplotlib", log=True):
        from irodori.evaluation.comparison.compare import compare as compare_runs
        from irodori.evaluation.comparison.comparison import show
        from irodori.evaluation.comparison.report import make_report
        from irodori.evaluation.document import write_report

    with report_errors():
        comparison = compare_runs(folders, row, metric, report)
        document, tables = make_report(comparison, title, pictures, trust or (), report)
        # NaN becomes an empty cell.
        files = {
            f"{name}.csv": table.to_csv(index=False).encode() for name, table in tables.items()
        }
        path = write_report(document, files, output)
        show(comparison)
        if wandb:
            report("logging to W&B")
            from irodori.evaluation.comparison.wandb_log import log
            from irodori.training.launching.sweep import wandb_group

            log(document, tables, output, wandb_group(folders[0].resolve()))
    print(f"report: {path}")
