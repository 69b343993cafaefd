"""A perceptual objective on chrominance and features of a pretrained encoder."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.config.ranges import Range
from irodori.pretrained import imagenet
from irodori.training.objectives import Objective, ObjectiveInput


class Perceptual(Objective):
    """L1 distance of chrominance + weight · distance of features of the decoded pictures.

    The features are those of EfficientNet-Lite0 (ImageNet; extra `lite0`) at strides 4, 8 and 16,
    normalized to unit length over channels at every position; their distance is the mean squared
    difference, summed over channels and averaged over positions and levels, as in LPIPS (Zhang and
    others, *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, 2018) without
    its learned weights.

    Args:
        weight: weight of the feature distance.

    Raises:
        IrodoriError: the encoder's weights aren't installed.
    """

    name = "perceptual"
    levels = (1, 2, 3)

    def __init__(self, weight: Annotated[float, Range(min=0)] = 0.1) -> None:
        super().__init__()
        self.weight = weight
        # In a list, which keeps it out of checkpoints and of the optimizer's parameters.
        self._encoder: list[nn.Module] = [imagenet.lite0_features()]

    def forward(self, inputs: ObjectiveInput) -> Tensor:
        """Return the loss, see `Objective`."""
        error_B = (inputs.predicted_BCHW - inputs.target_BCHW).abs().mean((1, 2, 3))
        with torch.no_grad():
            targets = self._features(inputs.target_rgb_B3HW)
        distances = [
            (predicted - target).square().sum(1).mean((1, 2))
            for predicted, target in zip(
                self._features(inputs.predicted_rgb_B3HW), targets, strict=True
            )
        ]
        return inputs.mean(error_B + self.weight * torch.stack(distances).mean(0))

    def _features(self, rgb_B3HW: Tensor) -> list[Tensor]:
        """Return the features of sRGB pictures at each level, normalized over channels."""
        self._encoder[0].to(rgb_B3HW.device)
        levels = self._encoder[0]((rgb_B3HW - imagenet.MEAN) / imagenet.STD)
        return [functional.normalize(levels[number].float(), dim=1) for number in self.levels]
