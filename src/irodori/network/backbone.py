"""`Backbone`, the base class of networks from luminance to features, and basic layers."""

import re
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from irodori.config.describable import Describable
from irodori.utils.errors import IrodoriError

LOCAL = 8
"""Stride of the local features."""
SKIPS = (4, 2)
"""Strides of the finer features for skip connections."""
BLOCK = re.compile(r"(?:\D\w*\.)*?(?:\d+\.)+")
"""Pattern of the part of a parameter's name that identifies a block: names, then numbers."""


class Local(NamedTuple):
    """Local features of a batch of photos."""

    features_BCHW: Tensor
    """B×local_channels×⌈H/8⌉×⌈W/8⌉."""
    skips: dict[int, Tensor]
    """Finer features by stride s: B×skip_channels[s]×⌈H/s⌉×⌈W/s⌉."""


class Global(NamedTuple):
    """Global features of a batch of photos."""

    features_BC: Tensor
    """B×global_channels, the input of the fusion."""
    scene_BC: Tensor
    """B×scene_channels, the input of the scene classification."""


class Backbone(nn.Module, Describable):
    """Base class of backbones.

    A subclass sets the attributes and implements `local_features` and, with a global path,
    `global_features`:

        class Mine(Backbone):
            local_channels = global_channels = scene_channels = 64

            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.Conv2d(1, 64, 9, stride=8, padding=4)

            def local_features(self, luminance_B1HW):
                return Local(self.layers(luminance_B1HW), {})

            def global_features(self, luminance_B1HW):
                mean_BC = self.layers(self.resized(luminance_B1HW)).mean((2, 3))
                return Global(mean_BC, mean_BC)

    Constructor arguments must be plain values or `Describable` objects, so that checkpoints can
    store them.

    Attributes:
        local_channels, global_channels, scene_channels: channels of `Local` and `Global`; the
            latter two are 0 without a global path.
        skip_channels: channels of the finer features (strides 4 and 2), by stride.
        step: deepest stride of the local features in pixels. Tiles that begin at multiples of it
            have the same features as the whole photo.
        input_size: height and width of the global path's input.
        encoder: submodule with pretrained weights; None by default.
        encoder_frozen: whether the encoder is currently frozen, so that its gradients aren't
            computed.
    """

    local_channels: int
    global_channels: int = 0
    scene_channels: int = 0
    skip_channels: dict[int, int] = {}  # noqa: RUF012
    step: int = 8
    input_size: tuple[int, int] = (224, 224)
    encoder_frozen: bool = False
    _batch_norm_frozen: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.encoder: nn.Module | None = None

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        """Return the local features of luminance in [0,1], B×1×H×W with H, W ≥ 1."""
        raise NotImplementedError

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        """Return the global features of luminance in [0,1], B×1×H×W of any size; see `resized`."""
        raise NotImplementedError

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        """Return local and global features; the latter are None without a global path.

        Override this method to compute layers that both paths share only once.

        Args:
            luminance_B1HW: in [0,1], H, W ≥ 1.
            style_B1HW: luminance of an image whose global features replace the photo's.
        """
        local = self.local_features(luminance_B1HW)
        if not self.global_channels:
            return local, None
        return local, self.global_features(luminance_B1HW if style_B1HW is None else style_B1HW)

    def resized(self, luminance_B1HW: Tensor) -> Tensor:
        """Scale luminance to `input_size`, the input of the global path."""
        return scaled_to(luminance_B1HW, *self.input_size)

    def first_layer(self) -> nn.Module:
        """Return the first module in bf16 inference; everything before it runs in fp32.

        By default it is the encoder or, without one, the first module with parameters.
        """
        layers = (m for m in self.modules() if next(m.parameters(recurse=False), None) is not None)
        return next(layers) if self.encoder is None else self.encoder

    def encoder_layers(self) -> list[list[nn.Parameter]]:
        """Return the encoder's parameters by block, starting at the input.

        Used for layer-wise learning rate decay. A block is a numbered module such as
        `stages.1.blocks.0`; other parameters belong to the preceding block.
        """
        layers: dict[str, list[nn.Parameter]] = {}
        block = ""
        for name, weight in self.encoder.named_parameters() if self.encoder is not None else ():
            if found := BLOCK.match(name):
                block = found[0]
            layers.setdefault(block, []).append(weight)
        return list(layers.values())

    def load_pretrained(self) -> str:
        """Load the encoder's pretrained weights, and return a message with their source.

        Raises:
            IrodoriError: there are no pretrained weights, or they can't be loaded.
        """
        raise IrodoriError(f"{type(self).__name__} has no pretrained weights")

    def freeze_batch_norm(self, frozen: bool) -> None:
        """Set whether the encoder's batch norms keep their running statistics during training."""
        self._batch_norm_frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self._batch_norm_frozen and self.encoder is not None:
            for module in self.encoder.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def scaled_to(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """Scale luminance (bilinear with antialiasing, ignoring the aspect ratio)."""
    if luminance_B1HW.shape[-2:] == (height, width):
        return luminance_B1HW
    # fp32: the antialiased filter has no bf16 kernel on every device.
    with torch.autocast(luminance_B1HW.device.type, enabled=False):
        return functional.interpolate(
            luminance_B1HW.float(), (height, width), mode="bilinear", antialias=True
        ).to(luminance_B1HW.dtype)


def divided(size: int, stride: int) -> int:
    """Return ⌈size/stride⌉, avoiding negative numbers, whose division ONNX rounds differently."""
    return (size + stride - 1) // stride


def extended(planes_BCHW: Tensor, multiple: int) -> Tensor:
    """Replicate the bottom and right borders, so that the size is a multiple of `multiple`.

    Padding by indexing can be traced with dynamic sizes.
    """
    for dim in (2, 3):
        size = planes_BCHW.shape[dim]
        index = torch.arange(divided(size, multiple) * multiple, device=planes_BCHW.device)
        planes_BCHW = planes_BCHW.index_select(dim, index.clamp(max=size - 1))
    return planes_BCHW


def scaled(channels: int, width: float) -> int:
    """Scale a number of channels by a width multiplier; 1.0 is the paper's network."""
    return max(1, round(channels * width))


def conv_block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return convolution with bias, batch norm, ReLU: B×inputs×H×W → B×outputs×⌈H/s⌉×⌈W/s⌉."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def linear_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a linear layer with bias, batch norm, ReLU: B×inputs → B×outputs."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))
