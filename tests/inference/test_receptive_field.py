import pytest
import torch

from irodori.inference.tiles import Field, receptive_field
from networks import joint, lively

BOUNDED = (
    pytest.param("resnet18", marks=pytest.mark.long),
    "tf_efficientnet_lite0",
    pytest.param("mobilenetv4_conv_small", marks=pytest.mark.long),
    pytest.param("convnext_tiny", marks=pytest.mark.long),
)


def network_of(backbone="paper", decoder="skips", **arguments):
    torch.manual_seed(0)
    network = joint(3, width=1 / 16, backbone=backbone, decoder=decoder, **arguments)
    return network.eval()


def by_hand(layers, first, last):
    """Interval of pixels that outputs first … last depend on, back through (kind, kernel)."""
    for kind in reversed(layers):
        if kind == "double":
            first, last = first // 2, last // 2
        elif kind == "half":
            first, last = 2 * first - 1, 2 * last + 1
        else:
            first, last = first - 1, last + 1
    return first, last


LOW_AND_MID = ["half", "same"] * 3 + ["same"] * 2
PAPER_DECODER = ["same", "double", "same", "same", "double", "same", "same"]


@pytest.mark.parametrize("arguments", [{}, {"global_features": False}, {"width": 1 / 4}])
def test_the_papers_network_by_hand(arguments):
    # A block is 8 pixels of luminance, and 4 of chrominance: those of block 0 are 0 … 3.
    first, last = by_hand(LOW_AND_MID + PAPER_DECODER, 0, 3)
    above, below = -first, last - 7
    assert (above, below) == (61, 54)
    network = joint(3, **arguments).eval()
    assert receptive_field(network) == Field(8, above, below, above, below)


def test_annealed_means_are_enlarged_and_so_see_further():
    network = network_of(decoder="paper", output="ab_classes", temperature=0.38)
    # Bilinear enlargement from stride 4 sees its neighbors, and the last layer has stride 2.
    layers = [*LOW_AND_MID, *PAPER_DECODER[:-1], "half"]
    first, last = by_hand(layers, -1, 2)
    assert receptive_field(network) == Field(8, -first, last - 7, -first, last - 7)


@pytest.mark.parametrize("backbone", ["pvt_v2_b0", "efficientnet_b0"])
def test_what_sees_the_whole_photo_is_unbounded(backbone):
    # The second one has squeeze-and-excitation.
    assert receptive_field(network_of(backbone)) is None


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BOUNDED)
@torch.inference_mode()
def test_what_lies_outside_changes_nothing_and_what_lies_just_inside_does(backbone):
    network = lively(network_of(backbone)).double()
    network.output.double()
    field = receptive_field(network_of(backbone))
    assert field is not None
    step = field.step
    before, after = -(-field.above // step) + 1, -(-field.below // step) + 1
    blocks = before + 1 + after
    # Whether the field was known before, and what was drawn for it, doesn't matter then.
    torch.manual_seed(1)
    luminance = torch.rand(1, 1, blocks * step, step).double()
    global_BC = torch.rand(1, network.backbone.global_channels).double()
    block = slice(before * step // 2, (before + 1) * step // 2)

    def changes(first, last, by=0.5):
        other = luminance.clone()
        other[:, :, max(first, 0) : last] = (other[:, :, max(first, 0) : last] + by) % 1
        one, two = (network.color(x, global_BC)[:, :, block] for x in (luminance, other))
        return not torch.equal(one, two)

    top, bottom = before * step - field.above, (before + 1) * step + field.below
    assert not changes(0, top)
    assert not changes(bottom, blocks * step)
    assert changes(top, before * step)
    assert changes((before + 1) * step, bottom)
    assert changes(before * step, (before + 1) * step)


@torch.inference_mode()
def test_the_papers_field_is_exact():
    network = network_of(decoder="paper").double()
    luminance = torch.rand(1, 1, 8 * 20, 8 * 20).double()
    global_BC = torch.rand(1, network.backbone.global_channels).double()
    field = receptive_field(network)
    start, end = 80, 88
    block = (..., slice(start // 2, end // 2), slice(start // 2, end // 2))
    plain = network.color(luminance, global_BC)[block]
    edges = {
        "above": (start - field.above - 1, slice(None)),
        "below": (end + field.below, slice(None)),
        "left": (slice(None), start - field.left - 1),
        "right": (slice(None), end + field.right),
    }
    for outside in edges.values():
        other = luminance.clone()
        other[(..., *outside)] = 9.0
        assert torch.equal(network.color(other, global_BC)[block], plain)
    seen = (..., slice(start - field.above, None), slice(start - field.left, None))
    inside = luminance.clone().requires_grad_()
    assert inside[seen].shape[-1] > 8
