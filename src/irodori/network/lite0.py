"""EfficientNet-Lite0 as an encoder of one channel, as timm has it under `tf_efficientnet_lite0`.

Written out because the bundled model is based on it, and to import timm takes longer than to
colour a photo. Layers have timm's names, so that weights go either way.

M. Tan, Q. Le: *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, 2019; the
Lite models are those of their repository without squeeze-and-excitation, with ReLU6.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

NAME = "tf_efficientnet_lite0"
TAG = "in1k"
"""Of the weights: trained on ImageNet-1k."""
SIZE = (224, 224)
"""Height and width that it was trained with."""
MEAN = DEVIATION = 0.5
"""Of the input in [0,1]."""
STRIDES = (2, 4, 8, 16, 32)
CHANNELS = (16, 24, 40, 112, 320)
"""Of the levels, at these strides."""
EPSILON = 1e-3
"""Of the norms."""


class Stage(NamedTuple):
    """Blocks of equal width: the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LEVELS = (0, 1, 2, 4, 6)
"""The stages whose ends are the levels."""


class Lite0(nn.Module):
    """Features at strides 2 to 32, without what makes classes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConvolution(1, STEM, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(STEM, EPSILON)
        stages, inputs = [], STEM
        for stage in STAGES:
            blocks: list[nn.Module] = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                if stage.expansion == 1:
                    blocks.append(Separable(inputs, stage.channels, stage.kernel, stride))
                else:
                    middle = inputs * stage.expansion
                    blocks.append(
                        InvertedResidual(inputs, middle, stage.channels, stage.kernel, stride)
                    )
                inputs = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # Of Tan and Le's code: by what each output place sums up.
                kernel = module.kernel_size[0] * module.kernel_size[1]
                nn.init.normal_(
                    module.weight, 0, (2 / (kernel * module.out_channels / module.groups)) ** 0.5
                )

    def forward(self, picture_B1HW: Tensor) -> list[Tensor]:
        """Levels B×CHANNELS[i]×H/STRIDES[i]×W/STRIDES[i]; H and W are multiples of 32."""
        features_BCHW = functional.relu6(self.bn1(self.conv_stem(picture_B1HW)))
        levels = []
        for number, stage in enumerate(self.blocks):
            features_BCHW = stage(features_BCHW)
            if number in LEVELS:
                levels.append(features_BCHW)
        return levels


class SameConvolution(nn.Conv2d):
    """Without bias, padded as TensorFlow does: with a stride of 2 one more behind than before."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        around = 0 if stride == 2 else kernel // 2
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=around, groups=groups, bias=False
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×H×W → B×outputs×H/s×W/s; with a stride of 2, H and W are even."""
        if self.stride[0] == 2:
            behind = self.kernel_size[0] // 2
            before = self.kernel_size[0] - 2 - behind
            features_BCHW = functional.pad(features_BCHW, (before, behind, before, behind))
        return super().forward(features_BCHW)


class Separable(nn.Module):
    """A convolution of each channel for itself, and one across them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = SameConvolution(inputs, inputs, kernel, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs, EPSILON)
        self.conv_pw = SameConvolution(inputs, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs, EPSILON)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×H×W → B×outputs×H/s×W/s."""
        made_BCHW: Tensor = functional.relu6(self.bn1(self.conv_dw(features_BCHW)))
        made_BCHW = self.bn2(self.conv_pw(made_BCHW))
        return made_BCHW + features_BCHW if self.residual else made_BCHW


class InvertedResidual(nn.Module):
    """More channels, a convolution of each for itself, and few channels again."""

    def __init__(self, inputs: int, middle: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_pw = SameConvolution(inputs, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle, EPSILON)
        self.conv_dw = SameConvolution(middle, middle, kernel, stride, groups=middle)
        self.bn2 = nn.BatchNorm2d(middle, EPSILON)
        self.conv_pwl = SameConvolution(middle, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs, EPSILON)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×H×W → B×outputs×H/s×W/s."""
        made_BCHW: Tensor = functional.relu6(self.bn1(self.conv_pw(features_BCHW)))
        made_BCHW = functional.relu6(self.bn2(self.conv_dw(made_BCHW)))
        made_BCHW = self.bn3(self.conv_pwl(made_BCHW))
        return made_BCHW + features_BCHW if self.residual else made_BCHW
