"""FID and KID: distances of Inception-v3 features."""

import importlib.util
import warnings

import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from irodori.metrics.catalog import METRICS
from irodori.metrics.feature_distance import FeatureDistance, IdentityNetwork
from irodori.metrics.weight_files import INCEPTION

FEATURES = 2048
"""Number of features of Inception-v3's last pooling."""
SUBSETS = 100
LARGEST_SUBSET = 1000
SEED = 0


class InceptionDistance(FeatureDistance):
    """FID, and KID × 1000.

    Features come from torch-fidelity, which scales pictures to 299×299 as in TensorFlow 1. KID's
    subsets have a fixed seed, but depend on the number of ranks, which changes the order of
    features.
    """

    frechet = METRICS["fid"]
    kernel = METRICS["kid"]
    num_features = FEATURES

    @classmethod
    def missing(cls) -> str | None:
        """Return how to install what FID and KID need; None if it is installed."""
        steps = []
        if importlib.util.find_spec("torch_fidelity") is None:
            steps.append("install torch-fidelity (pip install 'irodori[perceptual]')")
        if step := INCEPTION.missing():
            steps.append(step)
        return " and ".join(steps) or None

    @staticmethod
    def make_network() -> nn.Module:
        """Return Inception-v3 (torch-fidelity's weights): B×3×H×W uint8 → tuple of B×2048 fp32."""
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        with torch.random.fork_rng(devices=[]):
            try:
                network: nn.Module = FeatureExtractorInceptionV3(  # type: ignore[no-untyped-call]
                    "inception-v3-compat", [str(FEATURES)], str(INCEPTION.path)
                )
            except Exception as error:  # unpickling raises many exceptions
                raise INCEPTION.damaged() from error
        return network

    def features(self, picture_13HW: Tensor) -> Tensor:
        """Return the features of a picture: 1×3×H×W uint8 → 1×2048."""
        features_1F: Tensor
        (features_1F,) = self.network(picture_13HW)
        return features_1F

    def by_kernel(self, predicted_NF: Tensor, true_NF: Tensor) -> float:
        """Return KID × 1000, with the customary protocol."""
        return kid(predicted_NF, true_NF)


def kid(predicted_NF: Tensor, true_NF: Tensor) -> float:
    """Return KID × 1000 of two sets of features (N×F, float64), N ≥ 4.

    It ignores pairing: photographs that are in both subsets make it smaller.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*")
        metric = KernelInceptionDistance(
            IdentityNetwork(true_NF.shape[1]),
            subsets=SUBSETS,
            subset_size=min(LARGEST_SUBSET, len(true_NF) // 2),
            sync_on_compute=False,
        )
    metric.update(true_NF, real=True)
    metric.update(predicted_NF, real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        mean, _ = metric.compute()
    return 1000 * float(mean)
