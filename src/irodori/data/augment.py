"""Random crops, flips, tone curves and aging on the device, functions of a sample's own draws."""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from kornia.geometry.transform import remap
from torch import Tensor

from irodori.color.precision import full_precision
from irodori.config.ranges import Range
from irodori.data.aging import age
from irodori.utils.errors import IrodoriError

SEEDS = 1 << 24
"""The number of different values that a draw, fp32 in [0, 1), has."""


class AugmentationBase(ABC):
    """Base class of random changes to training images between decoding and the network.

    An augmentation of your own says how many uniform random numbers a sample takes, and overrides
    `on_rgb` and, if the network's input alone is to change, `on_luminance`:

        class Brightness(AugmentationBase):
            crop = 224
            draws = 1

            def on_rgb(self, rgb_B3HW, draws_BD):
                return rgb_B3HW[..., :224, :224] * (0.8 + 0.4 * draws_BD.view(-1, 1, 1, 1))

    The result must depend on the images and the draws only, and never on a generator of random
    numbers: then a run can be resumed in the middle of an epoch, on any number of processes.
    """

    crop: int
    """The side of the squares that the network is trained on, in pixels."""
    draws: int
    """The number of uniform random numbers that a sample takes."""

    @abstractmethod
    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return what luminance and target chrominance are made of.

        Args:
            rgb_B3HW: sRGB in [0, 1], fp32, squares of `data.size`.
            draws_BD: fp32 in [0, 1), D = `draws`, on the same device.

        Returns:
            sRGB B×3×crop×crop in [0, 1], fp32.
        """

    def on_luminance(self, luminance_B1HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return the luminance that the network sees; the target chrominance stays as it is.

        Args:
            luminance_B1HW: B×1×crop×crop in [0, 1], fp32.
            draws_BD: those of `on_rgb`, but always on the CPU: to read them as numbers there
                doesn't wait for the device.

        Returns:
            The same shape and range.
        """
        return luminance_B1HW


class Augmentation(AugmentationBase):
    """A random window of the image, scaled to a square, maybe mirrored, its luminance changed.

    Args:
        crop: side of the result in pixels.
        crop_scale: smallest and largest side of the window as a share of the image's side.
        crop_aspect: the window is stretched by a random ratio in [1 / crop_aspect, crop_aspect].
        flip: mirror every second image on average.
        age: the share of images whose luminance is made that of an old print.
        tone: the largest change of the tone curve of luminance, as films and scanners differ: its
            exponent lies between 2^−tone and 2^tone, and black and white each move by up to tone/4.

    Raises:
        IrodoriError: the smallest scale is above the largest.
    """

    draws = 9

    def __init__(
        self,
        crop: Annotated[int, Range(min=1)] = 224,
        crop_scale: Annotated[tuple[float, float], Range(above=0, max=1)] = (0.875, 0.875),
        crop_aspect: Annotated[float, Range(min=1)] = 1.0,
        flip: bool = True,
        age: Annotated[float, Range(min=0, max=1)] = 0.0,
        tone: Annotated[float, Range(min=0, max=1)] = 0.0,
    ) -> None:
        if crop_scale[0] > crop_scale[1]:
            raise IrodoriError(
                f"augmentation.crop_scale={list(crop_scale)} is [smallest, largest]: set it to"
                f" {list(crop_scale)[::-1]}"
            )
        self.crop = crop
        self.crop_scale = crop_scale
        self.crop_aspect = crop_aspect
        self.flip = flip
        self.age = age
        self.tone = tone

    def windows(self, draws_BD: Tensor, height: int, width: int) -> Tensor:
        """Return left, top, width and height of each window in pixels (B×4), inside the image."""
        low, high = self.crop_scale
        scale_B = low + (high - low) * draws_BD[:, 0]
        stretch_B = self.crop_aspect ** (draws_BD[:, 1] - 0.5)
        width_B = (scale_B * stretch_B).clamp(max=1) * width
        height_B = (scale_B / stretch_B).clamp(max=1) * height
        size_B2 = torch.stack([width_B, height_B], dim=1)
        free_B2 = torch.stack([width - width_B, height - height_B], dim=1)
        corner_B2 = draws_BD[:, 2:4] * free_B2
        # A window of the result's own size lies on whole pixels: its crop is a copy, not a blur.
        exact_B1 = (size_B2 - self.crop).abs().amax(1, keepdim=True) < 1e-3
        whole_B2 = (draws_BD[:, 2:4] * (free_B2.round() + 1)).floor().minimum(free_B2.round())
        return torch.cat([torch.where(exact_B1, whole_B2, corner_B2), size_B2], dim=1)

    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Crop and flip, bilinear; see `AugmentationBase`."""
        height, width = rgb_B3HW.shape[-2:]
        # Outside autocast: in bf16, positions would be whole pixels off.
        with full_precision(rgb_B3HW.device):
            left_B1, top_B1, width_B1, height_B1 = self.windows(draws_BD, height, width).split(1, 1)
            # Centers of the result's pixels as a share of the window, then in the image's pixels.
            share_1S = ((torch.arange(self.crop, device=rgb_B3HW.device) + 0.5) / self.crop)[None]
            x_BS, y_BS = left_B1 + share_1S * width_B1 - 0.5, top_B1 + share_1S * height_B1 - 0.5
            if self.flip:
                x_BS = torch.where(draws_BD[:, 4:5] < 0.5, x_BS.flip(1), x_BS)
            size = (-1, self.crop, self.crop)
            # `remap` counts pixels by their centers, which it calls aligned corners.
            return remap(
                rgb_B3HW,
                x_BS[:, None].expand(size),
                y_BS[:, :, None].expand(size),
                padding_mode="border",
                align_corners=True,
            )

    def on_luminance(self, luminance_B1HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Change the tone of all pictures, and age a share of them; see `AugmentationBase`."""
        if self.tone:
            amount_B3 = draws_BD[:, 6:9].to(luminance_B1HW.device, non_blocking=True) * self.tone
            curve_B3 = amount_B3[..., None, None].split(1, 1)
            gamma_B1, black_B1, white_B1 = curve_B3
            luminance_B1HW = luminance_B1HW ** (4**gamma_B1 / 2**self.tone)
            luminance_B1HW = torch.lerp(black_B1 / 4, 1 - white_B1 / 4, luminance_B1HW)
        if not self.age:
            return luminance_B1HW
        # One draw chooses the pictures and their prints.
        chosen = draws_BD[:, 5].numpy().tolist()
        aged = [
            age(luminance_1HW, int(draw * SEEDS)) if draw < self.age else luminance_1HW
            for luminance_1HW, draw in zip(luminance_B1HW, chosen, strict=True)
        ]
        return torch.stack(aged)
