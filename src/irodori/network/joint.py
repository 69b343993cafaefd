"""The joint network, and how its chrominance is brought to a photo's size."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from irodori.network.backbone import Backbone, Global, Local, divided
from irodori.network.decoders import Colorization, SkipColorization
from irodori.network.heads import Classification, Fusion
from irodori.network.output import AbClassesOutput, ChromaOutput, Output
from irodori.network.paper_backbone import PaperBackbone
from irodori.network.timm_backbone import TimmBackbone

PAPER = "paper"
"""The backbone and the decoder of the paper."""
DECODERS = (PAPER, "skips")
OUTPUTS = ("chroma", "ab_classes")


class JointNetwork(nn.Module):
    """The network of "Let there be Color!": colorization and scene classification in one.

    Source: Iizuka, Simo-Serra, Ishikawa, SIGGRAPH 2016. Every layer has batch norm and ReLU but the
    two outputs: chrominance ends in a sigmoid, the scene logits are plain. Backbone, decoder and
    output can be others than the paper's.

    Args:
        num_classes: number of scenes; 205 in the paper, 0 leaves the classification out.
        chroma_channels: 2 (luminance–chrominance spaces) or 3 (RGB).
        width: multiplies the channels of every layer but a timm encoder's; 1.0 is the paper, 0.25
            has 2.7 M parameters.
        fusion: activation of the fusion layer, "relu" or "sigmoid".
        global_features: False is the paper's baseline of low, mid and colorization networks.
        backbone: "paper", or the name of a model of timm, see `TimmBackbone`.
        decoder: "paper", or "skips", see `SkipColorization`.
        output: "chroma", or "ab_classes" (of L*a*b*), see `AbClassesOutput`.
        temperature: of "ab_classes"; None with "chroma".
        input_mean: subtracted from the luminance; of the paper's backbone only, whose published
            weights want it. A timm encoder has a mean of its own.

    Raises:
        ValueError: an argument is out of range or unknown, or doesn't fit another.
    """

    def __init__(
        self,
        num_classes: int = 205,
        chroma_channels: int = 2,
        *,
        width: float = 1.0,
        fusion: str = "relu",
        global_features: bool = True,
        backbone: str = PAPER,
        decoder: str = PAPER,
        output: str = "chroma",
        temperature: float | None = None,
        input_mean: float = 0.0,
    ) -> None:
        super().__init__()
        if chroma_channels not in (2, 3):
            raise ValueError(f"chroma_channels is 2 or 3, not {chroma_channels}")
        if num_classes < 0:
            raise ValueError(f"num_classes is at least 0, not {num_classes}")
        if width <= 0:
            raise ValueError(f"width is above 0, not {width}")
        if input_mean and backbone != PAPER:
            raise ValueError(f"input_mean={input_mean} goes with backbone={PAPER} only")
        if decoder not in DECODERS:
            raise ValueError(f"decoder is one of {', '.join(DECODERS)}, not {decoder!r}")
        self.arguments: dict[str, Any] = {
            "num_classes": num_classes,
            "chroma_channels": chroma_channels,
            "width": width,
            "fusion": fusion,
            "global_features": global_features,
            "backbone": backbone,
            "decoder": decoder,
            "output": output,
            "temperature": temperature,
            "input_mean": input_mean,
        }
        self.output = make_output(output, chroma_channels, temperature)
        skips = decoder != PAPER
        self.backbone: Backbone
        if backbone == PAPER:
            self.backbone = PaperBackbone(width, global_features, skips, input_mean)
        else:
            self.backbone = TimmBackbone(backbone, width, global_features, skips)
            self.arguments["backbone"] = self.backbone.name
        local_channels = self.backbone.local_channels
        self.fusion: Fusion | None = None
        self.classification: Classification | None = None
        if global_features:
            self.fusion = Fusion(self.backbone.global_channels, local_channels, fusion)
            if num_classes:
                inputs = self.backbone.scene_channels
                self.classification = Classification(inputs, num_classes, width)
        sizes = (local_channels, self.output.channels, self.output.stride, width)
        self.colorization: Colorization | SkipColorization
        if skips:
            self.colorization = SkipColorization(*sizes, self.backbone.skip_channels)
        else:
            self.colorization = Colorization(*sizes)

    def forward(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Chrominance and scene logits of luminance of any size.

        Args:
            luminance_B1HW: in [0,1], H, W ≥ 1.
            style_B1HW: luminance of another image, of any size, whose global features are taken
                instead of the photo's own; its batch is B.

        Returns:
            chrominance in [0,1], B×chroma_channels×⌈H/2⌉×⌈W/2⌉, and logits B×num_classes (None
            without classification; of the style image where one is given).
        """
        prediction_BQHW, logits_BC = self.predict(luminance_B1HW, style_B1HW)
        half_height, half_width = ((size + 1) // 2 for size in luminance_B1HW.shape[-2:])
        return self.output(prediction_BQHW, half_height, half_width), logits_BC

    def predict(
        self, luminance_B1HW: Tensor, style_B1HW: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What losses are computed from; arguments and logits as in `forward`.

        Returns:
            B×output.channels×⌈H/2s⌉×⌈W/2s⌉ with s = output.stride, which `output` makes
            chrominance of; and the scene logits.
        """
        local, seen = self.backbone(luminance_B1HW, style_B1HW)
        prediction_BQHW = self._prediction(
            local, None if seen is None else seen.features_BC, *luminance_B1HW.shape[-2:]
        )
        return prediction_BQHW, None if seen is None else self._logits(seen)

    def global_features(self, luminance_B1HW: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the network sees of whole photos, for `color`: B×G, and the scene logits.

        Arguments and logits as in `forward`; only of networks with a global path.
        """
        seen = self.backbone.global_features(luminance_B1HW)
        return seen.features_BC, self._logits(seen)

    def color(self, luminance_B1HW: Tensor, global_BC: Tensor | None = None) -> Tensor:
        """Chrominance as in `forward`, under given global features (None without a global path)."""
        height, width = luminance_B1HW.shape[-2:]
        local = self.backbone.local_features(luminance_B1HW)
        prediction_BQHW = self._prediction(local, global_BC, height, width)
        chroma_BCHW: Tensor = self.output(prediction_BQHW, (height + 1) // 2, (width + 1) // 2)
        return chroma_BCHW

    def _prediction(
        self, local: Local, global_BC: Tensor | None, height: int, width: int
    ) -> Tensor:
        """The colorization network's prediction for photos of this size, see `predict`."""
        features_BCHW = local.features_BCHW
        if self.fusion is not None:
            features_BCHW = self.fusion(global_BC, features_BCHW)
        prediction_BQHW: Tensor = self.colorization(features_BCHW, local.skips)
        # Strides round up, so an odd size leaves a margin at the bottom and on the right.
        step = 2 * self.output.stride
        return prediction_BQHW[..., : divided(height, step), : divided(width, step)]

    def _logits(self, seen: Global) -> Tensor | None:
        return None if self.classification is None else self.classification(seen.scene_BC)


def make_output(name: str, chroma_channels: int, temperature: float | None) -> Output:
    """The output of a name.

    Raises:
        ValueError: it is unknown, or doesn't fit.
    """
    if name == "chroma" and temperature is None:
        return ChromaOutput(chroma_channels)
    if name == "ab_classes" and temperature is not None and chroma_channels == 2:
        return AbClassesOutput(temperature)
    if name in OUTPUTS:
        raise ValueError(
            f"output {name} doesn't go with temperature={temperature} and {chroma_channels}"
            " chroma channels: ab_classes has a temperature and two channels, chroma no temperature"
        )
    raise ValueError(f"output is one of {', '.join(OUTPUTS)}, not {name!r}")


def reduce_chroma(chroma_BCHW: Tensor) -> Tensor:
    """True chrominance at the network's output size: 2×2 means, B×C×⌈H/2⌉×⌈W/2⌉."""
    return functional.avg_pool2d(chroma_BCHW, 2, ceil_mode=True)


def enlarge_chroma(chroma_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Predicted chrominance at the luminance's size: bilinear ×2, cut to height×width.

    Raises:
        ValueError: the input isn't ⌈height/2⌉×⌈width/2⌉.
    """
    if chroma_BCHW.shape[-2:] != ((height + 1) // 2, (width + 1) // 2):
        raise ValueError(
            f"chrominance of {tuple(chroma_BCHW.shape[-2:])} is not half of {height}×{width}"
        )
    double_BCHW = functional.interpolate(chroma_BCHW.float(), scale_factor=2, mode="bilinear")
    return double_BCHW[..., :height, :width]
