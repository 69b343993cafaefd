"""per_image.csv: the figures of each photograph."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from irodori.data.files import replacing
from irodori.metrics.catalog import FIGURES
from irodori.metrics.evaluation import Record

NAME = "per_image.csv"
HEAD = ("row", "key", "scene", "width", "height")


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write the file, whole or not at all: a line for each row of the table and photograph.

    Columns are those of the figures that were measured, in the order of the catalog; a figure that
    isn't defined of a photograph is an empty cell. Numbers have all their digits.
    """
    measured = set().union(*records)
    known = [column for name in FIGURES for column in (name, f"{name}_weight")]
    text = io.StringIO(newline="")
    columns = [*HEAD, *(column for column in known if column in measured)]
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(records)
    with replacing(folder / NAME) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
