"""`irodori demo`: the web page on which anyone tries old photos."""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from irodori.cli.options import Trust
from irodori.utils.errors import IrodoriError


def demo(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="A checkpoint or a run folder to choose on the page; give it again for more.",
            show_default="the bundled model, which is always there",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7860,
    max_megabytes: Annotated[float, typer.Option(help="Of a photo's file.")] = 50,
    max_megapixels: Annotated[float, typer.Option(help="Of a photo.")] = 50,
    max_photos: Annotated[int, typer.Option(help="That a visitor colours at a time.")] = 20,
    waiting: Annotated[int, typer.Option(help="Visitors in the queue; more are sent away.")] = 100,
    at_once: Annotated[
        int, typer.Option(help="Visitors served at the same time; each needs memory of its own.")
    ] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    trust: Trust = None,
) -> None:
    """Show a web page that colours photos; nothing is kept, and no other host is called."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if importlib.util.find_spec("gradio") is None:
            raise IrodoriError("the page needs gradio: pip install 'irodori[demo]'")
        from irodori.app.demo.limits import Limits
        from irodori.app.demo.models import Models
        from irodori.app.demo.server import serve
        from irodori.inference.job.painter import device_of

        for name, value in (("--waiting", waiting), ("--at-once", at_once)):
            if value < 1:
                raise IrodoriError(f"{name} is {value}: give a number from 1 on")
        limits = Limits(max_megabytes, max_megapixels, max_photos)
        models = Models(checkpoint or [], device_of(device), trust or ())
        serve(models, limits, host, port, waiting, at_once, ready=_tell)
    except IrodoriError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _leave(130, "stopped")
    except _Terminated:
        _leave(143, "terminated")


def _tell(address: str) -> None:
    print(f"irodori demo at {address} (Ctrl-C ends it)", flush=True)


class _Terminated(BaseException):
    """SIGTERM; as KeyboardInterrupt, no `except Exception` stops it."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _leave(status: int, line: str) -> NoReturn:
    print(line, file=sys.stderr, flush=True)
    # Ending in order would wait for threads that colour; what was theirs is deleted already.
    sys.stdout.flush()
    os._exit(status)
