"""What each figure is called, how it is read, and the definition that stands beside it."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "near zero", "neither"]


@dataclass(frozen=True)
class Figure:
    """A figure of colorization."""

    name: str
    """Its key in metrics.json and its column in per_image.csv."""
    title: str
    """In tables and plots."""
    unit: str
    """Empty where there is none."""
    better: Better
    digits: int
    """Decimal places in tables."""
    definition: str
    """The protocol, in one line."""
    per_photograph: bool = True
    """Whether it is measured of each photograph, or of the set as a whole."""

    def text(self, value: float | None) -> str:
        """The value as tables show it; a dash where it isn't defined."""
        return "–" if value is None else f"{value:.{self.digits}f}"


def _catalog(*figures: Figure) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


FIGURES = _catalog(
    Figure(
        "chroma_rmse",
        "chrominance RMSE",
        "ab units",
        "lower",
        2,
        "root of the mean over pixels and both channels of the squared CIE a*b* (D65) error of the"
        " decoded 8-bit picture, per photograph, then the mean",
    ),
    Figure(
        "ciede2000",
        "CIEDE2000",
        "ΔE₀₀",
        "lower",
        2,
        "mean over pixels of the CIEDE2000 difference (kL = kC = kH = 1), per photograph, then the"
        " mean",
    ),
    Figure(
        "ciede2000_p95",
        "CIEDE2000, 95 %",
        "ΔE₀₀",
        "lower",
        2,
        "95th percentile over pixels of the CIEDE2000 difference, per photograph, then the mean",
    ),
    Figure(
        "psnr",
        "PSNR",
        "dB",
        "higher",
        2,
        "peak 255, on 8-bit RGB, per photograph, then the mean; equal pictures count as if one"
        " value were off by one level; flatters, since the true lightness is reused",
    ),
    Figure(
        "ssim",
        "SSIM",
        "",
        "higher",
        4,
        "on 8-bit RGB, data range 255, Gaussian window of 11×11 with σ = 1.5, mean over channels"
        " and over places that the whole window fits in, per photograph of at least 11×11 pixels,"
        " then the mean",
    ),
    Figure(
        "auc",
        "raw AuC",
        "%",
        "higher",
        2,
        "share of pixels with an a*b* distance of at most t, t = 0…150 in steps of 1, trapezoid"
        " rule over 150, per photograph, then the mean (Zhang 2016); look at the gray row beside"
        " it",
    ),
    Figure(
        "auc_balanced",
        "class-balanced AuC",
        "%",
        "higher",
        2,
        "raw AuC with each pixel weighted by the inverse frequency of its true a*b* bin under the"
        " prior that is named beside it, over all pixels, each photograph counting the same",
    ),
    Figure(
        "colorfulness",
        "colorfulness",
        "",
        "neither",
        2,
        "√(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb) with rg = R−G, yb = (R+G)/2−B on 0…255, signed, as in"
        " Hasler and Süsstrunk, per photograph, then the mean",
    ),
    Figure(
        "colorfulness_abs",
        "colorfulness of |rg|, |yb|",
        "",
        "neither",
        2,
        "the same of |rg| and |yb|, as in the code of DDColor and CT2",
    ),
    Figure(
        "colorfulness_difference",
        "Δ colorfulness",
        "",
        "near zero",
        2,
        "colorfulness (signed) of the prediction less that of the true photograph, then the mean",
    ),
    Figure(
        "colorfulness_abs_difference",
        "Δ colorfulness of |rg|, |yb|",
        "",
        "near zero",
        2,
        "the same of colorfulness_abs",
    ),
    Figure(
        "lpips_alex",
        "LPIPS (AlexNet)",
        "",
        "lower",
        4,
        "LPIPS 0.1 with AlexNet, RGB scaled to −1…1, per photograph of at least 31×31"
        " pixels, then the mean",
    ),
    Figure(
        "lpips_vgg",
        "LPIPS (VGG)",
        "",
        "lower",
        4,
        "LPIPS 0.1 with VGG-16, RGB scaled to −1…1, per photograph of at least 16×16 pixels, then"
        " the mean",
    ),
    Figure(
        "accuracy",
        "scene accuracy, top 1",
        "%",
        "higher",
        1,
        "share of the photographs with a class of which the likeliest scene is the right one",
    ),
    Figure(
        "accuracy_top5",
        "scene accuracy, top 5",
        "%",
        "higher",
        1,
        "share of the photographs with a class whose scene is among the five likeliest",
    ),
    Figure(
        "fid",
        "FID",
        "",
        "lower",
        2,
        "Fréchet distance of 2048 Inception-v3 features (torch-fidelity's weights and scaling to"
        " 299×299) to the true photographs of the same set; from 2,048 photographs on",
        per_photograph=False,
    ),
    Figure(
        "kid",
        "KID × 1000",
        "",
        "lower",
        2,
        "1000 × the mean over 100 subsets of min(1000, n // 2) photographs of the squared maximum"
        " mean discrepancy of 2048 Inception-v3 features (torch-fidelity's weights and scaling to"
        " 299×299) to the true photographs of the same set; from four photographs on",
        per_photograph=False,
    ),
    Figure(
        "lite0_frechet",
        "Fréchet distance (Lite0)",
        "",
        "lower",
        2,
        "Fréchet distance of the 320 channels of EfficientNet-Lite0's deepest features (ImageNet,"
        " mean over places, whole picture at 224×224) to the true photographs of the same set; not"
        " FID; from 320 photographs on",
        per_photograph=False,
    ),
    Figure(
        "lite0_kernel",
        "kernel distance (Lite0) × 1000",
        "",
        "lower",
        1,
        "1000 × the unbiased squared maximum mean discrepancy, over pairs of different photographs,"
        " with the kernel (x·y / 320 + 1)³ of the 320 channels of EfficientNet-Lite0's deepest"
        " features (ImageNet, mean over places, whole picture at 224×224) to the true photographs"
        " of the same set; not KID; from four photographs on",
        per_photograph=False,
    ),
)
"""Every figure there is, in the order of tables."""
