"""The joint network, and how its chrominance is brought to a photo's size."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from irodori.network.backbone import BACKBONES
from irodori.network.heads import Classification, Colorization, Fusion


class JointNetwork(nn.Module):
    """The network of "Let there be Color!": colorization and scene classification in one.

    Source: Iizuka, Simo-Serra, Ishikawa, SIGGRAPH 2016. Every layer has batch norm and ReLU but the
    two outputs: chrominance ends in a sigmoid, the scene logits are plain.

    Args:
        num_classes: number of scenes; 205 in the paper, 0 leaves the classification out.
        chroma_channels: 2 (luminance–chrominance spaces) or 3 (RGB).
        width: multiplies the channels of every layer; 1.0 is the paper, 0.25 has 2.7 M parameters.
        fusion: activation of the fusion layer, "relu" or "sigmoid".
        global_features: False is the paper's baseline of low, mid and colorization networks.
        backbone: name of the backbone.

    Raises:
        ValueError: an argument is out of range or unknown.
    """

    def __init__(
        self,
        num_classes: int = 205,
        chroma_channels: int = 2,
        *,
        width: float = 1.0,
        fusion: str = "relu",
        global_features: bool = True,
        backbone: str = "paper",
    ) -> None:
        super().__init__()
        if chroma_channels not in (2, 3):
            raise ValueError(f"chroma_channels is 2 or 3, not {chroma_channels}")
        if num_classes < 0:
            raise ValueError(f"num_classes is at least 0, not {num_classes}")
        if width <= 0:
            raise ValueError(f"width is above 0, not {width}")
        if backbone not in BACKBONES:
            raise ValueError(f"backbone is one of {', '.join(BACKBONES)}, not {backbone!r}")
        self.arguments: dict[str, Any] = {
            "num_classes": num_classes,
            "chroma_channels": chroma_channels,
            "width": width,
            "fusion": fusion,
            "global_features": global_features,
            "backbone": backbone,
        }
        self.backbone = BACKBONES[backbone](width, global_features)
        local_channels = self.backbone.local_channels
        self.fusion: Fusion | None = None
        self.classification: Classification | None = None
        if global_features:
            self.fusion = Fusion(self.backbone.global_channels, local_channels, fusion)
            if num_classes:
                inputs = self.backbone.scene_channels
                self.classification = Classification(inputs, num_classes, width)
        self.colorization = Colorization(local_channels, chroma_channels, width)

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
        local_BCHW, global_BC, scene_BC = self.backbone(luminance_B1HW, style_B1HW)
        logits_BC = None
        if self.fusion is not None:
            local_BCHW = self.fusion(global_BC, local_BCHW)
        if self.classification is not None:
            logits_BC = self.classification(scene_BC)
        chroma_BCHW = self.colorization(local_BCHW)
        # Strides round up, so an odd size leaves a margin at the bottom and on the right.
        half_height, half_width = ((size + 1) // 2 for size in luminance_B1HW.shape[-2:])
        return chroma_BCHW[..., :half_height, :half_width], logits_BC


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
