"""A network as one graph for pictures of any size."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from irodori.network import JointNetwork
from irodori.network.paper_backbone import GLOBAL_SIZE
from irodori.network.timm_backbone import TimmBackbone


class Traceable(nn.Module):
    """What `JointNetwork.forward` does, without asking in Python how large the picture is.

    The network itself skips what a size makes needless: scaling a picture that has the global
    path's size already, filling one up that has whole steps. A trace would keep one of the two ways
    for all sizes.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.network = network
        backbone = network.backbone
        self.global_size = (GLOBAL_SIZE, GLOBAL_SIZE)
        if isinstance(backbone, TimmBackbone):
            height, width = backbone.size
            self.global_size = (height, width)

    def forward(self, luminance_B1HW: Tensor) -> tuple[Tensor, ...]:
        """Luminance in [0,1] → chrominance B×C×⌈H/2⌉×⌈W/2⌉ and, with scenes, logits B×classes."""
        if self.network.fusion is None:
            return (self.network.color(luminance_B1HW),)
        height, width = self.global_size
        global_BC, logits_BC = self.network.global_features(
            scaled_by_products(luminance_B1HW, height, width)
        )
        chroma_BCHW = self.network.color(luminance_B1HW, global_BC)
        return (chroma_BCHW,) if logits_BC is None else (chroma_BCHW, logits_BC)


def scaled_by_products(luminance_B1HW: Tensor, height: int, width: int) -> Tensor:
    """`network.backbone.scaled_to` as two matrix products, which every format can express."""
    rows_hH = bilinear_weights(luminance_B1HW.shape[-2], height, luminance_B1HW)
    columns_wW = bilinear_weights(luminance_B1HW.shape[-1], width, luminance_B1HW)
    return rows_hH @ (luminance_B1HW @ columns_wW.T)


def bilinear_weights(size: int, wanted: int, like: Tensor) -> Tensor:
    """The matrix wanted×size of bilinear scaling with antialiasing along one side.

    Each place sees a triangle around its middle, as wide as the reduction, as Pillow and torch have
    it.

    Args:
        size: may be symbolic.
        like: of this precision and device.
    """
    scale = size / wanted
    middles_w1 = (torch.arange(wanted, dtype=like.dtype, device=like.device)[:, None] + 0.5) * scale
    places_S = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    reach: Any = torch.sym_max(scale, 1.0)
    distances_wS = (places_S - middles_w1).abs() / reach
    weights_wS = (1 - distances_wS).clamp(min=0)
    normed_wS: Tensor = weights_wS / weights_wS.sum(1, keepdim=True)
    return normed_wS


@contextmanager
def any_size() -> Iterator[None]:
    """Within it photos are filled up to whole steps without asking whether they have them."""
    # Imported here: it takes a second.
    from timm.layers import padding

    with (
        mock.patch.object(TimmBackbone, "_levels", levels),
        mock.patch.object(padding, "get_same_padding", whole_steps_padding),
    ):
        yield


def whole_steps_padding(_: int, kernel: int, stride: int, dilation: int) -> int:
    """TensorFlow's padding of a side that the stride divides, as all are in whole steps.

    timm's own asks for the side; tracing that takes minutes.
    """
    return max((kernel - 1) * dilation + 1 - stride, 0)


def levels(backbone: TimmBackbone, luminance_B1HW: Tensor) -> dict[int, Tensor]:
    """`TimmBackbone._levels` with the borders repeated by index."""
    height, width = luminance_B1HW.shape[-2:]
    step = backbone.step
    rows, columns = (
        torch.arange((size + step - 1) // step * step, device=luminance_B1HW.device).clamp(
            max=size - 1
        )
        for size in (height, width)
    )
    whole_B1HW = luminance_B1HW[:, :, rows][..., columns]
    found = backbone.encoder((whole_B1HW - backbone.mean) / backbone.deviation)
    return {stride: found[backbone.places[stride]] for stride in backbone.strides}
