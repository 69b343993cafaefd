import numpy as np
import pytest
import torch

from irodori.network import hints
from irodori.network.hints import HEAD_CHANNELS, HEADS, HintAttention, hint_levels
from irodori.network.joint import freeze_unused
from irodori.utils.describable import build, describe
from networks import joint


def some_hints(batch=2, height=21, width=30, count=5, seed=0):
    """Hints of single pixels, B×3×H×W."""
    generator = torch.Generator().manual_seed(seed)
    hints_BMHW = torch.zeros(batch, 3, height, width)
    for plane_MHW in hints_BMHW:
        for _ in range(count):
            y, x = (int(torch.randint(side, (), generator=generator)) for side in (height, width))
            plane_MHW[:2, y, x] = torch.rand(2, generator=generator)
            plane_MHW[2, y, x] = 1
    return hints_BMHW


def with_hints(**more):
    torch.manual_seed(0)
    return joint(num_classes=3, width=0.25, hints=True, **more).eval()


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_levels_are_the_mean_colors_of_the_pixels_with_hints(stride):
    hints_BMHW = some_hints(count=60)
    level_BMHW = hint_levels(hints_BMHW, (stride,))[stride].double()
    expected_BMHW = torch.zeros(2, 3, -(-21 // stride), -(-30 // stride), dtype=torch.float64)
    for b, y, x in np.ndindex(2, *expected_BMHW.shape[2:]):
        cell = hints_BMHW[b, :, y * stride : (y + 1) * stride, x * stride : (x + 1) * stride]
        known = cell.double()[:, cell[2] > 0]
        if known.shape[1]:
            expected_BMHW[b, :2, y, x] = known[:2].mean(1) - 0.5
            expected_BMHW[b, 2, y, x] = known.shape[1] / stride**2
    torch.testing.assert_close(level_BMHW, expected_BMHW, atol=1e-6, rtol=0)


def test_attention_is_its_formula():
    attention = HintAttention(6, 3).double()
    with torch.no_grad():
        attention.none_H.normal_(generator=torch.Generator().manual_seed(1))
    features_CHW = torch.rand(6, 4, 5, dtype=torch.float64)
    hints_MHW = hint_levels(some_hints(1, 4, 5, 3).double(), (1,))[1][0]
    expected_CHW = features_CHW.clone()
    cells = [(y, x) for y in range(4) for x in range(5) if hints_MHW[2, y, x] > 0]
    weights = {name: parameter.detach() for name, parameter in attention.named_parameters()}
    for y, x in np.ndindex(4, 5):
        query_W = weights["query.weight"][..., 0, 0] @ features_CHW[:, y, x] + weights["query.bias"]
        spread = []
        for head in range(HEADS):
            part = slice(head * HEAD_CHANNELS, (head + 1) * HEAD_CHANNELS)
            scores, values = [weights["none_H"][head]], [torch.zeros(HEAD_CHANNELS).double()]
            for cell_y, cell_x in cells:
                feature_C = features_CHW[:, cell_y, cell_x]
                key_W = weights["key.weight"] @ feature_C + weights["key.bias"]
                value_W = weights["value.weight"] @ torch.cat(
                    [feature_C, hints_MHW[:, cell_y, cell_x]]
                )
                distance = np.hypot(y - cell_y, x - cell_x)
                score = query_W[part] @ key_W[part] / HEAD_CHANNELS**0.5
                scores.append(score - distance / weights["log_reach_H"][head].exp())
                values.append((value_W + weights["value.bias"])[part])
            shares = torch.stack(scores).softmax(0)
            spread.append(sum(share * value for share, value in zip(shares, values, strict=True)))
        expected_CHW[:, y, x] += weights["output.weight"][..., 0, 0] @ torch.cat(spread)
    result_1CHW = attention(features_CHW[None], hints_MHW[None])
    torch.testing.assert_close(result_1CHW[0], expected_CHW, atol=1e-5, rtol=0)


@pytest.mark.parametrize("decoder", ["paper", "skips", "queries"])
def test_zeros_are_no_hints_and_hints_change_colors(decoder):
    network = with_hints(decoder=decoder)
    luminance_B1HW, hints_BMHW = torch.rand(2, 1, 21, 30), some_hints()
    plain = network(luminance_B1HW)[0]
    none = network(luminance_B1HW, hints_BMHW=torch.zeros_like(hints_BMHW))[0]
    hinted = network(luminance_B1HW, hints_BMHW=hints_BMHW)[0]
    assert torch.equal(plain, none)
    assert hinted.shape == plain.shape
    assert not torch.equal(plain, hinted)
    parts = network.backbone.local_features(luminance_B1HW)
    global_BC, _ = network.global_features(luminance_B1HW)
    torch.testing.assert_close(network.decode(parts, (21, 30), global_BC, hints_BMHW), hinted)


def test_hints_of_one_photo_leave_the_others_alone():
    network = with_hints()
    luminance_B1HW, hints_BMHW = torch.rand(2, 1, 16, 16), some_hints(2, 16, 16)
    hints_BMHW[1] = 0
    hinted = network(luminance_B1HW, hints_BMHW=hints_BMHW)[0]
    torch.testing.assert_close(hinted[1], network(luminance_B1HW)[0][1], atol=1e-6, rtol=0)


def test_more_cells_with_hints_than_attention_takes(monkeypatch):
    monkeypatch.setattr(hints, "MAX_CELLS", 4)
    network = with_hints()
    everywhere = torch.cat([torch.rand(1, 2, 32, 32), torch.ones(1, 1, 32, 32)], 1)
    assert network(torch.rand(1, 1, 32, 32), hints_BMHW=everywhere)[0].isfinite().all()


def test_every_layer_for_hints_learns_also_where_ranks_have_none():
    network = with_hints()
    freeze_unused(network)
    attention = network.hint_attention
    assert attention is not None
    assert all(parameter.requires_grad for parameter in attention.parameters())
    result, _ = network.predict(torch.rand(2, 1, 32, 32), hints_BMHW=torch.zeros(2, 3, 32, 32))
    result.sum().backward()
    assert all(parameter.grad is not None for parameter in attention.parameters())


def test_a_description_holds_hints():
    network = with_hints()
    again = build(describe(network), ())
    again.load_state_dict(network.state_dict())
    assert again.hint_channels == 3
    assert joint(width=0.0625).hint_channels == 0
