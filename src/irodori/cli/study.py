"""`irodori study`: have people judge how natural colorized photographs look."""

import importlib.util
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from irodori.cli.options import Trust
from irodori.cli.reporting import report_errors
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressLines, waiting

app = typer.Typer(
    help="Have people judge whether colorized photographs look natural.", no_args_is_help=True
)


@app.command()
def serve(
    database: Annotated[
        Path, typer.Argument(help="File of the study; an existing study is resumed.")
    ],
    results: Annotated[
        list[str] | None,
        typer.Argument(
            help="Methods: folders of colorized photographs, or run folders and checkpoints that "
            "colorize them first; name=path names a method.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of the true photographs; files are matched by name."),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Ask which of two pictures is real: the true one or a method's."
        ),
    ] = False,
    photographs: Annotated[
        int | None,
        typer.Option(help="Number of photographs per person.", show_default="all, at most 60"),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Seconds for which a picture is shown.", show_default="2")
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(help="Seconds of viewing before an answer is possible.", show_default="0.4"),
    ] = None,
    checks: Annotated[
        float | None,
        typer.Option(help="Attention checks per photograph, 0 to 0.5.", show_default="0.1"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Largest longer side of the pictures in pixels.", show_default="512"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 selects a free one.")] = 8000,
    trust: Trust = None,
) -> None:
    """Serve a blind study to participants' browsers, and store each answer at once."""
    options = {
        "pairs": pairs or None,
        "photographs": photographs,
        "seconds": seconds,
        "minimum": minimum,
        "checks": checks,
        "size": size,
    }
    given = {name: value for name, value in options.items() if value is not None}
    with report_errors("nothing was written"):
        if not all(map(importlib.util.find_spec, ("starlette", "uvicorn"))):
            raise IrodoriError("a study's page needs a server: pip install 'irodori[demo]'")
        if not database.exists():
            _create(database, truth, results or [], given, trust or ())
        elif truth is not None or results or given or trust:
            raise IrodoriError(
                f"{database} already holds a study: `irodori study serve {database}` resumes it;"
                " name another file for a new one"
            )
    with report_errors(f"`irodori study serve {database}` resumes the study"):
        with waiting(f"opening {database}"):
            from irodori.app.naturalness.server import serve
            from irodori.app.naturalness.store import Store

        with closing(Store(database)) as store:
            for line in store.study.overview():
                print(line)
            begun, answers = store.read()
            if begun:
                print(f"people who have begun: {begun:,}; answers: {len(answers):,}")
            serve(store, host, port, lambda address: print(f"study: {address}", flush=True))


def _create(
    database: Path,
    truth: Path | None,
    results: list[str],
    given: dict[str, Any],
    trust: Sequence[str],
) -> None:
    with waiting(f"making {database}"):
        from irodori.app.naturalness.building import build
        from irodori.app.naturalness.study import Settings

    if truth is None:
        raise IrodoriError(
            f"{database} doesn't exist: create a study with --truth, the folder of true photographs"
        )
    build(database, truth, results, Settings(**given), print, ProgressLines(), trust=trust)


@app.command()
def results(
    database: Annotated[
        Path, typer.Argument(help="File of the study, which may be in use by the server.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, report.md, naturalness.png, results.json, answers.csv."
        ),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(
            help="Drop answers with fewer seconds of viewing.", show_default="the study's"
        ),
    ] = None,
    passed: Annotated[
        float,
        typer.Option(
            help="Drop answers of people who passed a smaller share of the attention checks."
        ),
    ] = 0.75,
    complete: Annotated[
        bool, typer.Option("--complete", help="Drop answers of people who left before the end.")
    ] = False,
) -> None:
    """Report how often each method was judged natural, and whether methods differ."""
    with report_errors():
        # Imported here, so that `irodori --help` doesn't wait for them.
        with waiting(f"reading {database}"):
            from irodori.app.naturalness.report import show, write_report
            from irodori.app.naturalness.results import Criteria, evaluate
            from irodori.app.naturalness.store import Store

        with closing(Store(database)) as store:
            study, (begun, answers) = store.study, store.read()
        least = study.settings.minimum if minimum is None else minimum
        outcome = evaluate(study, begun, answers, Criteria(least, passed, complete))
        show(outcome)
        if output is not None:
            print(f"report: {write_report(outcome, output)}")
