"""A color space, a backbone, a decoder, an augmentation and a stage of the data."""

from typing import Any

import torch
from torch import Tensor, nn

from irodori.color import ColorSpace
from irodori.data.augment import AugmentationBase
from irodori.network.backbone import Backbone, Global, Local
from irodori.network.decoders import Decoder


class Opponent(ColorSpace):
    """Mean, red − green, and yellow − blue of sRGB; an orthogonal matrix but for the scale."""

    chroma_range = (1.0, 1.0)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        """Return mean, red − green, and (red + green) / 2 − blue."""
        red, green, blue = rgb_B3HW.unbind(1)
        return torch.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], 1)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        """Return sRGB."""
        mean, red_green, yellow_blue = native_BDHW.unbind(1)
        yellow = mean + yellow_blue / 3
        return torch.stack(
            [yellow + red_green / 2, yellow - red_green / 2, mean - 2 * yellow_blue / 3], 1
        )


class Patches(Backbone):
    """A few convolutions, whose deepest level is also the global one."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.local_channels = self.global_channels = self.scene_channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 8, stride=8),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        """Return features at stride 8."""
        below, right = (-side % 8 for side in luminance_B1HW.shape[-2:])
        whole = nn.functional.pad(luminance_B1HW, (0, right, 0, below), mode="replicate")
        return Local(self.layers(whole), {})

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        """Return their mean over the photo."""
        mean_BC = self.layers(self.resized(luminance_B1HW)).mean((2, 3))
        return Global(mean_BC, mean_BC)


class Upsampled(Decoder):
    """One convolution, and bilinear upsampling."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, skip_channels: dict[int, int]
    ) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.scale = 4 / stride

    def forward(self, features_BCHW: Tensor, skips: dict[int, Tensor]) -> Tensor:
        """Return the prediction."""
        prediction_BQHW: Tensor = self.layer(features_BCHW)
        return nn.functional.interpolate(prediction_BQHW, scale_factor=self.scale, mode="bilinear")


class Brightness(AugmentationBase):
    """The upper left corner, at random a little darker."""

    draws = 1

    def __init__(self, crop: int = 24, min_factor: float = 0.8) -> None:
        self.crop = crop
        self.min_factor = min_factor

    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return the pictures."""
        factor_B111 = self.min_factor + (1 - self.min_factor) * draws_BD.view(-1, 1, 1, 1)
        return rgb_B3HW[..., : self.crop, : self.crop] * factor_B111


def darken(sample: dict[str, Any]) -> dict[str, Any]:
    """Return the sample with an image half as light; a stage of the data."""
    return {**sample, "image": sample["image"] // 2}
