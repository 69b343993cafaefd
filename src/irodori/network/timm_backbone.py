"""Any image model of timm as a backbone: a pyramid of its levels, and the mean of the deepest."""

from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.network import lite0
from irodori.network.backbone import Backbone, Global, Local, divided, scaled_to
from irodori.network.blocks import conv_block, linear_block, scaled

LOCAL = 8
"""Stride of the local features."""
SKIPS = (4, 2)
"""Strides of the finer features."""


class TimmBackbone(Backbone):
    """An encoder of timm, without weights of its own: see `irodori.pretrained`.

    It sees luminance as one channel, less its own mean and divided by its own deviation (the means
    over the three channels that it was made for). Photos are enlarged at the bottom and on the
    right, by repeating their borders, to whole steps of the deepest level. The levels of stride 8
    and deeper are merged by a feature pyramid (Lin and others, 2017); global features come from the
    mean of the deepest level of the photo at the encoder's own input size.

    Args:
        name: of timm.
        width: multiplies the channels of every layer but the encoder's.
        global_features: False leaves the global path out.
        skips: also return the encoder's levels at strides 4 and 2, where it has them.

    Raises:
        ValueError: timm has no such model, or it can't be used like this.
    """

    def __init__(
        self,
        name: str,
        width: float = 1.0,
        global_features: bool = True,
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, facts = encoder(name)
        self.places = places(facts.strides)
        self.strides = sorted(self.places)
        self.step = self.strides[-1]
        channels = {s: facts.channels[self.places[s]] for s in self.strides}
        self.name = facts.name
        c256, c512 = scaled(256, width), scaled(512, width)
        self.local_channels = c256
        self.global_channels = c256 if global_features else 0
        self.scene_channels = c512 if global_features else 0
        self.skip_channels = {s: channels[s] for s in SKIPS if skips and s in channels}
        self.size = facts.size
        self.mean, self.deviation = facts.mean, facts.deviation
        self.pyramid = Pyramid([channels[s] for s in self.strides if s >= LOCAL], c256)
        if global_features:
            self.global_linear = linear_block(channels[self.step], c512)
            self.global_output = linear_block(c512, c256)
        self.batch_norm_frozen = False

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Local, Global | None]:
        """See `Backbone`."""
        height, width = luminance_B1HW.shape[-2:]
        levels = self._levels(luminance_B1HW)
        local = self._local(levels, height, width)
        if not self.global_channels:
            return local, None
        if style_B1HW is None and (height, width) == self.size:
            return local, self._global(levels)
        return local, self.global_features(luminance_B1HW if style_B1HW is None else style_B1HW)

    def local_features(self, luminance_B1HW: Tensor) -> Local:
        """See `Backbone`."""
        return self._local(self._levels(luminance_B1HW), *luminance_B1HW.shape[-2:])

    def global_features(self, luminance_B1HW: Tensor) -> Global:
        """See `Backbone`."""
        return self._global(self._levels(scaled_to(luminance_B1HW, *self.size)))

    def _local(self, levels: dict[int, Tensor], height: int, width: int) -> Local:
        """Local features of a photo of this size."""
        features_BCHW = self.pyramid([level for s, level in levels.items() if s >= LOCAL])
        skips = {
            s: levels[s][..., : divided(height, s), : divided(width, s)] for s in self.skip_channels
        }
        return Local(features_BCHW[..., : divided(height, LOCAL), : divided(width, LOCAL)], skips)

    def _global(self, levels: dict[int, Tensor]) -> Global:
        """Global features of the levels at the encoder's own input size."""
        scene_BC = self.global_linear(levels[self.step].mean((2, 3)))
        return Global(self.global_output(scene_BC), scene_BC)

    def _levels(self, luminance_B1HW: Tensor) -> dict[int, Tensor]:
        """The encoder's levels by their stride s: B×C×h/s×w/s of the enlarged photo's h×w."""
        below, right = (-size % self.step for size in luminance_B1HW.shape[-2:])
        if below or right:
            luminance_B1HW = functional.pad(luminance_B1HW, (0, right, 0, below), mode="replicate")
        levels = self.encoder((luminance_B1HW - self.mean) / self.deviation)
        return {stride: levels[self.places[stride]] for stride in self.strides}

    def leave_out_unused(self) -> None:
        """Ask for no gradient of weights that nothing depends on; DDP would wait for it.

        Some encoders have layers that make one of their levels only.
        """
        training = self.training
        # Running statistics stay as they are.
        levels = self.eval()._levels(torch.zeros(1, 1, 2 * self.step, 2 * self.step))
        self.train(training)
        used = [level.sum() for s, level in levels.items() if s >= LOCAL or s in self.skip_channels]
        weights = list(self.encoder.parameters())
        gradients = torch.autograd.grad(sum(used), weights, allow_unused=True)  # type: ignore[arg-type]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.requires_grad_(gradient is not None)

    def freeze_batch_norm(self, frozen: bool) -> None:
        """Whether the encoder's batch norms keep their statistics while the network is trained."""
        self.batch_norm_frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Training or evaluation mode, in which frozen batch norms always are."""
        super().train(mode)
        if self.batch_norm_frozen:
            for module in self.encoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


class Pyramid(nn.Module):
    """Merges levels of features from the finest (stride 8) to the deepest into one at stride 8.

    Args:
        channels: of the levels, the finest first; each is half as high and wide as the one before.
        outputs: channels of the result.
    """

    def __init__(self, channels: list[int], outputs: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            for inputs in channels
        )
        self.output = conv_block(outputs, outputs)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Levels B×channels[i]×h/2ⁱ×w/2ⁱ → B×outputs×h×w."""
        merged_BCHW: Tensor | None = None
        for lateral, level in zip(reversed(self.laterals), reversed(levels), strict=True):
            finer_BCHW = lateral(level)
            if merged_BCHW is not None:
                finer_BCHW = finer_BCHW + functional.interpolate(
                    merged_BCHW, size=level.shape[-2:], mode="nearest"
                )
            merged_BCHW = finer_BCHW
        output_BCHW: Tensor = self.output(merged_BCHW)
        return output_BCHW


