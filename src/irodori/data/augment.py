"""Random crops and flips on the device, drawn per sample."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from irodori.color.planes import full_precision
from irodori.data.aging import Aging

CROP_DRAWS = 5
"""Uniform random numbers in [0,1) that a crop takes."""


@dataclass(frozen=True)
class CropAndFlip:
    """A random window of the image, scaled to a square, half of them mirrored.

    Args:
        side: of the result in pixels.
        scale: smallest and largest side of the window as a share of the image's side.
        aspect: the window is stretched by a random ratio in [1/aspect, aspect].
        flip: mirror every second image on average.

    Raises:
        ValueError: a setting is out of range.
    """

    side: int
    scale: tuple[float, float]
    aspect: float
    flip: bool

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(
                f"data.crop_scale={list(self.scale)} is not 0 < smallest ≤ largest ≤ 1"
            )
        if self.aspect < 1:
            raise ValueError(f"data.crop_aspect={self.aspect} is below 1")
        if self.side < 1:
            raise ValueError(f"data.crop={self.side} is below 1")

    def windows(self, draws_B5: Tensor, height: int, width: int) -> Tensor:
        """Left, top, width, height of each window in pixels (B×4), inside the image."""
        low, high = self.scale
        scale_B = low + (high - low) * draws_B5[:, 0]
        stretch_B = self.aspect ** (draws_B5[:, 1] - 0.5)
        size_B2 = torch.stack(
            [
                (scale_B * stretch_B).clamp(max=1) * width,
                (scale_B / stretch_B).clamp(max=1) * height,
            ],
            dim=1,
        )
        free_B2 = torch.tensor([width, height], device=draws_B5.device) - size_B2
        corner_B2 = draws_B5[:, 2:4] * free_B2
        # A window of the result's own size lies on whole pixels: its crop is a copy, not a blur.
        exact_B1 = (size_B2 - self.side).abs().amax(1, keepdim=True) < 1e-3
        whole_B2 = (draws_B5[:, 2:4] * (free_B2.round() + 1)).floor().minimum(free_B2.round())
        return torch.cat([torch.where(exact_B1, whole_B2, corner_B2), size_B2], dim=1)

    def __call__(self, images_BCHW: Tensor, draws_B5: Tensor) -> Tensor:
        """B×C×H×W fp32 → B×C×side×side, bilinear; draws in [0,1) (see `augmentation_draws`).

        Outside autocast: in bf16, places would be whole pixels off.
        """
        with full_precision(images_BCHW.device):
            return self._warp(images_BCHW, draws_B5)

    def _warp(self, images_BCHW: Tensor, draws_B5: Tensor) -> Tensor:
        height, width = images_BCHW.shape[-2:]
        left_B, top_B, width_B, height_B = self.windows(draws_B5, height, width).unbind(1)
        mirror_B = draws_B5[:, 4] < 0.5 if self.flip else torch.zeros_like(left_B, dtype=torch.bool)
        zero_B = torch.zeros_like(left_B)
        # From places of the result to those of the image, where each goes from −1 to 1.
        scale_x_B, scale_y_B = width_B / width, height_B / height
        middle_x_B, middle_y_B = (
            2 * left_B / width + scale_x_B - 1,
            2 * top_B / height + scale_y_B - 1,
        )
        rows = [
            [torch.where(mirror_B, -scale_x_B, scale_x_B), zero_B, middle_x_B],
            [zero_B, scale_y_B, middle_y_B],
        ]
        places_BHW2 = functional.affine_grid(
            torch.stack([torch.stack(row, dim=1) for row in rows], dim=1),
            [len(images_BCHW), images_BCHW.shape[1], self.side, self.side],
            align_corners=False,
        )
        return functional.grid_sample(
            images_BCHW, places_BHW2, padding_mode="border", align_corners=False
        )


class Augmentation:
    """Random crops, flips and aging of training batches, drawn by the plan."""

    draws = CROP_DRAWS + 1

    def __init__(
        self,
        crop: int = 224,
        crop_scale: tuple[float, float] = (0.875, 0.875),
        crop_aspect: float = 1.0,
        flip: bool = True,
        age: float = 0.0,
    ) -> None:
        self.crop = crop
        self.window = CropAndFlip(crop, crop_scale, crop_aspect, flip)
        self.aging = Aging(age)

    def on_rgb(self, rgb_B3HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Crop and flip."""
        return self.window(rgb_B3HW, draws_BD[:, :CROP_DRAWS])

    def on_luminance(self, luminance_B1HW: Tensor, draws_BD: Tensor) -> Tensor:
        """Age."""
        return self.aging(luminance_B1HW, draws_BD[:, CROP_DRAWS])
