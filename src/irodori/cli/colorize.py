"""`irodori colorize`: photos in, coloured photos out."""

import io
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from irodori.cli.options import CHECKPOINT, Trust
from irodori.utils.errors import IrodoriError

if TYPE_CHECKING:
    from irodori.inference.job.options import Options
    from irodori.inference.job.plan import Plan


def colorize(
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders, or quoted patterns ('scans/**/*.jpg'); - is standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(help="Folder for the coloured photos; for one photo a file, too, or -."),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help=CHECKPOINT,
            show_default="the bundled model",
        ),
    ] = None,
    style: Annotated[
        Path | None, typer.Option(help="A photo whose scene decides the colours.")
    ] = None,
    style_strength: Annotated[
        float, typer.Option(help="How far it does: 0, not at all, to 1, alone.")
    ] = 1.0,
    saturation: Annotated[float, typer.Option(help="Of the colours: 0 (gray) to 2.")] = 1.0,
    work_size: Annotated[
        str | None,
        typer.Option(
            help="Short side in pixels at which the network sees a photo; native: its own.",
            show_default="256",
        ),
    ] = None,
    sequence: Annotated[
        bool,
        typer.Option("--sequence", help="The photos are one sequence: one scene for all of them."),
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="jpeg, png, tiff, webp, or bmp, which holds no EXIF.",
            show_default="each photo's own",
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="Of JPEG and WebP: 1 to 100.", show_default="97 and 95")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out photos whose results are there, by their names."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="A line of JSON on standard output for each photo.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Photos at a time.", show_default="as many as cores")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    trust: Trust = None,
) -> None:
    """Colour photos; each keeps its size, its own lightness and what its file says of it."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.inference.job.options import Options, work_size_of
    from irodori.inference.job.plan import make_plan
    from irodori.inference.job.suffixes import SHORT

    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files are what they are, be they UTF-8 or not.
        sys.stdout.reconfigure(errors="surrogateescape")
    signal.signal(signal.SIGTERM, _terminate)
    again = "give the same command with --resume to go on"
    try:
        options = Options(
            checkpoint,
            style,
            style_strength,
            saturation,
            work_size_of(work_size),
            sequence,
            None if format is None else SHORT.get(format.lower(), format.lower()),
            quality,
            device,
            jobs,
            overwrite,
            resume,
            trust or (),
        )
        options.check()
        if style is None and style_strength != 1:
            raise IrodoriError("--style-strength goes with --style")
        if output == "-" and sys.stdout.isatty():
            raise IrodoriError("--output - writes a photo: send it to a file or a program")
        if json and output == "-":
            raise IrodoriError("--json and a photo can't both go to standard output")
        plan = make_plan(photos, output, options)
        status = _color(plan, options, json)
    except IrodoriError as error:
        _leave(1, f"error: {error}")
    except KeyboardInterrupt:
        _leave(130, f"interrupted: {again}")
    except _Terminated:
        _leave(143, f"terminated: {again}")
    if status:
        raise typer.Exit(status)


def _color(plan: "Plan", options: "Options", as_json: bool) -> int:
    """Colour what is planned and tell of it. Returns the exit status."""
    from irodori.inference.job.progress import Meter
    from irodori.inference.job.report import Report
    from irodori.inference.job.run import color_photos

    for folder, reason in plan.unread:
        print(f"error: {folder}: {reason}", file=sys.stderr)
    if plan.skipped:
        print(f"left out, by the ends of their names no photos: {plan.skipped:,}", file=sys.stderr)
    if plan.done:
        print(f"{plan.done:,} of {len(plan.everything):,} photos done already", file=sys.stderr)
    with Meter(len(plan.tasks)) as meter:
        report = Report(meter, as_json)
        if plan.tasks:
            with closing(color_photos(plan, options, meter.error)) as outcomes:
                for outcome in outcomes:
                    report.tell(outcome)
    if report.failures:
        print(
            f"{report.failures:,} of {len(plan.tasks):,} photos could not be coloured",
            file=sys.stderr,
        )
    return 1 if report.failures or plan.unread else 0


class _Terminated(BaseException):
    """SIGTERM; as KeyboardInterrupt, no `except Exception` stops it."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _leave(status: int, line: str) -> NoReturn:
    from irodori.inference.job.run import at_work

    print(line, file=sys.stderr, flush=True)
    if at_work():
        # Ending in order would wait for them.
        sys.stdout.flush()
        os._exit(status)
    raise typer.Exit(status)
