"""per_image.csv: the metrics of each photograph."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from irodori.metrics.catalog import HEAD, METRICS, WEIGHT
from irodori.metrics.evaluation import Record
from irodori.utils.files import replacing

NAME = "per_image.csv"


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write the file, whole or not at all: a line for each row of the table and photograph.

    Columns are those of the metrics that were measured, in the order of the catalog, then others;
    a metric that isn't defined of a photograph is an empty cell. Numbers have all their digits.
    """
    measured = dict.fromkeys([*HEAD, *(column for record in records for column in record)])
    catalog = [column for name in METRICS for column in (name, name + WEIGHT)]
    order = dict.fromkeys([*HEAD, *catalog, *measured])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [column for column in order if column in measured])
    writer.writeheader()
    writer.writerows(records)
    with replacing(folder / NAME) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
