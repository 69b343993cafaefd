"""Measure how far colors bleed over edges when chrominance is upsampled from a working size.

`python experiments/colorize/bleeding.py <full-size color photographs>` reduces the true chrominance
of each photograph to a working size (the output of a perfect network), upsamples it with each
method, joins it with the photograph's own luminance, and measures CIEDE2000 in a band around the
true color edges. Writes bleeding.csv and bleeding.png beside this file.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from kornia.filters import guided_blur, joint_bilateral_blur
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import (  # type: ignore[attr-defined]
    binary_dilation as dilation,
)
from scipy.ndimage import (  # type: ignore[attr-defined]
    gaussian_gradient_magnitude as gradient,
)
from torch import Tensor
from torch.nn import functional

from irodori.color import Lab, rgb_to_lab, to_float
from irodori.color.difference import ciede2000
from irodori.inference.gamut import into_gamut
from irodori.inference.luminance import PhotoLuminance, to_levels
from irodori.inference.upsampling import GuidedUpsampler
from irodori.network.joint import reduce_chroma

HERE = Path(__file__).parent
WORK_SIZES = (256, 384, 512)
EDGES = 0.05
"""Share of a photograph's pixels with the steepest a*b* changes that count as edges."""
BAND = 3
"""Width in pixels of the evaluated band around an edge."""
LARGEST = 1600
"""Longer side in pixels to which photographs are scaled down, since some aren't sharper."""
LAB = Lab()


def fast_guided_filter(luminance: Tensor, chroma: Tensor, step: int) -> Tensor:
    """Apply kornia's guided filter at the reduced resolution, with the best of several settings."""
    kernel = 2 * step + 1
    return guided_blur(luminance, chroma, kernel, 1e-4, border_type="replicate", subsample=step)


def joint_bilateral(luminance: Tensor, chroma: Tensor, step: int) -> Tensor:
    """Apply kornia's joint bilateral filter by strips, with a window that reaches neighbors."""
    kernel, strips = 2 * step + 1, []
    for top in range(0, luminance.shape[2], STRIP):
        first = max(0, top - step)
        rows = slice(first, top + STRIP + step)
        made = joint_bilateral_blur(
            chroma[:, :, rows], luminance[:, :, rows], kernel, 0.05, (step / 2, step / 2)
        )
        strips.append(made[:, :, top - first : top - first + STRIP])
    return torch.cat(strips, 2)


STRIP = 64
"""Rows per strip of the joint bilateral filter, which takes kernel² times their memory."""
METHODS = ("nearest", "bilinear", "guided")
LIBRARY = {"kornia guided": fast_guided_filter, "kornia joint bilateral": joint_bilateral}
SHOWN = (*METHODS, *LIBRARY)


