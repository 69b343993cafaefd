"""`irodori sheet`: photos against styles."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irodori.cli.options import CHECKPOINT, Trust
from irodori.utils.errors import IrodoriError, one_line

if TYPE_CHECKING:
    from irodori.inference.job.options import Options

MOST = 4096
"""Pictures on a sheet; more would be too large to look at."""


def sheet(
    photos: Annotated[Path, typer.Argument(help="A folder of photos, one a row.")],
    styles: Annotated[Path, typer.Option(help="A folder of style images, one a column.")],
    output: Annotated[Path, typer.Option(help="The picture to write: .png, .jpg or .webp.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help=CHECKPOINT,
            show_default="the bundled model",
        ),
    ] = None,
    style_strength: Annotated[
        float, typer.Option(help="How far a style decides: 0, not at all, to 1, alone.")
    ] = 1.0,
    saturation: Annotated[float, typer.Option(help="Of the colours: 0 (gray) to 2.")] = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture.")] = False,
    trust: Trust = None,
) -> None:
    """Show each photo in the style of each style image, in one picture."""
    # Imported here, so that `irodori --help` doesn't wait for them.
    from irodori.inference.job.inputs import find_photos
    from irodori.inference.job.options import Options
    from irodori.inference.job.suffixes import WRITTEN

    failures: list[str] = []
    written = False
    try:
        options = Options(
            checkpoint, style_strength=style_strength, saturation=saturation, trust=trust or ()
        )
        options.check()
        kind = WRITTEN.get(output.suffix.lower())
        if kind not in ("PNG", "JPEG", "WEBP"):
            raise IrodoriError(f"{output}: give a name that ends with .png, .jpg or .webp")
        if output.exists() and not overwrite:
            raise IrodoriError(f"{output} is there already: --overwrite replaces it")
        for folder in (photos, styles):
            if not folder.is_dir():
                why = "is no folder" if folder.exists() else "no such folder"
                raise IrodoriError(f"{folder}: {why}")
        rows, columns = (
            sorted(source.path for source in find_photos([str(folder)], None).sources)
            for folder in (photos, styles)
        )
        if (len(rows) + 1) * (len(columns) + 1) > MOST:
            raise IrodoriError(
                f"{len(rows)} photos × {len(columns)} styles are too many for one sheet of {MOST}"
            )
        _write(output, kind, rows, columns, options, failures.append)
        written = True
    except IrodoriError as error:
        failures.append(str(error))
    except OSError as error:
        failures.append(f"{output}: {error.strerror or one_line(error)}")
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    if written:
        print(output)
    if failures:
        raise typer.Exit(1)


def _write(
    output: Path,
    kind: str,
    photos: list[Path],
    styles: list[Path],
    options: "Options",
    told: Callable[[str], None],
) -> None:
    from irodori.inference.colorizer import Colorizer, Settings
    from irodori.inference.style_sheet import read_small, style_sheet
    from irodori.utils.files import replacing

    settings = Settings(saturation=options.saturation, style_strength=options.style_strength)
    colorizer = Colorizer.load(options.checkpoint, settings, trust=options.trust)
    rows, columns = read_small(photos, told), read_small(styles, told)
    if not rows or not columns:
        raise IrodoriError("no photos and styles are left for a sheet")
    picture = style_sheet(colorizer, rows, columns)
    with replacing(output) as file:
        picture.save(file, kind, quality=95)
