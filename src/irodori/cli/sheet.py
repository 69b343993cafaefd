"""`irodori sheet`: each photo in each of several styles."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Checkpoint, Saturation, StyleStrength, Trust
from irodori.cli.reporting import report_errors
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import waiting

MAX_PICTURES = 4096
"""Largest number of pictures in a sheet."""


def sheet(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, one row each.")],
    styles: Annotated[Path, typer.Option(help="Folder of style images, one column each.")],
    output: Annotated[Path, typer.Option(help="Picture to write: .png, .jpg or .webp.")],
    checkpoint: Checkpoint = None,
    style_strength: StyleStrength = 1.0,
    saturation: Saturation = 1.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing picture.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Colorize each photo in each style, and write all results as one picture."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.imageio import FORMATS, WRITTEN
    from irodori.inference.job.inputs import find_photos, identity_of
    from irodori.inference.settings import ColorizeSettings
    from irodori.utils.files import replacing

    complete = True

    def report_unread(line: str) -> None:
        nonlocal complete
        complete = False
        print(f"error: {line}", file=sys.stderr)

    with report_errors():
        settings = ColorizeSettings(saturation=saturation, style_strength=style_strength)
        kind = WRITTEN.get(output.suffix.lower())
        if kind not in ("PNG", "JPEG", "WEBP"):
            raise IrodoriError(f"{output}: give a name that ends with .png, .jpg or .webp")
        if output.exists() and not overwrite:
            raise IrodoriError(f"{output} already exists: --overwrite replaces it")
        for folder in (photos, styles):
            if not folder.is_dir():
                why = "not a folder" if folder.exists() else "no such folder"
                raise IrodoriError(f"{folder}: {why}")
        found = [find_photos([str(folder)], None) for folder in (photos, styles)]
        rows, columns = (sorted(source.path for source in some.sources) for some in found)
        if output.exists() and identity_of(output) in map(identity_of, rows + columns):
            raise IrodoriError(
                f"{output} is an input and would be replaced: choose another --output"
            )
        for path, reason in (unread for some in found for unread in some.unread):
            report_unread(f"{path}: {reason}")
        if (len(rows) + 1) * (len(columns) + 1) > MAX_PICTURES:
            raise IrodoriError(
                f"{len(rows)} photos × {len(columns)} styles are too many for one sheet of"
                f" {MAX_PICTURES}"
            )
        with waiting(f"colorizing {photos} in {len(columns)} styles"):
            # Imported here, so that errors above are reported without importing torch.
            from irodori.inference.colorizer import Colorizer
            from irodori.inference.style_sheet import read_small, size_of, style_sheet

            size = size_of(len(rows), len(columns))
            if max(size) > FORMATS[kind].side:
                raise IrodoriError(
                    f"{output}: {kind} holds at most {FORMATS[kind].side} pixels a side, and the"
                    f" sheet has {size[0]} × {size[1]}: give a name that ends with .png"
                )
            colorizer = Colorizer.load(checkpoint, settings, trust=trust or ())
            pictures = [read_small(paths, report_unread) for paths in (rows, columns)]
            if not all(pictures):
                raise IrodoriError("no photo or no style image could be read")
            picture = style_sheet(colorizer, *pictures)
        with replacing(output) as file:
            picture.save(file, kind, quality=95)
    print(output)
    if not complete:
        raise typer.Exit(1)
