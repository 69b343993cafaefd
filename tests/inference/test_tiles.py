import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from irodori.inference.tiles import Part, cut, predict_in_tiles, receptive_field
from irodori.utils.errors import IrodoriError, is_out_of_memory
from networks import joint, lively


def never(line):
    raise AssertionError(line)


def picture(height, width):
    """Soft shapes and a little grain."""
    coarse = torch.rand(1, 1, height // 24 + 2, width // 24 + 2)
    smooth = functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (0.9 * smooth + 0.1 * torch.rand(1, 1, height, width))[0]


def network_of(**arguments):
    torch.manual_seed(0)
    return lively(joint(**arguments))


@torch.inference_mode()
def whole_of(network, luminance):
    """Global features, and the chrominance of the whole."""
    global_BC = None
    if network.fusion is not None:
        global_BC, _ = network.global_features(luminance[None])
    return global_BC, network.color(luminance[None], global_BC)[0]


def both(network, luminance, tile, say=never, field=None):
    """Chrominance of the whole and of tiles."""
    global_BC, whole = whole_of(network, luminance)
    field = field or receptive_field(network)
    return whole, predict_in_tiles(network, luminance, global_BC, tile, field, say)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"decoder": "skips"},
        {"global_features": False},
        {"output": "ab_classes", "temperature": 0.38},
    ],
)
@pytest.mark.parametrize("size", [(301, 423), (136, 500), (40, 33), (1, 333)])
def test_tiles_are_the_whole(arguments, size):
    torch.manual_seed(1)
    whole, tiled = both(network_of(**arguments), picture(*size), 160)
    assert whole.shape == (2, *(-(-side // 2) for side in size))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    if min(size) > 100:
        assert whole.std() > 0.003


def test_a_narrower_overlap_would_show():
    torch.manual_seed(1)
    network, luminance = network_of(), picture(301, 423)
    field = receptive_field(network)
    narrow = type(field)(field.step, *(side - 24 for side in (61, 54, 61, 54)))
    whole, tiled = both(network, luminance, 160, field=narrow)
    assert (tiled - whole).abs().max() > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "tile"),
    [
        pytest.param("resnet18", 640, marks=pytest.mark.long),
        ("tf_efficientnet_lite0", 640),
        pytest.param("mobilenetv4_conv_small", 640, marks=pytest.mark.long),
        pytest.param("convnext_tiny", 640, marks=pytest.mark.long),
    ],
)
def test_tiles_of_timms_backbones_are_the_whole(backbone, tile):
    torch.manual_seed(1)
    network = network_of(backbone=backbone, decoder="skips")
    field = receptive_field(network)
    step = field.step
    smallest = step * (1 + -(-field.above // step) + -(-field.below // step))
    tile = max(tile, smallest + step)
    # Three tiles from top to bottom, the last of which ends between whole steps.
    luminance = picture(tile + 2 * step + 13, 61)
    whole, tiled = both(network, luminance, tile)
    assert whole.std() > 0.003
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    longest=st.integers(1, 40),
    step=st.sampled_from([8, 32]),
)
def test_parts_cover_all_once_and_begin_at_steps(height, width, longest, step):
    longest *= step
    parts = cut(Part(0, height, 0, width), longest, longest, step)
    count = torch.zeros(height, width)
    for part in parts:
        count[part.top : part.bottom, part.left : part.right] += 1
        assert part.top % step == part.left % step == 0
        assert part.bottom - part.top <= longest
        assert part.right - part.left <= longest
    assert (count == 1).all()


class Small:
    """Makes a network fail above a number of pixels, as it does when memory runs out."""

    def __init__(self, network, pixels, error):
        self.color, self.pixels, self.error, self.sides = network.color, pixels, error, []
        network.color = self

    def __call__(self, luminance, global_BC=None):
        if luminance.shape[-1] * luminance.shape[-2] > self.pixels:
            raise self.error
        self.sides.append(max(luminance.shape[-2:]))
        return self.color(luminance, global_BC)


ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
]


@pytest.mark.parametrize("error", ERRORS)
def test_what_means_that_memory_ran_out(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", ERRORS[2:3])
def test_where_memory_runs_out_tiles_are_halved_and_it_is_said(error):
    torch.manual_seed(1)
    network, luminance = network_of(), picture(200, 600)
    global_BC, whole = whole_of(network, luminance)
    small, said = Small(network, 160 * 160, error), []
    tiled = predict_in_tiles(
        network, luminance, global_BC, 4000, receptive_field(network_of()), said.append
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    assert len(said) == 2
    assert max(small.sides) <= 152


def test_tiles_that_are_done_are_not_done_again():
    torch.manual_seed(1)
    network, luminance = network_of(), picture(290, 290)
    global_BC, whole = whole_of(network, luminance)
    color, calls = network.color, []

    def failing_once(luminance, global_BC=None):
        calls.append(luminance.shape)
        if len(calls) == 3:
            raise MemoryError
        return color(luminance, global_BC)

    network.color = failing_once
    said = []
    tiled = predict_in_tiles(
        network, luminance, global_BC, 216, receptive_field(network_of()), said.append
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    assert len(said) == 1


def test_memory_for_no_tile_at_all_is_an_error():
    network = network_of()
    global_BC = torch.zeros(1, network.backbone.global_channels)
    field = receptive_field(network)
    Small(network, 100 * 100, MemoryError())
    with pytest.raises(IrodoriError, match="not enough memory"):
        predict_in_tiles(network, picture(600, 700), global_BC, 600, field, lambda line: None)


@pytest.mark.parametrize("error", [ValueError("out of range"), RuntimeError("sizes differ")])
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)
    network = network_of()
    global_BC = torch.zeros(1, network.backbone.global_channels)
    field = receptive_field(network)
    Small(network, 0, error)
    with pytest.raises(type(error), match=str(error)):
        predict_in_tiles(network, picture(200, 200), global_BC, 160, field, never)
