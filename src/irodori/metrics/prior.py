"""The prior: how frequent colors are in photographs. Class-balanced metrics weigh by it."""

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
"""Width of the Gaussian that smooths the shares, in ab units (Zhang 2016)."""
RAREST = 1e-5
"""A bin with a smaller smoothed share, also one never seen, weighs as if it had this one."""


@dataclass(frozen=True, eq=False)
class AbPrior:
    """Shares of pixels by a* and b*, each photograph counting the same.

    The 23×23 bins are 10×10 ab units wide and have their centers at −110, −100, …, 110, so that
    gray lies in the middle of one; an edge belongs to the bin above it. What lies beyond ±115
    (no sRGB color does) counts in the outermost bins.
    """

    shares_AB: Tensor
    """23×23, float64 on the CPU, with a sum of 1: rows by a*, columns by b*, both rising."""
    mean_ab: tuple[float, float]
    """Mean a* and b*, per photograph and then over them."""
    photographs: int
    """Number of photographs that it was made from."""
    made: str
    """Description of how it was made."""
    name: str = ""
    """Name of the file that it was read from; empty otherwise."""

    @classmethod
    def of(cls, pictures: Iterable[Tensor], made: str) -> "AbPrior":
        """Count the colors of photographs.

        Args:
            pictures: 3×H×W uint8 each, of any sizes.
            made: in words, which photographs these are.

        Raises:
            IrodoriError: there are none.
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
        # Decimals that a file shows without loss.
        shares_AB = (total_AB / photographs).round(decimals=9)
        a, b = (round(value, 4) for value in (total_ab / photographs).tolist())
        return cls(shares_AB, (a, b), photographs, made)

    @classmethod
    def load(cls, path: Path) -> "AbPrior":
        """Read what `save` has written.

        Raises:
            IrodoriError: the file is missing, damaged, or of another kind.
        """
        try:
            return cls(*_parsed(json.loads(path.read_bytes())), name=path.name)
        except OSError as error:
            reason = error.strerror or "it can't be read"
            raise IrodoriError(f"no prior can be read from {path}: {reason}") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise IrodoriError(
                f"{path} is no prior of colors, or is damaged: make it anew with AbPrior.of, or"
                " name another file"
            ) from error

    def save(self, path: Path) -> None:
        """Write a JSON file with one line per row of bins, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        write_file(path, self._text.encode())

    @property
    def identity(self) -> str:
        """The text beside a metric: the file's name and the start of its sha256."""
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
            # British, as in the priors that exist: the hash of this text identifies them.
            "bins": f"centres -{FARTHEST}, ..., {FARTHEST} by {STEP}; rows by a*, columns by b*",
        }
        lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        return "\n".join(["{", *lines, ' "shares": [', rows, " ]", "}", ""])

    def weights(self, ab_2HW: Tensor) -> Tensor:
        """Return what each pixel counts: more, the rarer its color is.

        The inverse of the smoothed share of its bin, but of 1e-5 where that is smaller, scaled so
        that the mean weight of pixels as frequent as in the prior is 1. The smoothing is that of
        Zhang 2016, a Gaussian with σ = 5 ab units over the bins' centers, with no part of an even
        distribution (λ = 0).

        Args:
            ab_2HW: a* and b*, 2×H×W.

        Returns:
            H×W, float64, on the device of `ab_2HW`.
        """
        return self._weights.to(ab_2HW.device)[bins_of(ab_2HW)]

    @cached_property
    def smoothed_shares(self) -> Tensor:
        """The shares spread over neighboring bins by a Gaussian with σ = 5 ab units: 23×23."""
        centers = torch.arange(BINS, dtype=torch.float64) * STEP
        kernel = torch.exp(-0.5 * ((centers[:, None] - centers) / SIGMA) ** 2)
        # Each bin spreads its whole share, also at the borders.
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
        ValueError, TypeError, KeyError: they aren't such fields.
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
