"""Colouring pictures of any sizes from their luminance alone."""

from collections import defaultdict

import torch
from torch import Tensor

from irodori.color import ColorSpace, to_float, to_uint8
from irodori.network import JointNetwork
from irodori.network.joint import enlarge_chroma


@torch.no_grad()
def color_pictures(
    network: JointNetwork,
    space: ColorSpace,
    images: list[Tensor],
    style: Tensor | None = None,
    own_luminance: bool = True,
) -> tuple[list[Tensor], Tensor | None]:
    """Colour pictures, each at its own size; those of equal size go through the network together.

    Args:
        network: in evaluation mode.
        space: the colour space that the network was trained in.
        images: N pictures, each 3×H×W uint8 RGB, of which only the luminance is used.
        style: a picture (3×H×W uint8 RGB) whose global features are taken for all of them.
        own_luminance: False leaves the luminance that the network says in the pictures, in a space
            where it says one (`ColorSpace.as_predicted`).

    Returns:
        N pictures of the same sizes, 3×H×W uint8 RGB, and N×num_classes logits (None when the
        network has no scenes).
    """
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        by_size[tuple(image.shape[-2:])].append(number)
    style_11HW = None if style is None else space.encode(to_float(style[None]))[0]
    colored: dict[int, Tensor] = {}
    logits: dict[int, Tensor] = {}
    for (height, width), numbers in by_size.items():
        rgb_B3HW = to_float(torch.stack([images[number] for number in numbers]))
        luminance_B1HW, _ = space.encode(rgb_B3HW)
        style_B1HW = None
        if style_11HW is not None:
            style_B1HW = style_11HW.expand(len(numbers), -1, -1, -1)
        chroma_BCHW, logits_BC = network(luminance_B1HW, style_B1HW)
        full_BCHW = enlarge_chroma(chroma_BCHW, height, width)
        if own_luminance:
            rgb_B3HW = space.decode(luminance_B1HW, full_BCHW)
        else:
            rgb_B3HW = space.as_predicted(full_BCHW)
        colored.update(zip(numbers, to_uint8(rgb_B3HW), strict=True))
        if logits_BC is not None:
            logits.update(zip(numbers, logits_BC.float(), strict=True))
    order = range(len(images))
    return [colored[number] for number in order], (
        torch.stack([logits[number] for number in order]) if logits else None
    )
