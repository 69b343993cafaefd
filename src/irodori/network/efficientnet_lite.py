"""EfficientNet-Lite as an encoder with one input channel, without importing timm.

The bundled model uses it, and importing timm takes longer than colorizing a photo. Layers have the
names of timm's `tf_efficientnet_lite0` …, so that weights are interchangeable.

M. Tan, Q. Le: *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, 2019; the
Lite models of their repository have no squeeze-and-excitation and use ReLU6.
"""

import math
from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

STEM = 32
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""For each stage: blocks, kernel, stride of the first block, expansion, channels."""
LEVELS = (0, 1, 2, 4, 6)
"""Stages whose outputs are the returned levels."""


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without classification head; returns features at strides 2, 4, 8, 16, 32.

    Args:
        width: width multiplier of all blocks; 1.0 in Lite0 and Lite1, 1.1 in Lite2.
        depth: multiplier of the number of blocks, except in the first and last stages; 1.0 in
            Lite0, 1.1 in Lite1, 1.2 in Lite2.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self.pad = same_padding(3)
        self.conv_stem = convolution(1, STEM, 3, stride=2)
        self.bn1 = norm(STEM)
        stages, inputs = [], STEM
        for blocks, kernel, stride, expansion, channels in STAGES:
            outputs = stage_channels(channels, width)
            scaled = math.ceil(blocks * depth) if blocks > 1 else blocks
            first = Block(inputs, outputs, kernel, stride, expansion)
            more = (Block(outputs, outputs, kernel, 1, expansion) for _ in range(scaled - 1))
            stages.append(nn.Sequential(first, *more))
            inputs = outputs
        self.blocks = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # As in Tan and Le's code: by fan-out.
                fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
                nn.init.normal_(module.weight, 0, (2 / fan_out) ** 0.5)

    def forward(self, input_B1HW: Tensor) -> list[Tensor]:
        """Return the levels, B×C×H/stride×W/stride each; H and W must be multiples of 32."""
        features_BCHW = functional.relu6(self.bn1(self.conv_stem(self.pad(input_B1HW))))
        levels = []
        for number, stage in enumerate(self.blocks):
            features_BCHW = stage(features_BCHW)
            if number in LEVELS:
                levels.append(features_BCHW)
        return levels


def stage_channels(channels: int, width: float) -> int:
    """Return channels × width, rounded to a multiple of 8."""
    return int(channels * width + 4) // 8 * 8


class Block(nn.Sequential):
    """An inverted residual: depthwise convolution between 1×1 convolutions."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        middle = inputs * expansion
        pad = nn.Identity() if stride == 1 else same_padding(kernel)
        depthwise = convolution(middle, middle, kernel, stride, groups=middle)
        layers = [pad, depthwise, norm(middle), nn.ReLU6()]
        names = ["pad", "conv_dw", "bn1", "act1", "conv_pw", "bn2"]
        if expansion > 1:
            layers = [convolution(inputs, middle, 1), norm(middle), nn.ReLU6(), *layers]
            names = ["conv_pw", "bn1", "act1", "pad", "conv_dw", "bn2", "act2", "conv_pwl", "bn3"]
        layers += [convolution(middle, outputs, 1), norm(outputs)]
        super().__init__(OrderedDict(zip(names, layers, strict=True)))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Map B×inputs×H×W to B×outputs×H/stride×W/stride."""
        output_BCHW = features_BCHW
        for layer in self:
            output_BCHW = layer(output_BCHW)
        return output_BCHW + features_BCHW if self.residual else output_BCHW


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias; with a stride of 2 it follows a `same_padding`."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def same_padding(kernel: int) -> nn.Module:
    """Return TensorFlow-style padding for stride 2: one less at the left and top."""
    return nn.ZeroPad2d((kernel // 2 - 1, kernel // 2) * 2)


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with TensorFlow's epsilon."""
    return nn.BatchNorm2d(channels, 1e-3)
