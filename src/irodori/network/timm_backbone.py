"""timm models as backbones: a feature pyramid, and the mean of the deepest level."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.config.ranges import Range
from irodori.network.backbone import (
    LOCAL,
    SKIPS,
    Backbone,
    Global,
    Local,
    conv_block,
    divided,
    extended,
    linear_block,
    scaled,
)
from irodori.network.timm_encoder import STRIDES, create_encoder


class TimmBackbone(Backbone):
    """A backbone with an encoder of timm, randomly initialized until `load_pretrained`.

    The encoder's input is one channel of luminance, normalized by the encoder's mean and standard
    deviation (averaged over its three channels). Photos are padded at the bottom and right, by
    replicating borders, to a multiple of the deepest stride. Levels of stride 8 and deeper are
    merged by a feature pyramid (Lin et al., 2017). An encoder with a single stride (ViT) is
    extended by a `SimplePyramid`. Global features are computed from the mean of the deepest level
    of the photo at `input_size`.

    Args:
        name: name of a timm model, such as "resnet18" or "resnet18.a1_in1k".
        width: width multiplier of all layers except the encoder's.
        global_features: False for no global path.
        input_side: side in pixels of the global path's square input; None: the encoder's
            pretraining size. If it equals the size of training crops, both paths share the
            encoder's features.

    Raises:
        ValueError: timm has no such model, or it is unsuitable as a backbone.
    """

    encoder: nn.Module

    def __init__(
        self,
        name: str,
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
        global_features: bool = True,
        input_side: Annotated[int | None, Range(min=1)] = None,
    ) -> None:
        super().__init__()
        self.encoder, self.info = create_encoder(name)
        # Includes the tag of the weights, which determines the normalization.
        self.name = self.arguments["name"] = self.info.name
        self.input_size = self.info.size if input_side is None else (input_side, input_side)
        channels = dict(zip(self.info.strides, self.info.channels, strict=True))
        self.simple_pyramid: SimplePyramid | None = None
        if len(channels) == 1:
            self.simple_pyramid = SimplePyramid(self.info.strides[0], self.info.channels[0])
            channels = self.simple_pyramid.channels
        self.strides = sorted(channels)
        self.step = self.strides[-1]
        c256, c512 = scaled(256, width), scaled(512, width)
        self.local_channels = c256
        self.skip_channels = {s: channels[s] for s in SKIPS if s in channels}
        self.pyramid = Pyramid([channels[s] for s in self.strides if s >= LOCAL], c256)
        if global_features:
            self.global_channels, self.scene_channels = c256, c512
            self.global_linear = linear_block(channels[self.step], c512)
            self.global_output = linear_block(c512, c256)
        self.depthwise = any(
            isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
            for module in self.encoder.modules()
        )

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        size = luminance_B1HW.shape[-2:]
        if not self.global_channels or style_B1HW is not None or size != self.input_size:
            return super().forward(luminance_B1HW, style_B1HW)
        levels = self._levels(luminance_B1HW)
        return self._local(levels, *size), self._global(levels)

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        return self._local(self._levels(luminance_B1HW), *luminance_B1HW.shape[-2:])

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        return self._global(self._levels(self.resized(luminance_B1HW)))

    def load_pretrained(self) -> str:
        # Imported here, since only training needs it; it may contact servers.
        from irodori.pretrained.imagenet import encoder_weights

        weights, source = encoder_weights(self.name)
        self.encoder.load_state_dict(weights)
        return source

    def _local(self, levels: dict[int, Tensor], height: int, width: int) -> Local:
        """Return the local features of a photo of this size."""
        features_BCHW = self.pyramid([level for s, level in levels.items() if s >= LOCAL])
        skips = {
            s: levels[s][..., : divided(height, s), : divided(width, s)] for s in self.skip_channels
        }
        return Local(features_BCHW[..., : divided(height, LOCAL), : divided(width, LOCAL)], skips)

    def _global(self, levels: dict[int, Tensor]) -> Global:
        """Return the global features from levels at `input_size`."""
        scene_BC = self.global_linear(levels[self.step].mean((2, 3)))
        return Global(self.global_output(scene_BC), scene_BC)

    def _levels(self, luminance_B1HW: Tensor) -> dict[int, Tensor]:
        """Return the levels by stride s: B×C×h/s×w/s for the padded size h×w."""
        levels = self._encode(
            (extended(luminance_B1HW, self.step) - self.info.mean) / self.info.std
        )
        if self.simple_pyramid is not None:
            made: dict[int, Tensor] = self.simple_pyramid(levels[-1])
            return made
        return dict(zip(self.info.strides, levels, strict=True))

    def _encode(self, input_B1HW: Tensor) -> list[Tensor]:
        """Return the encoder's levels, B×C×h×w each."""
        device = input_B1HW.device.type
        with_gradients = torch.is_grad_enabled() and not self.encoder_frozen
        # On CPUs, the backward pass of depthwise convolutions is slower in bf16 than in fp32.
        in_fp32 = self.depthwise and with_gradients and device == "cpu"
        autocast = torch.is_autocast_enabled(device) and not in_fp32
        with torch.set_grad_enabled(with_gradients), torch.autocast(device, enabled=autocast):
            scale = self.info.input_scale
            if scale != 1:
                size = [round(side * scale) for side in input_B1HW.shape[-2:]]
                input_B1HW = functional.interpolate(input_B1HW, size, mode="bilinear")
            levels: list[Tensor] = self.encoder(input_B1HW)
        if self.info.channels_last:
            levels = [level.permute(0, 3, 1, 2) for level in levels]
        return levels


class SimplePyramid(nn.Module):
    """Creates levels at strides 8, 16 and 32 from a single one (ViTDet, Li et al., 2022).

    Finer levels use transposed 2×2 convolutions that halve the channels, coarser ones 2×2 max
    pooling.

    Args:
        stride: stride of the single level: 8, 16 or 32.
        channels: channels of the single level.
    """

    def __init__(self, stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.channels = {s: channels if s >= stride else channels * s // stride for s in STRIDES}
        self.upsampling = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(self.channels[2 * s], self.channels[s], 2, stride=2),
                nn.BatchNorm2d(self.channels[s]),
                nn.ReLU(inplace=True),
            )
            for s in reversed(STRIDES)
            if s < stride
        )

    def forward(self, level_BCHW: Tensor) -> dict[int, Tensor]:
        """Map B×channels×h×w to B×channels[s]×h·stride/s×w·stride/s by stride s, finest first."""
        levels = {self.stride: level_BCHW}
        for number, block in enumerate(self.upsampling):
            finest = self.stride >> number
            levels = {finest // 2: block(levels[finest]), **levels}
        for stride in STRIDES:
            if stride > self.stride:
                levels[stride] = functional.max_pool2d(levels[stride // 2], 2)
        return levels


class Pyramid(nn.Module):
    """Merges feature levels, from the finest (stride 8) to the deepest, into one at stride 8.

    Args:
        channels: channels of the levels, finest first; each level has half the size of the
            previous.
        outputs: number of output channels.
    """

    def __init__(self, channels: list[int], outputs: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            for inputs in channels
        )
        self.output = conv_block(outputs, outputs)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Map levels B×channels[i]×h/2ⁱ×w/2ⁱ to B×outputs×h×w."""
        *finer, merged_BCHW = (
            lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)
        )
        for level_BCHW in reversed(finer):
            merged_BCHW = level_BCHW + functional.interpolate(
                merged_BCHW, size=level_BCHW.shape[-2:], mode="nearest"
            )
        output_BCHW: Tensor = self.output(merged_BCHW)
        return output_BCHW
