"""`irodori study`: do people find coloured photographs natural?"""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from irodori.utils.errors import IrodoriError

if TYPE_CHECKING:
    from irodori.app.naturalness.settings import Settings

app = typer.Typer(
    help="Let people judge whether coloured photographs look natural.", no_args_is_help=True
)


@app.command()
def serve(
    database: Annotated[
        Path, typer.Argument(help="The study's file; one that is there is gone on with.")
    ],
    results: Annotated[
        list[str] | None,
        typer.Argument(
            help="Methods: folders of coloured photographs, run folders or checkpoints, which "
            "colour them first; name=path gives a name.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of the true photographs; files are matched by their names."),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option("--pairs", help="Ask which of two is real: the true photograph beside one."),
    ] = False,
    photographs: Annotated[
        int | None,
        typer.Option(help="That each person sees.", show_default="all, at most 60"),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="For which a picture is shown.", show_default="2")
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(
            help="Seconds of viewing before an answer is possible and counts.", show_default="0.4"
        ),
    ] = None,
    checks: Annotated[
        float | None,
        typer.Option(help="Attention checks for each photograph: 0 to 0.5.", show_default="0.1"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Longer side of the pictures in pixels.", show_default="512"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0: a free one.")] = 8000,
) -> None:
    """Show people the photographs, blind to the method, and write their answers down at once."""
    chosen: dict[str, Any] = {
        "pairs": pairs or None,
        "photographs": photographs,
        "seconds": seconds,
        "minimum": minimum,
        "checks": checks,
        "size": size,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _needs_server()
        from irodori.app.naturalness.settings import Settings

        _study(database, truth, results or [], Settings(**given) if given else None)
        _serve(database, host, port)
    except IrodoriError as error:
        _leave(1, f"error: {error}")
    except KeyboardInterrupt:
        _leave(130, _stopped(database))
    except _Terminated:
        _leave(143, _stopped(database))


@app.command()
def results(
    database: Annotated[Path, typer.Argument(help="The study's file; it may be served meanwhile.")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, report.md, naturalness.png, results.json, answers.csv."
        ),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(
            help="Answers after fewer seconds of viewing are dropped.", show_default="the study's"
        ),
    ] = None,
    passed: Annotated[
        float,
        typer.Option(help="Answers of people who pass fewer of the attention checks are dropped."),
    ] = 0.75,
    complete: Annotated[
        bool, typer.Option("--complete", help="Drop answers of people who left before the end.")
    ] = False,
) -> None:
    """Tell how often each method was judged natural, and whether methods differ."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.app.naturalness.report import show, write_report
    from irodori.app.naturalness.results import Criteria, evaluate
    from irodori.app.naturalness.store import Store

    try:
        store = Store(database)
        if minimum is None:
            minimum = store.study.settings.minimum
        outcome = evaluate(
            store.study, store.people(), store.answers(), Criteria(minimum, passed, complete)
        )
        store.close()
        show(outcome)
        if output is not None:
            print(f"report: {write_report(outcome, output)}")
    except IrodoriError as error:
        _leave(1, f"error: {error}")


def _needs_server() -> None:
    from importlib.util import find_spec

    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise IrodoriError("a study's page needs a server: pip install 'irodori[demo]'")


def _study(
    database: Path, truth: Path | None, results: list[str], settings: "Settings | None"
) -> None:
    """Make a new study, if there is none yet."""
    from irodori.app.naturalness.building import build
    from irodori.app.naturalness.settings import Settings

    if database.exists():
        if truth is not None or results or settings is not None:
            raise IrodoriError(
                f"{database} holds a study already: `irodori study serve {database}` goes on with"
                " it; name another file for a new one"
            )
        return
    if truth is None:
        raise IrodoriError(f"{database} is new: --truth says where the true photographs are")
    build(database, truth, results, settings or Settings(), lambda line: print(line, flush=True))


def _serve(database: Path, host: str, port: int) -> None:
    from irodori.app.naturalness.expectation import expectation
    from irodori.app.naturalness.serving import serve
    from irodori.app.naturalness.store import Store

    store = Store(database)
    try:
        for line in expectation(store.study):
            print(line)
        if begun := store.people():
            print(f"people who have begun: {begun:,}")
        serve(store, host, port, lambda address: print(f"study: {address}", flush=True))
    finally:
        store.close()


def _stopped(database: Path) -> str:
    goes_on = f"`irodori study serve {database}` goes on"
    return f"stopped: {goes_on if database.exists() else 'nothing was written'}"


class _Terminated(BaseException):
    """SIGTERM; as KeyboardInterrupt, no `except Exception` stops it."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _leave(status: int, line: str) -> NoReturn:
    print(line, file=sys.stderr, flush=True)
    raise typer.Exit(status)
