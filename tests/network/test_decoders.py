import pytest
import torch
from torch import nn

from irodori.network.decoders import LearnedUpsampling, QueryDecoder, SkipDecoder
from networks import joint


def test_learned_upsampling_begins_as_nearest_neighbor():
    torch.manual_seed(0)
    double = LearnedUpsampling(5, 7).eval()
    features = torch.randn(2, 5, 6, 9)
    enlarged = double(features)
    assert enlarged.shape == (2, 7, 12, 18)
    small = enlarged[..., ::2, ::2]
    assert small.std() > 0.1
    again = nn.functional.interpolate(small, scale_factor=2, mode="nearest")
    torch.testing.assert_close(enlarged, again)


def test_each_of_the_four_learns_for_itself():
    torch.manual_seed(0)
    double = LearnedUpsampling(3, 2)
    double(torch.randn(2, 3, 4, 4))[..., ::2, ::2].square().sum().backward()
    moved = double.convolution.weight.grad.abs().sum((1, 2, 3)).reshape(2, 4)
    assert (moved[:, 0] > 0).all()
    # Those at the other three places have no part in it but through the norm's statistics.
    assert (moved[:, 1:] < moved[:, :1]).all()


@pytest.mark.parametrize(("skips", "stride"), [({4: 3, 2: 2}, 1), ({4: 3}, 2), ({}, 1)])
def test_skips_reach_the_prediction(skips, stride):
    torch.manual_seed(0)
    decoder = SkipDecoder(6, 2, stride, skips, 1 / 16).eval()
    features = torch.randn(1, 6, 5, 4)
    finer = {s: torch.randn(1, c, 40 // s, 32 // s) for s, c in skips.items()}
    prediction = decoder(features, finer)
    assert prediction.shape == (1, 2, 20 // stride, 16 // stride)
    for s in skips:
        other = finer | {s: torch.randn_like(finer[s])}
        assert not torch.equal(decoder(features, other), prediction)


def test_queries_see_the_whole_photo_at_each_scale():
    torch.manual_seed(0)
    decoder = QueryDecoder(6, 2, 1, {4: 3}, 1 / 8, queries=5).eval()
    features, skip = torch.randn(1, 6, 8, 8), torch.randn(1, 3, 16, 16)
    prediction = decoder(features, {4: skip})
    assert prediction.shape == (1, 2, 32, 32)
    corner = torch.zeros_like(features)
    corner[..., 0, 0] = 1
    changed = decoder(features + corner, {4: skip}) - prediction
    assert changed[..., -1, -1].abs().min() > 0
    for number in range(3):
        # Of all that a scale gives, only attention passes here.
        weight = decoder.projections[number].weight
        gradient = torch.autograd.grad(decoder(features, {4: skip}).sum(), weight)[0]
        assert gradient.abs().sum() > 0
    assert decoder.queries_KC.shape[0] == decoder.output.in_channels - 4


def test_queries_attend_to_means_over_the_finest_scale():
    torch.manual_seed(0)
    decoder = QueryDecoder(6, 2, 1, {4: 3, 2: 2}, 1 / 8, queries=5).eval()
    seen = {}
    for name in ("merge2", "projections.2"):
        decoder.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    skips = {4: torch.randn(1, 3, 5, 3), 2: torch.randn(1, 2, 9, 5)}
    assert decoder(torch.randn(1, 6, 3, 2), skips).shape == (1, 2, 9, 5)
    _, finest = seen["merge2"]
    attended, _ = seen["projections.2"]
    assert attended.shape[-2:] == (5, 3)
    for row in range(5):
        for column in range(3):
            # Cells at the border of an odd size have fewer positions.
            cell = finest[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            torch.testing.assert_close(attended[0, :, row, column], cell.mean((1, 2)))


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (33, 47), (224, 224)])
def test_the_papers_backbone_gives_skips_of_any_size(size):
    torch.manual_seed(0)
    network = joint(3, width=1 / 32, decoder="skips").eval()
    with torch.no_grad():
        luminance = torch.rand(2, 1, *size)
        chroma, _ = network(luminance)
        (_, skips), _ = network.backbone(luminance)
    assert chroma.shape == (2, 2, *(-(-side // 2) for side in size))
    for stride, channels in network.backbone.skip_channels.items():
        assert skips[stride].shape == (2, channels, *(-(-side // stride) for side in size))
