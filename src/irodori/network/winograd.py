"""A 3×3 convolution with a quarter of the multiplications (Winograd's F(4×4, 3×3)).

A tile of 4×4 outputs hangs on 6×6 inputs. Both, and the weights, are brought to a base where the
convolution is one product for each of 36 places, in place of 9 for each of 16 outputs: 2.25
multiplications an output. Changing bases costs a little more, so it pays where a layer has many
channels. Rounding errors are a few times those of the plain convolution, far below bf16's.

Source: A. Lavin, S. Gray: *Fast Algorithms for Convolutional Neural Networks*, 2015, whose matrices
these are. All three changes of base are Kronecker products of theirs, so that rows and columns are
changed at once by a matrix product.
"""

import math
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

FEWEST = 1 << 15
"""Products of input and output channels from which on it is faster (forward)."""
FEWEST_IN_TRAINING = 1 << 12
"""The same of forward and backward together."""
OUT = 4
"""Height and width of a tile of outputs."""
IN = OUT + 2
"""Height and width of the inputs that a tile hangs on."""
PLACES = IN * IN
BYTES = 1 << 24
"""Of both sides' tiles at a time: what fits into the cache that cores share."""

INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


@cache
def base(rows: tuple[tuple[float, ...], ...], dtype: torch.dtype) -> Tensor:
    """The matrix that changes both axes at once: of n×m, n²×m²."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).to(dtype)


def transformed(weight_OIKK: Tensor) -> Tensor:
    """Weights in the base of the products: O×I×3×3 → 36×I×O."""
    outputs, inputs = weight_OIKK.shape[:2]
    taps = weight_OIKK.permute(2, 3, 1, 0).reshape(9, inputs * outputs)
    return (base(WEIGHT, taps.dtype) @ taps).view(PLACES, inputs, outputs)


class Part(NamedTuple):
    """Tiles that are worked on at a time: of some images, some rows."""

    images: slice
    rows: slice


def parts(images: int, rows: int, columns: int, tile_bytes: int) -> Iterator[Part]:
    """All tiles in parts of about BYTES, whole rows of tiles each."""
    rows_at_once = max(1, BYTES // (tile_bytes * columns))
    images_at_once = max(1, rows_at_once // rows)
    # Parts alike in size.
    rows_at_once = math.ceil(rows / math.ceil(rows / min(rows, rows_at_once)))
    for image in range(0, images, images_at_once):
        for row in range(0, rows, rows_at_once):
            yield Part(
                slice(image, min(image + images_at_once, images)),
                slice(row, min(row + rows_at_once, rows)),
            )


class Tiles:
    """Two pictures of the same size in tiles, and the memory to work on them.

    Args:
        like: B×C×H×W.
        channels: of either.
    """

    def __init__(self, like: Tensor, *channels: int) -> None:
        images, _, self.height, self.width = like.shape
        self.rows, self.columns = math.ceil(self.height / OUT), math.ceil(self.width / OUT)
        tile_bytes = PLACES * sum(channels) * like.element_size()
        self.parts = list(parts(images, self.rows, self.columns, tile_bytes))
        most = max(self.count(part) for part in self.parts) * max(channels)
        self.rooms = [room(number, PLACES * most, like.dtype) for number in range(3)]

    def count(self, part: Part) -> int:
        """Tiles of a part."""
        return int(
            (part.images.stop - part.images.start)
            * (part.rows.stop - part.rows.start)
            * self.columns
        )

    def of(self, picture_BHWC: Tensor, part: Part, border: int) -> Tensor:
        """A part's tiles of a picture that is zero where it ends.

        Returns:
            side×side×images×rows×columns×C with side = 4 + 2·border, as a view where that is
            possible.
        """
        side = OUT + 2 * border
        first = OUT * part.rows.start - border
        height, width = OUT * (part.rows.stop - part.rows.start) + 2 * border, OUT * self.columns
        picture = picture_BHWC[part.images]
        inside = first >= 0 and first + height <= self.height and width + 2 * border <= self.width
        if inside and not border:
            picture = picture[:, first : first + height]
        else:
            channels = picture.shape[-1]
            size = (len(picture), height, width + 2 * border, channels)
            bordered = taken(room(3, math.prod(size), picture.dtype), *size).zero_()
            top, bottom = max(first, 0), min(first + height, self.height)
            bordered[:, top - first : bottom - first, border : border + self.width] = picture[
                :, top:bottom
            ]
            picture = bordered
        image, row, column, channel = picture.stride()
        return picture.as_strided(
            (side, side, len(picture), height // OUT, self.columns, picture.shape[-1]),
            (row, column, image, OUT * row, OUT * column, channel),
            picture.storage_offset(),
        )

    def changed(self, tiles: Tensor, matrix: Tensor, room: Tensor) -> Tensor:
        """Tiles (see `of`) in another base, 36×tiles×C, in `room`; the last room is used, too."""
        gathered = taken(self.rooms[2], *tiles.shape).copy_(tiles).view(matrix.shape[1], -1)
        changed = taken(room, len(matrix), gathered.shape[1])
        torch.mm(matrix, gathered, out=changed)
        return changed.view(len(matrix), -1, tiles.shape[-1])


_rooms = threading.local()


def room(number: int, count: int, dtype: torch.dtype) -> Tensor:
    """Memory for so many numbers, the same at every call of this thread.

    New memory at every call would have to be cleared and mapped by the kernel, page by page.
    """
    rooms: dict[Any, Tensor] = _rooms.__dict__
    if (number, dtype) not in rooms or len(rooms[number, dtype]) < count:
        # Memory of inference mode can't be used outside of it.
        with torch.inference_mode(False):
            rooms[number, dtype] = torch.empty(count, dtype=dtype)
    return rooms[number, dtype]


def taken(room: Tensor, *shape: int) -> Tensor:
    """The beginning of some memory in a shape."""
    return room[: math.prod(shape)].view(shape)


@torch.no_grad()
def convolved(picture_BCHW: Tensor, weight_PIO: Tensor, bias_O: Tensor | None) -> Tensor:
    """A 3×3 convolution of stride 1, padded by 1, without a gradient.

    Args:
        picture_BCHW: channels-last is faster.
        weight_PIO: see `transformed`.
        bias_O: None adds nothing.

    Returns:
        B×O×H×W, channels-last.
    """
    inputs, outputs = weight_PIO.shape[1:]
    tiles = Tiles(picture_BCHW, inputs, outputs)
    picture_BHWC = picture_BCHW.permute(0, 2, 3, 1)
    size = (len(picture_BCHW), OUT * tiles.rows, OUT * tiles.columns, outputs)
    result_BHWC = picture_BCHW.new_empty(size)
    from_picture = base(INPUT, picture_BCHW.dtype)
    to_result = base(OUTPUT, picture_BCHW.dtype)
    for part in tiles.parts:
        seen_PTI = tiles.changed(tiles.of(picture_BHWC, part, 1), from_picture, tiles.rooms[0])
        count = seen_PTI.shape[1]
        product_PTO = taken(tiles.rooms[1], PLACES, count, outputs)
        torch.bmm(seen_PTI, weight_PIO, out=product_PTO)
        result = taken(tiles.rooms[0], OUT * OUT, count * outputs)
        torch.mm(to_result, product_PTO.view(PLACES, -1), out=result)
        target = result_BHWC[part.images].unflatten(1, (tiles.rows, OUT))[:, part.rows]
        target = target.unflatten(3, (tiles.columns, OUT)).permute(2, 4, 0, 1, 3, 5)
        if bias_O is None:
            target.copy_(result.view(target.shape))
        else:
            torch.add(result.view(target.shape), bias_O, out=target)
    return result_BHWC[:, : tiles.height, : tiles.width].permute(0, 3, 1, 2)


def weight_gradient(picture_BCHW: Tensor, gradient_BCHW: Tensor) -> Tensor:
    """Gradient of the weights, O×I×3×3, for the gradient of the result, B×O×H×W."""
    inputs, outputs = picture_BCHW.shape[1], gradient_BCHW.shape[1]
    tiles = Tiles(picture_BCHW, inputs, outputs)
    picture_BHWC, gradient_BHWC = (x.permute(0, 2, 3, 1) for x in (picture_BCHW, gradient_BCHW))
    from_picture = base(INPUT, picture_BCHW.dtype)
    from_gradient = base(OUTPUT, picture_BCHW.dtype).T
    sum_PIO = picture_BCHW.new_zeros(PLACES, inputs, outputs)
    for part in tiles.parts:
        seen_PTI = tiles.changed(tiles.of(picture_BHWC, part, 1), from_picture, tiles.rooms[0])
        back_PTO = tiles.changed(tiles.of(gradient_BHWC, part, 0), from_gradient, tiles.rooms[1])
        sum_PIO.baddbmm_(seen_PTI.transpose(1, 2), back_PTO)
    taps = base(WEIGHT, sum_PIO.dtype).T @ sum_PIO.view(PLACES, -1)
    return taps.view(3, 3, inputs, outputs).permute(3, 2, 0, 1)


class Winograd(Function):
    """See `convolution`."""

    @staticmethod
    def forward(
        ctx: Any, picture_BCHW: Tensor, weight_OIKK: Tensor, bias_O: Tensor | None
    ) -> Tensor:
        """The convolution, by whichever way is faster."""
        ctx.save_for_backward(picture_BCHW, weight_OIKK)
        if weight_OIKK.shape[0] * weight_OIKK.shape[1] < FEWEST:
            return torch.conv2d(picture_BCHW, weight_OIKK, bias_O, padding=1)
        return convolved(picture_BCHW, transformed(weight_OIKK), bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BCHW: Tensor) -> Any:
        """The gradient of a convolution by the picture is one, too, by turned weights."""
        picture_BCHW, weight_OIKK = ctx.saved_tensors
        by_picture = by_weight = by_bias = None
        if ctx.needs_input_grad[1]:
            by_weight = weight_gradient(picture_BCHW, gradient_BCHW)
        # Memory for the next is found where the picture was, if it is needed no more.
        del picture_BCHW
        if ctx.needs_input_grad[0]:
            turned_IOKK = weight_OIKK.flip(2, 3).transpose(0, 1)
            by_picture = convolved(gradient_BCHW, transformed(turned_IOKK), None)
        if ctx.needs_input_grad[2]:
            by_bias = gradient_BCHW.sum((0, 2, 3))
        return by_picture, by_weight, by_bias


def convolution(picture_BCHW: Tensor, weight_OIKK: Tensor, bias_O: Tensor | None) -> Tensor:
    """A 3×3 convolution of stride 1, padded by 1: B×I×H×W → B×O×H×W, channels-last.

    fp32 or float64; gradients can be taken once.
    """
    result_BCHW: Tensor = Winograd.apply(picture_BCHW, weight_OIKK, bias_O)
    return result_BCHW


def fits(convolution: nn.Conv2d, fewest: int) -> bool:
    """Whether a layer is such a convolution, and has channels enough for it to pay."""
    return (
        convolution.kernel_size == (3, 3)
        and convolution.stride == (1, 1)
        and convolution.padding == (1, 1)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
        and convolution.padding_mode == "zeros"
        and convolution.in_channels * convolution.out_channels >= fewest
    )


class WinogradConvolution(nn.Module):
    """A trained convolution for which `fits` holds, for use only: weights are transformed once."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight_PIO = transformed(convolution.weight.detach().double())
        self.weight_PIO = nn.Parameter(weight_PIO.to(convolution.weight), requires_grad=False)
        assert convolution.bias is not None
        self.bias = nn.Parameter(convolution.bias.detach(), requires_grad=False)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """B×inputs×H×W → B×outputs×H×W."""
        return convolved(features_BCHW, self.weight_PIO, self.bias)