class Facts(NamedTuple):
    """What has to be known of an encoder.

    name: with the tag of its weights: of one model timm knows several, whose input isn't always the
    same, and another version may choose others. strides, channels: of its levels. size: height and
    width in pixels that it was trained with. mean, deviation: of luminance, as it wants it.
    """

    name: str
    strides: list[int]
    channels: list[int]
    size: tuple[int, int]
    mean: float
    deviation: float


def encoder(name: str) -> tuple[nn.Module, Facts]:
    """timm's model for one channel, as it gives features at several strides.

    Raises:
        ValueError: timm has no such model, or it doesn't take pictures of any size, or has no
            level at stride 8.
    """
    whole_name = f"{lite0.NAME}.{lite0.TAG}"
    if name in (lite0.NAME, whole_name):
        sizes = (list(lite0.STRIDES), list(lite0.CHANNELS), lite0.SIZE)
        return lite0.Lite0(), Facts(whole_name, *sizes, lite0.MEAN, lite0.DEVIATION)
    # Imported here: it takes seconds, and only these backbones need it.
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name.partition(".")[0], timm.list_models(), n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise ValueError(f"backbone is paper or a model of timm, and {name!r} is neither{hint}")
    try:
        # timm's attributes aren't declared.
        network: Any = timm.create_model(name, features_only=True, in_chans=1)
        check_levels(network)
    except Exception as error:
        # timm raises many kinds here, by what the model is.
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{name} of timm can't be a backbone: {line}") from None
    config, levels = network.pretrained_cfg, network.feature_info
    height, width = config["input_size"][1:]
    return network, Facts(
        ".".join(filter(None, (config["architecture"], config.get("tag")))),
        levels.reduction(),
        levels.channels(),
        (height, width),
        sum(config["mean"]) / 3,
        sum(config["std"]) / 3,
    )


def places(strides: list[int]) -> dict[int, int]:
    """Of each stride the place of the last of an encoder's levels that has it."""
    return {stride: place for place, stride in enumerate(strides)}


@torch.no_grad()
def check_levels(network: Any) -> None:
    """Raise ValueError unless levels are what they say, of a picture that isn't square."""
    strides = network.feature_info.reduction()
    if LOCAL not in strides:
        raise ValueError(f"it has levels at strides {strides}, and one at stride {LOCAL} is needed")
    step = strides[-1]
    own = network.pretrained_cfg["input_size"][1:]
    # Some take no picture that is larger than what they were trained with.
    larger = [side // step * step + step * more for side, more in zip(own, (1, 2), strict=True)]
    network.eval()
    for height, width in ((2 * step, 3 * step), larger):
        levels = network(torch.zeros(1, 1, height, width))
        for stride, channels, level in zip(
            strides, network.feature_info.channels(), levels, strict=True
        ):
            if level.shape != (1, channels, height // stride, width // stride):
                raise ValueError(
                    f"at stride {stride} it gives {tuple(level.shape)} for a picture of"
                    f" {height}×{width}"
                )
    network.train()
