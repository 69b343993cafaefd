"""`irodori shards`: writing and verifying shards."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from irodori.utils.errors import IrodoriError

app = typer.Typer(help="Write photographs as shards, and verify shards.", no_args_is_help=True)

JOBS = Annotated[int | None, typer.Option(help="Processes.", show_default="as many as cores")]


@app.command()
def write(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of class folders, Places365, Places205 or ImageNet as downloaded, "
            "or a CSV with the header path,label[,split]."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the shards.")],
    size: Annotated[
        int, typer.Option(help="Short side in pixels that larger images are scaled down to.")
    ] = 256,
    near_gray: Annotated[
        float,
        typer.Option(
            help="Leave images out whose (Cb, Cr) is closer to gray than this, root mean square "
            "over the pixels, in levels of 255; 0 keeps all."
        ),
    ] = 4.0,
    val_share: Annotated[
        float | None,
        typer.Option(
            help="Share of each class for validation.", show_default="0.05, or as published"
        ),
    ] = None,
    shard_samples: Annotated[int, typer.Option(help="Images a shard, about.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the order in which images lie.")] = 0,
    decode: Annotated[
        bool,
        typer.Option(
            help="--no-decode copies images that fit by their header without looking at their "
            "pixels: fast, but damaged ones are not found."
        ),
    ] = True,
    layout: Annotated[
        str | None,
        typer.Option(
            help="folders, csv, places365, places205 or imagenet.", show_default="detected"
        ),
    ] = None,
    jobs: JOBS = None,
) -> None:
    """Write images as shards with an index; an interrupted run goes on when given again."""
    from irodori.data.writing.job import Options, write_source
    from irodori.data.writing.photo import NEAR_GRAY, Preparation

    preparation = Preparation(size, near_gray, decode)
    options = Options(preparation, val_share, shard_samples, seed)
    signal.signal(signal.SIGTERM, _leave)
    start = time.perf_counter()
    try:
        summary = write_source(source, output, options, layout, jobs)
    except IrodoriError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail(f"interrupted: give the same command again, and {output} is gone on with", 130)
    except _Terminated:
        _fail(f"terminated: give the same command again, and {output} is gone on with", 143)
    if summary is None:
        print(f"{output} is finished already: check it by `verify`, or delete it to write it again")
    else:
        rate = summary.fresh / (time.perf_counter() - start)
        rejected = {kind: n for kind, n in sorted(summary.reasons.items()) if kind != NEAR_GRAY}
        print(
            f"{summary.train + summary.val:,} of {summary.files:,} images written "
            f"({summary.train:,} train, {summary.val:,} val) in {summary.shards:,} shards, "
            f"{summary.num_bytes / 1e6:,.1f} MB, {rate:,.0f} images/s"
        )
        print(f"near-gray: {summary.reasons[NEAR_GRAY]:,} left out")
        said = ", ".join(f"{kind} {count:,}" for kind, count in rejected.items())
        print(f"rejected: {sum(rejected.values()):,}" + (f" ({said})" if said else ""))
        if summary.reasons:
            print(f"each with its reason: {output / 'rejected.csv'}")
    print(
        f"next: python train.py data=shards 'data.train=\"{output}/train-*.tar\"' "
        f"'data.val=\"{output}/val-*.tar\"'"
    )


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder of shards with index.json.")],
    jobs: JOBS = None,
) -> None:
    """Check shards against their index; one line for each thing that is wrong."""
    from irodori.data.writing.verify import verify as verify_folder

    signal.signal(signal.SIGTERM, _leave)
    try:
        verdict = verify_folder(folder, jobs)
    except IrodoriError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except _Terminated:
        _fail("terminated", 143)
    for line in verdict.problems:
        print(line)
    if verdict.problems:
        shards = "1 shard" if verdict.damaged == 1 else f"{verdict.damaged:,} shards"
        _fail(f"{shards} of {folder} not as the index says: restore or write again")
    print(f"{verdict.shards:,} shards, {verdict.images:,} images: whole")


@app.command()
def prior(
    shards: Annotated[str, typer.Argument(help="Shards: a path, glob or brace pattern.")],
    output: Annotated[Path, typer.Argument(help="The JSON file to write.")],
) -> None:
    """Count how frequent colours are, for class-balanced figures (ab_prior=<file>)."""
    from irodori.data.prior import prior_of_shards

    try:
        counted = prior_of_shards(shards)
        counted.save(output)
    except IrodoriError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{output}: {error.strerror or error}")
    print(f"{output}: the colours of {counted.photographs:,} photographs")


class _Terminated(BaseException):
    """SIGTERM; as KeyboardInterrupt, no `except Exception` stops it."""


def _leave(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _fail(message: str, status: int = 1) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(status)
