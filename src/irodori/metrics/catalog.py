"""The catalog of metrics: names, formats, directions and definitions.

It doesn't import torch, since tables, plots and `irodori compare` use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Better = Literal["lower", "higher", "near zero", "neither"]
HEAD = ("row", "key", "scene", "width", "height")
"""The first columns of per_image.csv."""
WEIGHT = "_weight"
"""Suffix of the column with a photograph's weight in the mean of a metric."""
AS_PREDICTED = "_predicted_luminance"
"""Suffix of rows whose pictures have the luminance predicted by the network."""
MAIN = "chroma_rmse"
"""The metric that selects checkpoints and, by default, ranks variants."""


@dataclass(frozen=True)
class MetricInfo:
    """The description of a metric.

    Raises:
        ValueError: the name is not an identifier or is that of another column, or a field has a
            wrong type.
    """

    name: str
    """Key in metrics.json and column in per_image.csv."""
    title: str
    """Name in tables and plots."""
    better: Better
    """Direction in which values are better."""
    definition: str
    """The definition, in one line."""
    unit: str = ""
    """Unit; "" if there is none."""
    digits: int = 2
    """Decimal places in tables, 0 to 9."""
    per_photograph: bool = True
    """Whether the metric is measured per photograph, or for the whole set."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in (*HEAD, "samples"):
            raise ValueError(f"a metric can't be named {self.name!r}")
        texts = (self.title, self.definition, self.unit)
        if (
            not all(isinstance(text, str) for text in texts)
            or self.better not in get_args(Better)
            or self.digits not in range(10)
            or not isinstance(self.per_photograph, bool)
        ):
            raise ValueError(f"the metric {self.name} is described by {self}")

    def text(self, value: float | None) -> str:
        """Format a value for tables; a dash if undefined."""
        # z: no sign for values that round to 0.
        return "–" if value is None else f"{value:z.{self.digits}f}"

    def to_json(self) -> dict[str, Any]:
        """Return the entry under "metrics" in metrics.json, without the definition."""
        return {field: getattr(self, field) for field in STORED}


STORED = ("title", "unit", "better", "digits", "per_photograph")


def stored_metrics(document: Mapping[str, Any]) -> dict[str, MetricInfo]:
    """Return the metrics of the catalog, followed by others described in a metrics.json.

    Args:
        document: content of a metrics.json; old ones don't describe metrics.

    Raises:
        ValueError: the description of a metric is invalid.
    """
    try:
        definitions = document.get("protocol", {}).get("definitions", {})
        others = {
            name: MetricInfo(
                name,
                definition=definitions.get(name, ""),
                **{field: described[field] for field in STORED},
            )
            for name, described in document.get("metrics", {}).items()
            if name not in METRICS
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its description of metrics is invalid: {error!r}") from None
    return METRICS | others


def _by_name(*metrics: MetricInfo) -> dict[str, MetricInfo]:
    return {metric.name: metric for metric in metrics}


METRICS = _by_name(
    MetricInfo(
        "chroma_rmse",
        "chrominance RMSE",
        "lower",
        "root of the mean over pixels and both channels of the squared CIE a*b* (D65) error of the"
        " decoded 8-bit picture, per photograph, then the mean",
        unit="ab units",
    ),
    MetricInfo(
        "ciede2000",
        "CIEDE2000",
        "lower",
        "mean over pixels of the CIEDE2000 difference (kL = kC = kH = 1), per photograph, then the"
        " mean",
        unit="ΔE₀₀",
    ),
    MetricInfo(
        "ciede2000_p95",
        "CIEDE2000, 95 %",
        "lower",
        "95th percentile over pixels of the CIEDE2000 difference, per photograph, then the mean",
        unit="ΔE₀₀",
    ),
    MetricInfo(
        "psnr",
        "PSNR",
        "higher",
        "peak 255, on 8-bit RGB, per photograph, then the mean; equal pictures count as if one"
        " value were off by one level; flatters, since the true lightness is reused",
        unit="dB",
    ),
    MetricInfo(
        "ssim",
        "SSIM",
        "higher",
        "on 8-bit RGB, data range 255, Gaussian window of 11×11 with σ = 1.5, mean over channels"
        " and over places that the whole window fits in, per photograph of at least 11×11 pixels,"
        " then the mean",
        digits=4,
    ),
    MetricInfo(
        "auc",
        "raw AuC",
        "higher",
        "share of pixels with an a*b* distance of at most t, t = 0…150 in steps of 1, trapezoid"
        " rule over 150, per photograph, then the mean (Zhang 2016); look at the gray row beside"
        " it",
        unit="%",
    ),
    MetricInfo(
        "auc_balanced",
        "class-balanced AuC",
        "higher",
        "raw AuC with each pixel weighted by the inverse frequency of its true a*b* bin under the"
        " prior that is named beside it, over all pixels, each photograph counting the same",
        unit="%",
    ),
    MetricInfo(
        "colorfulness",
        "colorfulness",
        "neither",
        "√(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb) with rg = R−G, yb = (R+G)/2−B on 0…255, signed, as in"
        " Hasler and Süsstrunk, per photograph, then the mean",
    ),
    MetricInfo(
        "colorfulness_abs",
        "colorfulness of |rg|, |yb|",
        "neither",
        "the same of |rg| and |yb|, as in the code of DDColor and CT2",
    ),
    MetricInfo(
        "colorfulness_difference",
        "Δ colorfulness",
        "near zero",
        "colorfulness (signed) of the prediction less that of the true photograph, then the mean",
    ),
    MetricInfo(
        "colorfulness_abs_difference",
        "Δ colorfulness of |rg|, |yb|",
        "near zero",
        "the same of colorfulness_abs",
    ),
    MetricInfo(
        "lpips_alex",
        "LPIPS (AlexNet)",
        "lower",
        "LPIPS 0.1 with AlexNet, RGB scaled to −1…1, per photograph of at least 31×31"
        " pixels, then the mean",
        digits=4,
    ),
    MetricInfo(
        "lpips_vgg",
        "LPIPS (VGG)",
        "lower",
        "LPIPS 0.1 with VGG-16, RGB scaled to −1…1, per photograph of at least 16×16 pixels, then"
        " the mean",
        digits=4,
    ),
    MetricInfo(
        "accuracy",
        "scene accuracy, top 1",
        "higher",
        "share of the photographs with a class of which the likeliest scene is the right one",
        unit="%",
        digits=1,
    ),
    MetricInfo(
        "accuracy_top5",
        "scene accuracy, top 5",
        "higher",
        "share of the photographs with a class whose scene is among the five likeliest",
        unit="%",
        digits=1,
    ),
    MetricInfo(
        "fid",
        "FID",
        "lower",
        "Fréchet distance of 2048 Inception-v3 features (torch-fidelity's weights and scaling to"
        " 299×299) to the true photographs of the same set; from 2,048 photographs on",
        per_photograph=False,
    ),
    MetricInfo(
        "kid",
        "KID × 1000",
        "lower",
        "1000 × the mean over 100 subsets of min(1000, n // 2) photographs of the squared maximum"
        " mean discrepancy of 2048 Inception-v3 features (torch-fidelity's weights and scaling to"
        " 299×299) to the true photographs of the same set; from four photographs on",
        per_photograph=False,
    ),
    MetricInfo(
        "lite0_frechet",
        "Fréchet distance (Lite0)",
        "lower",
        "Fréchet distance of the 320 channels of EfficientNet-Lite0's deepest features (ImageNet,"
        " mean over places, whole picture at 224×224) to the true photographs of the same set; not"
        " FID; from 320 photographs on",
        per_photograph=False,
    ),
    MetricInfo(
        "lite0_kernel",
        "kernel distance (Lite0) × 1000",
        "lower",
        "1000 × the unbiased squared maximum mean discrepancy, over pairs of different photographs,"
        " with the kernel (x·y / 320 + 1)³ of the 320 channels of EfficientNet-Lite0's deepest"
        " features (ImageNet, mean over places, whole picture at 224×224) to the true photographs"
        " of the same set; not KID; from four photographs on",
        digits=1,
        per_photograph=False,
    ),
)
"""All built-in metrics, in the order of tables."""