def main() -> None:
    """Measure, print a table, write the data and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, nargs="+", help="files")
    parser.add_argument("--picture", type=Path, help="the one to show")
    chosen = parser.parse_args()
    rows = []
    for path in chosen.photographs:
        true_HW3 = read(path)
        band_HW = edge_band(true_HW3)
        for work_size in WORK_SIZES:
            for method in SHOWN:
                made_HW3 = recolored(true_HW3, work_size, method)
                error_HW = difference(true_HW3, made_HW3)
                rows.append(
                    {
                        "photograph": path.name,
                        "height": len(true_HW3),
                        "width": true_HW3.shape[1],
                        "work_size": work_size,
                        "method": method,
                        "band": round(float(error_HW[band_HW].mean()), 3),
                        "all": round(float(error_HW.mean()), 3),
                    }
                )
    with (HERE / "bleeding.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(chosen.photographs)} photographs · CIEDE2000, mean: band of edges / whole")
    print("| work size | " + " | ".join(SHOWN) + " |")
    print("|---" * (len(SHOWN) + 1) + "|")
    for work_size in WORK_SIZES:
        cells = []
        for method in SHOWN:
            fitting = [r for r in rows if (r["work_size"], r["method"]) == (work_size, method)]
            means = [np.mean([float(row[key]) for row in fitting]) for key in ("band", "all")]
            cells.append(" / ".join(f"{mean:.2f}" for mean in means))
        print(f"| {work_size} | " + " | ".join(cells) + " |")
    if chosen.picture is not None:
        shown(read(chosen.picture), WORK_SIZES[0]).save(HERE / "bleeding.png")


def read(path: Path) -> np.ndarray:
    """Read a photograph as H×W×3 uint8, at most LARGEST pixels long."""
    with Image.open(path) as image:
        photo = image.convert("RGB")
    photo.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return np.asarray(photo)


def as_tensor(pixels_HW3: np.ndarray) -> Tensor:
    """Convert pixels to 1×3×H×W fp32 in [0,1]."""
    return to_float(torch.from_numpy(pixels_HW3.copy()).permute(2, 0, 1)[None])


def edge_band(true_HW3: np.ndarray) -> np.ndarray:
    """Return a mask, H×W bool, of pixels within BAND of the steepest a*b* changes."""
    ab_2HW = rgb_to_lab(as_tensor(true_HW3))[0, 1:].numpy()
    steepness_HW = np.hypot(*(gradient(plane, 1.0) for plane in ab_2HW))
    edges_HW = steepness_HW >= np.quantile(steepness_HW, 1 - EDGES)
    band_HW: np.ndarray = dilation(edges_HW, iterations=BAND)
    return band_HW


def recolored(true_HW3: np.ndarray, work_size: int, method: str) -> np.ndarray:
    """Return the photograph with its chrominance reduced to the working size and upsampled."""
    height, width = true_HW3.shape[:2]
    scale = work_size / min(height, width)
    small = (round(height * scale), round(width * scale))
    luminance = PhotoLuminance(true_HW3, LAB, torch.device("cpu"))
    image = Image.fromarray(true_HW3).resize(small[::-1], Image.Resampling.BILINEAR)
    seen_11hw, chroma_12hw = LAB.encode(as_tensor(np.asarray(image)))
    reduced_12hw = reduce_chroma(chroma_12hw)
    full_11HW = luminance.whole()
    if method == "guided":
        upsampler = GuidedUpsampler(reduced_12hw, seen_11hw, height, width)
        chroma_12HW = upsampler.rows(0, height, full_11HW)
    else:
        mode = "nearest-exact" if method == "nearest" else "bilinear"
        chroma_12HW = functional.interpolate(reduced_12hw, (height, width), mode=mode)
        if method in LIBRARY:
            chroma_12HW = LIBRARY[method](full_11HW, chroma_12HW, round(2 / scale))
    return to_levels(into_gamut(LAB, full_11HW, chroma_12HW), true_HW3.dtype)


def difference(true_HW3: np.ndarray, made_HW3: np.ndarray) -> np.ndarray:
    """Return CIEDE2000 between two pictures, H×W."""
    labs = [rgb_to_lab(as_tensor(pixels)) for pixels in (true_HW3, made_HW3)]
    difference_HW: np.ndarray = ciede2000(*labs)[0].squeeze().numpy()
    return difference_HW


def shown(true_HW3: np.ndarray, work_size: int) -> Image.Image:
    """Return a crop around the steepest edges: true, and by each method."""
    side = 240
    counts_HW = edge_band(true_HW3).astype(float)
    total = counts_HW.cumsum(0).cumsum(1)
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    sums += total[:-side, :-side]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    pieces = [("true", true_HW3)]
    pieces += [(method, recolored(true_HW3, work_size, method)) for method in SHOWN]
    sheet = Image.new("RGB", (len(pieces) * (2 * side + 8) - 8, 2 * side + 28), "white")
    font = ImageFont.load_default(18)
    for place, (name, pixels) in enumerate(pieces):
        piece = Image.fromarray(pixels[top : top + side, left : left + side])
        x = place * (2 * side + 8)
        sheet.paste(piece.resize((2 * side, 2 * side), Image.Resampling.NEAREST), (x, 28))
        ImageDraw.Draw(sheet).text((x + side, 14), name, "black", anchor="mm", font=font)
    return sheet


if __name__ == "__main__":
    main()
