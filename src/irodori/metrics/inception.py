"""FID and KID: how far a set of coloured photographs is from the set of the true ones."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from irodori.color.planes import full_precision
from irodori.errors import IrodoriError
from irodori.metrics.pair import Pair
from irodori.metrics.weight_files import INCEPTION, inception_missing

FEATURES = 2048
"""Of Inception-v3's last pooling."""
FID_FROM = 2048
"""With fewer photographs than features, their covariance can't be known."""
SUBSETS = 100
LARGEST_SUBSET = 1000
SEED = 0


class SetFigure(NamedTuple):
    """A figure of a set of photographs."""

    name: str
    """A key of `FIGURES`: fid or kid."""
    value: float
    """NaN with fewer than four photographs."""
    photographs: int
    """How many it was measured from."""


class InceptionDistance(Metric):
    """FID from 2,048 photographs on; KID × 1000 with fewer, which isn't biased by their number.

    The features are torch-fidelity's, which scales pictures to 299×299 as TensorFlow 1 does. The
    reference is the true photographs of the same set. KID is the mean over 100 subsets of
    min(1000, n // 2) photographs, drawn with a seed of its own; with another number of ranks the
    features come in another order, and the subsets are others.

    Args:
        fid_from: number of photographs from which on FID is measured.
        kwargs: of torchmetrics.

    Raises:
        IrodoriError: torch-fidelity or its weights are missing, or these are damaged.
    """

    full_state_update = False
    predicted: list[Tensor]
    true: list[Tensor]

    def __init__(self, fid_from: int = FID_FROM, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fid_from = fid_from
        self.network = _network()
        self.add_state("predicted", [], dist_reduce_fx="cat")
        self.add_state("true", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Start from nothing."""
        super().reset()
        # A rank without photographs has to have something of the right width to give to others.
        for features in (self.predicted, self.true):
            features.append(torch.zeros(0, FEATURES, device=self.device))

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor) -> None:
        """Take the features of one photograph.

        Raises:
            ValueError: see `Pair`; or a feature is not finite.
        """
        pair = Pair(predicted_3HW, true_3HW)
        for features, picture in (
            (self.predicted, pair.predicted_3HW),
            (self.true, pair.true_3HW),
        ):
            with full_precision(picture.device), torch.no_grad():
                (features_1F,) = self.network(picture[None])
            if not torch.isfinite(features_1F).all():
                raise ValueError("a feature of Inception is not a finite number")
            features.append(features_1F)

    def compute(self) -> SetFigure:
        """FID or KID, whichever the number of photographs allows."""
        # A list, or what all ranks' lists were joined to.
        predicted_NF, true_NF = (
            (torch.cat(features) if isinstance(features, list) else features).double()
            for features in (self.predicted, self.true)
        )
        photographs = len(true_NF)
        if photographs >= self.fid_from:
            return SetFigure("fid", frechet_distance(predicted_NF, true_NF), photographs)
        return SetFigure("kid", kernel_distance(predicted_NF, true_NF), photographs)


def frechet_distance(predicted_NF: Tensor, true_NF: Tensor) -> float:
    """FID of two sets of features (N×F, float64), N at least 2."""
    metric = FrechetInceptionDistance(_Features(true_NF.shape[1]), sync_on_compute=False)
    metric.to(true_NF.device)
    metric.update(true_NF, real=True)
    metric.update(predicted_NF, real=False)
    return float(metric.compute())


def kernel_distance(predicted_NF: Tensor, true_NF: Tensor) -> float:
    """KID × 1000 of two sets of features (N×F, float64); NaN if N is less than 4."""
    subset_size = min(LARGEST_SUBSET, len(true_NF) // 2)
    if subset_size < 2:
        return float("nan")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*")
        metric = KernelInceptionDistance(
            _Features(true_NF.shape[1]),
            subsets=SUBSETS,
            subset_size=subset_size,
            sync_on_compute=False,
        )
    metric.update(true_NF, real=True)
    metric.update(predicted_NF, real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        mean, _ = metric.compute()
    return 1000 * float(mean)


class _Features(nn.Module):
    """Stands where torchmetrics expects a network: its input already is the features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_NF: Tensor) -> Tensor:
        """Return them."""
        return features_NF


def _network() -> nn.Module:
    """Inception-v3 with torch-fidelity's weights: B×3×H×W uint8 → a tuple of B×2048 fp32."""
    if step := inception_missing():
        raise IrodoriError(f"fid and kid need a network: {step}")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with torch.random.fork_rng():
        try:
            network: nn.Module = FeatureExtractorInceptionV3(  # type: ignore[no-untyped-call]
                "inception-v3-compat", [str(FEATURES)], str(INCEPTION.path)
            )
        except Exception as error:  # of the many that unpickling can raise
            raise INCEPTION.damaged() from error
    return network
