"""Which layout a source has."""

from collections.abc import Callable
from pathlib import Path

from irodori.data.writing.folders import read_folders
from irodori.data.writing.listed import read_csv
from irodori.data.writing.published import (
    is_imagenet,
    is_places205,
    is_places365,
    read_imagenet,
    read_places205,
    read_places365,
)
from irodori.data.writing.source import Source
from irodori.utils.errors import IrodoriError

LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Source]]] = {
    "csv": (Path.is_file, read_csv),
    "places365": (is_places365, read_places365),
    "places205": (is_places205, read_places205),
    "imagenet": (is_imagenet, read_imagenet),
    "folders": (Path.is_dir, read_folders),
}
"""How each is known and read; the first that fits is taken."""


def read_source(path: Path, layout: str | None = None) -> Source:
    """List a source's images; `layout` forces how it is read.

    Raises IrodoriError for a path that is not there, for a layout that is unknown or does not fit,
    and for a source without images.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise IrodoriError(f"there is no {path}: correct the path of the source")
    if layout is None:
        layout = next(name for name, (fits, _) in LAYOUTS.items() if fits(path))
    elif layout not in LAYOUTS:
        raise IrodoriError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    elif path.is_file() != (layout == "csv"):
        raise IrodoriError(f"layout {layout} needs a {'file' if layout == 'csv' else 'folder'}")
    source = LAYOUTS[layout][1](path)
    if not source.entries:
        raise IrodoriError(f"no images in {path} (layout {layout}): correct the path of the source")
    return source
