"""Random crops and flips on the device, drawn per sample."""

from dataclasses import dataclass

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from irodori.color.planes import full_precision

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
        left_B, top_B, width_B, height_B = self.windows(draws_B5, *images_BCHW.shape[-2:]).unbind(1)
        mirror_B = draws_B5[:, 4] < 0.5 if self.flip else torch.zeros_like(left_B, dtype=torch.bool)
        zero_B = torch.zeros_like(left_B)
        scale_x_B, scale_y_B = self.side / width_B, self.side / height_B
        # Pixel centres lie at half integers of the window's own coordinates.
        shift_x_B = (0.5 - left_B) * scale_x_B - 0.5
        shift_y_B = (0.5 - top_B) * scale_y_B - 0.5
        sign_B = torch.where(mirror_B, -1.0, 1.0)
        shift_x_B = torch.where(mirror_B, self.side - 1 - shift_x_B, shift_x_B)
        matrix_B23 = torch.stack(
            [
                torch.stack([sign_B * scale_x_B, zero_B, shift_x_B], dim=1),
                torch.stack([zero_B, scale_y_B, shift_y_B], dim=1),
            ],
            dim=1,
        )
        return warp_affine(
            images_BCHW,
            matrix_B23,
            (self.side, self.side),
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )
