"""Random crops, flips, tone curves and aging on the device, determined by each sample's draws."""

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
"""Number of distinct values of a draw (fp32 in [0, 1))."""


class AugmentationBase(ABC):
    """Base class of augmentations, applied to training batches on the device.

    A subclass states how many uniform random numbers each sample needs, and overrides `on_rgb` and,
    to change only the network's input, `on_luminance`:

        class Brightness(AugmentationBase):
            crop = 224
            draws = 1

            def on_rgb(self, rgb_B3HW, draws_BD):
                return rgb_B3HW[..., :224, :224] * (0.8 + 0.4 * draws_BD.view(-1, 1, 1, 1))

    The result must depend only on images and draws, never on a random number generator, so that a
    run can be resumed in the middle of an epoch on any number of processes.
    """

    crop: int
    """Side in pixels of the squares that the network is trained on."""
    draws: int
    """Number of uniform random numbers per sample."""

    @abstractmethod
    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return the pictures from which luminance and target chrominance are computed.

        Args:
            rgb_B3HW: sRGB in [0, 1], fp32, with sides of `data.size`.
            draws_BD: fp32 in [0, 1), D = `draws`, on the same device.

        Returns:
            sRGB B×3×crop×crop in [0, 1], fp32.
        """

    def on_luminance(self, luminance_B1HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return the luminance that the network sees; the target chrominance is unchanged.

        Args:
            luminance_B1HW: B×1×crop×crop in [0, 1], fp32.
            draws_BD: the draws of `on_rgb`, always on the CPU, so that reading them doesn't
                synchronize with the device.

        Returns:
            Luminance of the same shape and range.
        """
        return luminance_B1HW


class Augmentation(AugmentationBase):
    """Random resized crop and horizontal flip, with optional tone curves and aging.

    Args:
        crop: side of the result in pixels.
        crop_scale: smallest and largest side of the crop relative to the image's side.
        crop_aspect: the crop's aspect ratio is random in [1 / crop_aspect, crop_aspect].
        flip: flip horizontally with probability 0.5.
        age: probability that an image's luminance is made to look like an old print's.
        tone: largest change of the luminance's tone curve, since films and scanners differ: its
            exponent is between 2^−tone and 2^tone, and black and white each move by up to tone/4.

    Raises:
        IrodoriError: the smallest scale exceeds the largest.
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
        """Return left, top, width and height in pixels (B×4) of each crop, inside the image."""
        low, high = self.crop_scale
        scale_B = low + (high - low) * draws_BD[:, 0]
        stretch_B = self.crop_aspect ** (draws_BD[:, 1] - 0.5)
        width_B = (scale_B * stretch_B).clamp(max=1) * width
        height_B = (scale_B / stretch_B).clamp(max=1) * height
        size_B2 = torch.stack([width_B, height_B], dim=1)
        free_B2 = torch.stack([width - width_B, height - height_B], dim=1)
        corner_B2 = draws_BD[:, 2:4] * free_B2
        # A crop of the result's size is aligned to pixels, so that it is copied and not blurred.
        exact_B1 = (size_B2 - self.crop).abs().amax(1, keepdim=True) < 1e-3
        whole_B2 = (draws_BD[:, 2:4] * (free_B2.round() + 1)).floor().minimum(free_B2.round())
        return torch.cat([torch.where(exact_B1, whole_B2, corner_B2), size_B2], dim=1)

    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Crop and flip with bilinear interpolation; see `AugmentationBase`."""
        height, width = rgb_B3HW.shape[-2:]
        # Outside autocast: in bf16, positions would be off by whole pixels.
        with full_precision(rgb_B3HW.device):
            left_B1, top_B1, width_B1, height_B1 = self.windows(draws_BD, height, width).split(1, 1)
            # Pixel centers of the result, relative to the crop, then in pixels of the image.
            share_1S = ((torch.arange(self.crop, device=rgb_B3HW.device) + 0.5) / self.crop)[None]
            x_BS, y_BS = left_B1 + share_1S * width_B1 - 0.5, top_B1 + share_1S * height_B1 - 0.5
            if self.flip:
                x_BS = torch.where(draws_BD[:, 4:5] < 0.5, x_BS.flip(1), x_BS)
            size = (-1, self.crop, self.crop)
            # `remap` with align_corners=True puts integer coordinates at pixel centers.
            return remap(
                rgb_B3HW,
                x_BS[:, None].expand(size),
                y_BS[:, :, None].expand(size),
                padding_mode="border",
                align_corners=True,
            )

    def on_luminance(self, luminance_B1HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Change the tone of all pictures, and age some of them; see `AugmentationBase`."""
        if self.tone:
            amount_B3 = draws_BD[:, 6:9].to(luminance_B1HW.device, non_blocking=True) * self.tone
            curve_B3 = amount_B3[..., None, None].split(1, 1)
            gamma_B1, black_B1, white_B1 = curve_B3
            # A rounding error below black would have no power.
            luminance_B1HW = luminance_B1HW.clamp(min=0) ** (4**gamma_B1 / 2**self.tone)
            luminance_B1HW = torch.lerp(black_B1 / 4, 1 - white_B1 / 4, luminance_B1HW)
        if not self.age:
            return luminance_B1HW
        # One draw selects the pictures and seeds their aging.
        chosen = draws_BD[:, 5].numpy().tolist()
        aged = [
            age(luminance_1HW, int(draw * SEEDS)) if draw < self.age else luminance_1HW
            for luminance_1HW, draw in zip(luminance_B1HW, chosen, strict=True)
        ]
        return torch.stack(aged)
