"""The color prior: frequencies of colors in photographs, for class-balanced metrics."""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irodori.color.ab_bins import BINS, FARTHEST, STEP, bins_of
from irodori.metrics.chrominance import ab_of
from irodori.utils.errors import IrodoriError
from irodori.utils.files import write_file

FORMAT = "irodori ab prior 1"
SIGMA = 5.0
"""Standard deviation in ab units of the Gaussian that smooths the shares (Zhang 2016)."""
RAREST = 1e-5
"""Lower bound of smoothed shares in the weights, which also applies to empty bins."""


@dataclass(frozen=True, eq=False)
class AbPrior:
    """Shares of pixels in a*b* bins, with equal weights of photographs.

    The 23×23 bins have a size of 10×10 ab units and centers at −110, −100, …, 110, so that gray is
    the center of a bin. An edge belongs to the bin above it. Values beyond ±115, which no sRGB
    color reaches, fall into the outermost bins.
    """

    shares_AB: Tensor
    """Shares, 23×23 float64 on the CPU, with sum 1; rows along a*, columns along b*, ascending."""
    mean_ab: tuple[float, float]
    """Mean a* and b*, per photograph, then over photographs."""
    photographs: int
    """Number of photographs."""
    made: str
    """Description of the source."""
    name: str = ""
    """Name of the file that the prior was read from, or ""."""

    @classmethod
    def of(cls, pictures: Iterable[Tensor], made: str) -> "AbPrior":
        """Count the colors of photographs.

        Args:
            pictures: photographs, 3×H×W uint8 each, of any sizes.
            made: description of the photographs.

        Raises:
            IrodoriError: there are no photographs.
        """
        total_AB = torch.zeros(BINS, BINS, dtype=torch.float64)
        total_ab = torch.zeros(2, dtype=torch.float64)
        photographs = 0
        for picture_3HW in pictures:
            ab_2HW = ab_of(picture_3HW)
            counts = bins_of(ab_2HW).flatten().bincount(minlength=BINS**2).cpu()
            total_AB += counts.reshape(BINS, BINS) / counts.sum()
            total_ab += ab_2HW.double().mean((1, 2)).cpu()
            photographs += 1
        if not photographs:
            raise IrodoriError("no photographs to make a prior from: give at least one")
        # Rounded to decimals that a file stores without loss.
        shares_AB = (total_AB / photographs).round(decimals=9)
        a, b = (round(value, 4) for value in (total_ab / photographs).tolist())
        return cls(shares_AB, (a, b), photographs, made)

    @classmethod
    def load(cls, path: Path) -> "AbPrior":
        """Read a file written by `save`.

        Raises:
            IrodoriError: the file is missing, damaged, or not a prior.
        """
        try:
            return cls(*_parsed(json.loads(path.read_bytes())), name=path.name)
        except OSError as error:
            reason = error.strerror or "it can't be read"
            raise IrodoriError(f"no prior can be read from {path}: {reason}") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise IrodoriError(
                f"{path} is not a color prior, or is damaged: write it again, or name another file"
            ) from error

    def save(self, path: Path) -> None:
        """Write a JSON file with one line per row of bins, atomically.

        Raises:
            OSError: the file can't be written.
        """
        write_file(path, self._text.encode())

    @property
    def identity(self) -> str:
        """Identification in reports: file name and beginning of the sha256."""
        digest = hashlib.sha256(self._text.encode()).hexdigest()[:12]
        return f"{self.name or 'prior'} (sha256 {digest})"

    @property
    def _text(self) -> str:
        rows = ",\n".join(
            "  [" + ", ".join(f"{share:.9f}".rstrip("0").rstrip(".") for share in row) + "]"
            for row in self.shares_AB.tolist()
        )
        head = {
            "format": FORMAT,
            "made": self.made,
            "photographs": self.photographs,
            "mean_ab": self.mean_ab,
            # British spelling, since the hash of this text identifies existing priors.
            "bins": f"centres -{FARTHEST}, ..., {FARTHEST} by {STEP}; rows by a*, columns by b*",
        }
        lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        return "\n".join(["{", *lines, ' "shares": [', rows, " ]", "}", ""])

    def weights(self, ab_2HW: Tensor) -> Tensor:
        """Return the weight of each pixel, higher for rarer colors.

        The weight is the inverse of the bin's smoothed share (at least 1e-5), scaled to a mean of 1
        over the prior. Smoothing follows Zhang 2016, with a Gaussian of σ = 5 ab units over bin
        centers and without mixing in a uniform distribution (λ = 0).

        Args:
            ab_2HW: a* and b*, 2×H×W.

        Returns:
            Weights, H×W float64, on the device of `ab_2HW`.
        """
        return self._weights.to(ab_2HW.device)[bins_of(ab_2HW)]

    @cached_property
    def smoothed_shares(self) -> Tensor:
        """The shares smoothed by a Gaussian with σ = 5 ab units: 23×23."""
        centers = torch.arange(BINS, dtype=torch.float64) * STEP
        kernel = torch.exp(-0.5 * ((centers[:, None] - centers) / SIGMA) ** 2)
        # Normalized per source bin, so that shares are preserved at the borders.
        kernel /= kernel.sum(0)
        return kernel @ self.shares_AB @ kernel.T

    @cached_property
    def _weights(self) -> Tensor:
        """The weight of each bin, in the order of `bins_of`."""
        weights_AB = 1 / self.smoothed_shares.clamp(min=RAREST)
        mean = (self.shares_AB * weights_AB).sum() / self.shares_AB.sum()
        return (weights_AB / mean).flatten()


def _parsed(stored: Any) -> tuple[Tensor, tuple[float, float], int, str]:
    """Return the fields of a prior from JSON.

    Raises:
        ValueError, TypeError, KeyError: the fields are invalid.
    """
    if stored["format"] != FORMAT:
        raise ValueError(stored["format"])
    shares_AB = torch.tensor(stored["shares"], dtype=torch.float64)
    a, b = (float(value) for value in stored["mean_ab"])
    photographs, made = stored["photographs"], stored["made"]
    if (
        shares_AB.shape != (BINS, BINS)
        or not (shares_AB >= 0).all()
        or abs(shares_AB.sum().item() - 1) > 1e-5
        or not math.isfinite(a + b)
        or type(photographs) is not int
        or photographs < 1
        or type(made) is not str
    ):
        raise ValueError("out of range")
    return shares_AB, (a, b), photographs, made
