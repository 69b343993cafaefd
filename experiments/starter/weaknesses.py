"""Where the bundled model fails: `python experiments/starter/weaknesses.py`.

Of the sample's photographs, none of which it has seen, those with the largest errors (left) and, of
the others, those whose errors exceed gray's by most (right), by per_photograph.csv of measure.py.
Writes weaknesses.jpg beside this file.
"""

from pathlib import Path

import pandas as pd
from torchvision.transforms.v2 import functional
from unseen import SAMPLES, read

from irodori import Colorizer
from irodori.color import Lab
from irodori.inference.contact_sheet import TITLES, Picture, contact_sheet, gray_of

ROWS = 4
HERE = Path(__file__).parent


def main() -> None:
    """Color and lay out."""
    measured = pd.read_csv(HERE / "per_photograph.csv", keep_default_na=False)
    sample = measured[measured["set"] == "sample"]
    error = sample.pivot(index="key", columns="variant", values="chroma_rmse").astype(float)
    largest = error.nlargest(ROWS, "bundled").index
    exceeding = (error["bundled"] - error["gray"]).drop(largest).nlargest(ROWS).index
    photos = {photo.key: photo.image_3HW for photo in read(f"{SAMPLES}/sample-*.tar")}
    colorizer = Colorizer.load()
    rows, captions = [], []
    for pair in zip(largest, exceeding, strict=True):
        row: list[Picture] = []
        for key in pair:
            true_3HW = photos[key]
            row += [
                gray_of(Lab(), true_3HW),
                colorizer(functional.to_pil_image(true_3HW)),
                true_3HW,
            ]
        rows.append(row)
        captions.append(
            [f"RMSE {error.bundled[key]:.0f} (gray {error.gray[key]:.0f})" for key in pair]
        )
    contact_sheet(rows, TITLES * 2, captions).save(HERE / "weaknesses.jpg", quality=90)


if __name__ == "__main__":
    main()
