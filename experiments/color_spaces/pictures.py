"""Colorize unseen photographs of the sample with several runs.

`python experiments/color_spaces/pictures.py FILE TITLE=RUN TITLE=RUN …` writes a sheet: gray, each
run's picture, and the true one.
"""

import sys
from pathlib import Path

import torch

from irodori.color import Lab
from irodori.config import PROJECT
from irodori.data.images import to_short_side
from irodori.data.opening import ShardOpener
from irodori.data.samples import Samples
from irodori.inference.contact_sheet import contact_sheet, gray_of
from irodori.model import color_pictures, load_model

EVERY = 35
"""Keys of the sample's photographs, not selected by their results."""


@torch.inference_mode()
def main(file: str, *runs: str) -> None:
    """Colorize the photographs and write the sheet."""
    shards = str(PROJECT / "data" / "sample" / "sample-*.tar")
    samples = Samples(ShardOpener().open(shards))
    photos = [to_short_side(samples.image(n), 256) for n in range(0, len(samples), EVERY)]
    columns = [[gray_of(Lab(), photo_3HW) for photo_3HW in photos]]
    titles = ["gray"]
    for run in runs:
        title, _, folder = run.rpartition("=")
        model = load_model(Path(folder, "checkpoints", "last.ckpt"))
        columns.append(color_pictures(model.network, model.space, photos)[0])
        titles.append(title)
    rows = [list(row) for row in zip(*columns, photos, strict=True)]
    contact_sheet(rows, [*titles, "true"]).save(file, quality=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
