"""The joint network, and the scaling of its chrominance."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from irodori.config.describable import Describable
from irodori.config.ranges import Range
from irodori.network.backbone import LOCAL, Backbone, Global, Local, divided, linear_block, scaled
from irodori.network.decoders import ColorizationDecoder, Decoder
from irodori.network.hints import HintSpread
from irodori.network.output import ChromaOutput, Output
from irodori.network.paper_backbone import PaperBackbone

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
"""Activations of the fusion: ReLU by default; a sigmoid in the paper's formula."""


class JointNetwork(nn.Module, Describable):
    """The network of "Let there be Color!" for joint colorization and scene classification.

    Source: Iizuka, Simo-Serra, Ishikawa, SIGGRAPH 2016. Every layer has batch norm and ReLU except
    the two output layers: a sigmoid for chrominance, and plain scene logits. Backbone, decoder and
    output can be replaced, also by custom classes.

    Args:
        num_classes: number of scenes; 205 in the paper, 0 for no classification.
        chroma_channels: 2 (luminance–chrominance spaces) or 3 (RGB).
        width: width multiplier of the classification, and of the default backbone and decoder; 1.0
            is the paper's, 0.25 has 2.7 M parameters.
        fusion: activation of the fusion layer, "relu" or "sigmoid".
        global_features: False for the paper's baseline without global path, fusion and
            classification.
        backbone: backbone; None for a `PaperBackbone`.
        decoder: `Decoder` class or a `functools.partial` of one; None for the paper's.
        output: `Output` class or a `functools.partial` of one; None for the paper's.
        hints: whether the network accepts hints (known colors at positions of the photo).

    Raises:
        ValueError: an argument is out of range, or arguments are incompatible.
    """

    def __init__(
        self,
        num_classes: Annotated[int, Range(min=0, max=100_000)] = 205,
        chroma_channels: Annotated[int, Range(min=1, max=16)] = 2,
        *,
        width: Annotated[float, Range(above=0, max=4)] = 1.0,
        fusion: Literal["relu", "sigmoid"] = "relu",
        global_features: bool = True,
        backbone: Backbone | None = None,
        decoder: Callable[..., Decoder] | None = None,
        output: Callable[..., Output] | None = None,
        hints: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone | None):
            raise ValueError(f"backbone must be a Backbone module, not {backbone!r}")
        backbone = backbone or PaperBackbone(width, global_features)
        decoder = decoder or partial(ColorizationDecoder, width=width)
        output = output or ChromaOutput
        # The description in checkpoints doesn't depend on defaults.
        self.arguments |= {"backbone": backbone, "decoder": decoder, "output": output}
        self.chroma_channels = chroma_channels
        self.backbone = backbone
        self.output = output(chroma_channels=chroma_channels)
        self.fusion: Fusion | None = None
        self.classification: Classification | None = None
        if global_features:
            if not backbone.global_channels:
                raise ValueError(
                    f"{type(backbone).__name__} has no global path: set global_features=False"
                )
            self.fusion = Fusion(backbone.global_channels, backbone.local_channels, fusion)
            if num_classes:
                inputs = backbone.scene_channels
                self.classification = Classification(inputs, num_classes, width)
        self.colorization = decoder(
            in_channels=backbone.local_channels,
            out_channels=self.output.channels,
            stride=self.output.stride,
            skip_channels=dict(backbone.skip_channels),
        )
        self.hint_channels = chroma_channels + 1 if hints else 0
        self.hint_spread: HintSpread | None = None
        if hints:
            if not isinstance(self.output, ChromaOutput):
                raise ValueError(
                    f"hints=True requires chrominance logits, unlike {type(self.output).__name__}"
                    ": set hints=False"
                )
            channels = {LOCAL: backbone.local_channels, **backbone.skip_channels}
            self.hint_spread = HintSpread(channels, self.output.channels)

    def forward(
        self,
        luminance_B1HW: Tensor,
        style_B1HW: Tensor | None = None,
        hints_BMHW: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Predict chrominance and scene logits from luminance of any size.

        Args:
            luminance_B1HW: in [0,1], H, W ≥ 1.
            style_B1HW: luminance of other images, of any size, whose global features replace the
                photos' own.
            hints_BMHW: hints of the luminance's size, with M = `hint_channels`, see `HintSpread`;
                None for no hints.

        Returns:
            Chrominance in [0,1], B×chroma_channels×⌈H/2⌉×⌈W/2⌉, and logits B×num_classes (None
            without classification; those of the style images if given).
        """
        prediction_BQHW, logits_BC = self.predict(luminance_B1HW, style_B1HW, hints_BMHW)
        return self._chroma(prediction_BQHW, luminance_B1HW.shape[-2:]), logits_BC

    def predict(
        self,
        luminance_B1HW: Tensor,
        style_B1HW: Tensor | None = None,
        hints_BMHW: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the raw prediction for losses, and the logits; arguments as in `forward`.

        Returns:
            The prediction B×output.channels×⌈H/2s⌉×⌈W/2s⌉ with s = output.stride, which `output`
            converts to chrominance, and the scene logits.
        """
        local, global_BC, logits_BC = self._seen(luminance_B1HW, style_B1HW)
        size = luminance_B1HW.shape[-2:]
        return self.prediction(local, size, global_BC, hints_BMHW), logits_BC

    def predict_both(
        self, luminance_B1HW: Tensor, hints_RMHW: Tensor, hinted_R: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return predictions without and with hints, and the scene logits; see `predict`.

        Args:
            luminance_B1HW: in [0,1].
            hints_RMHW: hints of R of the B photos.
            hinted_R: indices of these photos in the batch.
        """
        local, global_BC, logits_BC = self._seen(luminance_B1HW, None)
        prediction_BQHW = self.prediction(local, luminance_B1HW.shape[-2:], global_BC)
        features_RCHW, *skips = (
            features[hinted_R] for features in (local.features_BCHW, *local.skips.values())
        )
        some = Local(features_RCHW, dict(zip(local.skips, skips, strict=True)))
        hinted_RQHW = self._hinted(prediction_BQHW[hinted_R], some, hints_RMHW)
        return prediction_BQHW, hinted_RQHW, logits_BC

    def _seen(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None
    ) -> tuple[Local, Tensor | None, Tensor | None]:
        """Return local features, global features and scene logits."""
        if self.fusion is None:
            return self.backbone.local_features(luminance_B1HW), None, None
        local, seen = self.backbone(luminance_B1HW, style_B1HW)
        return local, seen.features_BC, self._logits(seen)

    def global_features(self, luminance_B1HW: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the global features B×G of whole photos, for `color`, and the scene logits."""
        seen = self.backbone.global_features(luminance_B1HW)
        return seen.features_BC, self._logits(seen)

    def color(self, luminance_B1HW: Tensor, global_BC: Tensor | None = None) -> Tensor:
        """Predict chrominance as in `forward`, with given global features (None without)."""
        local = self.backbone.local_features(luminance_B1HW)
        return self.decode(local, luminance_B1HW.shape[-2:], global_BC)

    def decode(
        self,
        local: Local,
        size: tuple[int, ...],
        global_BC: Tensor | None = None,
        hints_BMHW: Tensor | None = None,
    ) -> Tensor:
        """Predict chrominance from a photo's local features and its size (H, W); see `color`."""
        return self._chroma(self.prediction(local, size, global_BC, hints_BMHW), size)

    def prediction(
        self,
        local: Local,
        size: tuple[int, ...],
        global_BC: Tensor | None = None,
        hints_BMHW: Tensor | None = None,
    ) -> Tensor:
        """Return the prediction for a photo's local features and size (H, W); see `predict`."""
        features_BCHW, skips = local
        if self.fusion is not None:
            features_BCHW = self.fusion(global_BC, features_BCHW)
        prediction_BQHW: Tensor = self.colorization(features_BCHW, skips)
        # Sizes are rounded up, so the bottom and right margins are cropped for odd sizes.
        step = 2 * self.output.stride
        height, width = (divided(side, step) for side in size)
        prediction_BQHW = prediction_BQHW[..., :height, :width]
        if hints_BMHW is None:
            return prediction_BQHW
        return self._hinted(prediction_BQHW, local, hints_BMHW)

    def _hinted(self, prediction_BQHW: Tensor, local: Local, hints_BMHW: Tensor) -> Tensor:
        assert self.hint_spread is not None
        features = {LOCAL: local.features_BCHW, **local.skips}
        hinted_BQHW: Tensor = self.hint_spread(prediction_BQHW, features, hints_BMHW)
        return hinted_BQHW

    def _chroma(self, prediction_BQHW: Tensor, size: tuple[int, ...]) -> Tensor:
        height, width = (divided(side, 2) for side in size)
        chroma_BCHW: Tensor = self.output(prediction_BQHW, height, width)
        return chroma_BCHW

    def _logits(self, seen: Global) -> Tensor | None:
        return None if self.classification is None else self.classification(seen.scene_BC)


def freeze_unused(network: JointNetwork) -> None:
    """Freeze parameters that no output depends on, since DDP would wait for their gradients.

    Some encoders have layers that only contribute to unused levels.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    frozen, training = network.backbone.encoder_frozen, network.training
    # In evaluation mode, so that running statistics don't change.
    network.eval()
    network.backbone.encoder_frozen = False
    side = 2 * network.backbone.step
    with torch.enable_grad():
        luminance_B1HW = torch.zeros(1, 1, side, side, device=parameters[0].device)
        results: tuple[Tensor | None, ...] = network.predict(luminance_B1HW)
        if network.hint_channels:
            hints_BMHW = luminance_B1HW.new_ones(1, network.hint_channels, side, side)
            results = network.predict_both(luminance_B1HW, hints_BMHW, torch.arange(1))
        total = torch.stack([result.sum() for result in results if result is not None]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    network.backbone.encoder_frozen = frozen
    network.train(training)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)


def reduce_chroma(chroma_BCHW: Tensor) -> Tensor:
    """Reduce true chrominance to the network's output size by 2×2 means: B×C×⌈H/2⌉×⌈W/2⌉."""
    return functional.avg_pool2d(chroma_BCHW, 2, ceil_mode=True)


def upsample_chroma(chroma_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Upsample predicted chrominance by 2 (bilinear), cropped to height×width.

    Raises:
        ValueError: the input isn't ⌈height/2⌉×⌈width/2⌉.
    """
    if chroma_BCHW.shape[-2:] != ((height + 1) // 2, (width + 1) // 2):
        raise ValueError(
            f"chrominance of {tuple(chroma_BCHW.shape[-2:])} is not half of {height}×{width}"
        )
    double_BCHW = functional.interpolate(chroma_BCHW.float(), scale_factor=2, mode="bilinear")
    return double_BCHW[..., :height, :width]


class Fusion(nn.Module):
    """activation(BN(W · [global ; local(u,v)] + b)) at every position (u,v).

    W is a 1×1 convolution over the concatenated features. Its global half is constant over an
    image, so it is computed once per image and added.
    """

    def __init__(self, global_channels: int, local_channels: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"fusion must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        self.global_channels = global_channels
        self.mix = nn.Conv2d(global_channels + local_channels, local_channels, 1)
        self.norm = nn.BatchNorm2d(local_channels)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, global_BC: Tensor, local_BCHW: Tensor) -> Tensor:
        """Map B×G global and B×L×h×w local features to B×L×h×w."""
        weight_global, weight_local = self.mix.weight.split(
            [self.global_channels, self.mix.in_channels - self.global_channels], dim=1
        )
        shared_BC = functional.linear(global_BC, weight_global.flatten(1), self.mix.bias)
        mixed_BCHW = functional.conv2d(local_BCHW, weight_local) + shared_BC[:, :, None, None]
        fused_BCHW: Tensor = self.activation(self.norm(mixed_BCHW))
        return fused_BCHW


class Classification(nn.Module):
    """Scene logits from the scene features: B×inputs → B×num_classes."""

    def __init__(self, inputs: int, num_classes: int, width: float) -> None:
        super().__init__()
        hidden = scaled(256, width)
        self.layers = nn.Sequential(linear_block(inputs, hidden), nn.Linear(hidden, num_classes))

    def forward(self, scene_BC: Tensor) -> Tensor:
        """Map B×inputs to B×num_classes logits."""
        logits_BC: Tensor = self.layers(scene_BC)
        return logits_BC
