"""`irodori colorize`: photos in, colorized photos out."""

import importlib.util
import io
import json
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irodori.cli.options import Checkpoint, Device, Saturation, StyleStrength, Trust
from irodori.cli.reporting import report_errors
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressBar, waiting

if TYPE_CHECKING:
    from irodori.inference.job.run import Outcome
    from irodori.inference.job.tasks import JobOptions, Plan

LISTED = 10
"""Number of skipped files that are named; `--verbose` names all."""
SHORT = {"JPG": "JPEG", "TIF": "TIFF"}
LIKELIEST = 5
"""Number of scenes per photo in the output of `--json`."""


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
        typer.Option(help="Folder for the results; for one photo also a file, or - for stdout."),
    ],
    checkpoint: Checkpoint = None,
    style: Annotated[
        Path | None, typer.Option(help="A photo whose scene determines the colors.")
    ] = None,
    style_strength: StyleStrength = 1.0,
    hints: Annotated[
        str | None,
        typer.Option(
            help="A file of hints (known colors at positions of the photo); auto takes the"
            " file photo.hints.json beside each photo.",
            metavar="FILE|auto",
            show_default=False,
        ),
    ] = None,
    saturation: Saturation = 1.0,
    work_size: Annotated[
        str,
        typer.Option(
            help="Short side in pixels at which the network sees a photo; native: its own size."
        ),
    ] = "256",
    sequence: Annotated[
        bool, typer.Option("--sequence", help="Use one scene for all photos, as for a film.")
    ] = False,
    recolor: Annotated[
        bool, typer.Option("--recolor", help="Also colorize photos that are already in color.")
    ] = False,
    page: Annotated[
        int | None,
        typer.Option(
            help="Page to read from files with several pages, counted from 1.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Format of the results: jpeg, png, tiff, webp or bmp (which stores no EXIF).",
            show_default="each photo's own",
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="JPEG and WebP quality, 1 to 100.", show_default="97 and 95")
    ] = None,
    dates: Annotated[
        bool,
        typer.Option("--dates", help="Give each result the modification time of its photo's file."),
    ] = False,
    source_type: Annotated[
        str, typer.Option(help="IPTC digital source type that results are marked with.")
    ] = "compositeWithTrainedAlgorithmicMedia",
    label: Annotated[
        bool, typer.Option("--label", help="Burn a small visible mark into results.")
    ] = False,
    no_provenance: Annotated[
        bool, typer.Option("--no-provenance", help="Don't mark results as colorized.")
    ] = False,
    c2pa: Annotated[
        Path | None,
        typer.Option(
            help="PEM file with certificates and key to sign results with (C2PA).",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip photos that already have results.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each photo.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name all skipped files.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(help="Number of photos to process at a time.", show_default="number of cores"),
    ] = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Colorize photos, keeping their size, lightness and metadata."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.imageio import Encoding
    from irodori.inference.job.tasks import JobOptions, make_plan
    from irodori.inference.settings import NATIVE, ColorizeSettings

    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names need not be valid UTF-8.
        sys.stdout.reconfigure(errors="surrogateescape")
    with report_errors("give the same command with --resume to continue"):
        if work_size != NATIVE and not work_size.isdecimal():
            raise IrodoriError(f"--work-size is {work_size}: give a number of pixels, or native")
        if output == "-" and sys.stdout.isatty():
            raise IrodoriError("--output - writes a photo: send it to a file or a program")
        if as_json and output == "-":
            raise IrodoriError("--json and a photo can't both go to standard output")
        size = NATIVE if work_size == NATIVE else int(work_size)
        name = None if format is None else format.upper()
        signer = None
        if c2pa is not None:
            if importlib.util.find_spec("c2pa") is None:
                raise IrodoriError("--c2pa needs a package: pip install 'irodori[c2pa]'")
            from irodori.imageio.signing import Signer

            signer = Signer(c2pa)
        options = JobOptions(
            settings=ColorizeSettings(size, saturation, style_strength),
            checkpoint=checkpoint,
            style=style,
            hints=hints,
            sequence=sequence,
            encoding=Encoding(SHORT.get(name, name) if name else None, quality),
            page=page,
            recolor=recolor,
            dates=dates,
            provenance=not no_provenance,
            source_type=source_type,
            label=label,
            signer=signer,
            overwrite=overwrite,
            resume=resume,
            device=device,
            jobs=jobs,
            trust=trust or (),
        )
        complete = _colorize(make_plan(photos, output, options), options, as_json, verbose)
    if not complete:
        raise typer.Exit(1)


def _colorize(plan: "Plan", options: "JobOptions", as_json: bool, verbose: bool) -> bool:
    """Colorize the planned photos and report results; return whether all succeeded."""
    from irodori.cli.colorize import Report
    from irodori.inference.job.run import colorize_photos
    from irodori.inference.job.tasks import AUTO

    found = plan.found
    for folder, reason in found.unread:
        print(f"error: {folder}: {reason}", file=sys.stderr)
    listed = found.skipped if verbose else found.skipped[:LISTED]
    for path, reason in listed:
        print(f"left out: {path}: {reason}", file=sys.stderr)
    if len(found.skipped) > len(listed):
        more = len(found.skipped) - len(listed)
        print(f"left out: {more:,} more files (--verbose names them)", file=sys.stderr)
    if done := len(plan.everything) - len(plan.tasks):
        print(f"{done:,} of {len(plan.everything):,} photos done already", file=sys.stderr)
    if options.hints == AUTO:
        hinted = sum(task.hints is not None for task in plan.tasks)
        print(f"hints for {hinted:,} of {len(plan.tasks):,} photos", file=sys.stderr)
    with Report(len(plan.tasks), as_json) as report:
        if plan.tasks:
            count = "1 photo" if len(plan.tasks) == 1 else f"{len(plan.tasks):,} photos"
            # Elsewhere than on a terminal the results' own lines say how far it is.
            alone = sys.stderr.isatty() and not report.visible
            lines = waiting(f"colorizing {count}") if alone else nullcontext()
            with lines, closing(colorize_photos(plan, options, report.print)) as outcomes:
                for outcome in outcomes:
                    report.outcome(outcome)
    if report.failures:
        print(f"{report.failures:,} of {len(plan.tasks):,} could not be colorized", file=sys.stderr)
    return not report.failures and not found.unread


class Report(ProgressBar):
    """A progress bar that prints results on stdout, errors and notes on stderr.

    Args:
        total: number of photos.
        as_json: print a JSON object for each photo, including those that couldn't be colorized.
    """

    def __init__(self, total: int, as_json: bool) -> None:
        super().__init__("", total, unit="photos")
        self.as_json = as_json
        self.failures = 0

    def outcome(self, outcome: "Outcome") -> None:
        """Print the outcome of a photo, and advance the bar."""
        for note in outcome.notes:
            self.print(f"{outcome.task}: {note}")
        if outcome.error is not None:
            self.failures += 1
            self.print(f"error: {outcome.task}: {outcome.error}")
        elif outcome.left is not None:
            self.print(f"{outcome.task}: {outcome.left}")
        line = json.dumps(described(outcome)) if self.as_json else str(outcome.target or "")
        if line:
            self.print(line, sys.stdout)
        self.advance()


def described(outcome: "Outcome") -> dict[str, object]:
    """Return the JSON object for a photo; sizes are width and height."""
    file = "-" if outcome.task.source is None else str(outcome.task.source)
    if outcome.error is not None:
        return {"file": file, "error": outcome.error}
    if outcome.left is not None:
        return {"file": file, "left": outcome.left}
    scenes = list(outcome.scenes.items())[:LIKELIEST]
    return {
        "file": file,
        "output": str(outcome.target),
        "width": outcome.size[0],
        "height": outcome.size[1],
        "work_size": list(outcome.work_size),
        "seconds": round(outcome.seconds, 3),
        "scenes": {name: round(share, 4) for name, share in scenes},
        "hints": outcome.hints,
        "notes": list(outcome.notes),
    }
