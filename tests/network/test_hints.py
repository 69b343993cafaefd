import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from irodori.config.describable import build, describe
from irodori.network import hints
from irodori.network.hints import CELL, HEAD_CHANNELS, HEADS, HintSpread
from irodori.network.joint import freeze_unused
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


def cells_of(color_CHW, mask_HW, missing_QHW, embedding_EHW):
    """What is missing, place and embedding of each cell with hints, by loops."""
    side, found = CELL // 2, []
    height, width = mask_HW.shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            inside = [
                (y, x)
                for y in range(top, min(top + side, height))
                for x in range(left, min(left + side, width))
                if mask_HW[y, x]
            ]
            if inside:
                rows, columns = zip(*inside, strict=True)
                found.append(
                    (
                        missing_QHW[:, rows, columns].mean(1),
                        np.mean(inside, 0),
                        embedding_EHW[:, rows, columns].mean(1),
                    )
                )
    return found


def test_hints_spread_by_the_formula():
    torch.manual_seed(1)
    spread = HintSpread({8: 5, 2: 3}, 2).eval()
    with torch.no_grad():
        spread.threshold_H.copy_(torch.tensor([1.0, 3.0]))
    prediction_QHW = torch.randn(2, 11, 15)
    features = {8: torch.randn(1, 5, 3, 4), 2: torch.randn(1, 3, 11, 15)}
    hints_MHW = some_hints(1, 21, 30, 9)[0]
    result_QHW = spread(prediction_QHW[None], features, hints_MHW[None])[0]

    embedding_EHW = spread._embedding(prediction_QHW[None], features)[0].detach().double().numpy()
    color_CHW, mask_HW = np.full((2, 11, 15), 0.5), np.zeros((11, 15), bool)
    for y, x in np.ndindex(11, 15):
        part = hints_MHW[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].double()
        known = part[:, part[2] > 0]
        if known.shape[1]:
            color_CHW[:, y, x], mask_HW[y, x] = known[:2].mean(1), True
    color_CHW = color_CHW.clip(1e-3, 1 - 1e-3)
    prediction = prediction_QHW.double().numpy()
    missing_QHW = np.log(color_CHW / (1 - color_CHW)) - prediction
    cells = cells_of(color_CHW, mask_HW, missing_QHW, embedding_EHW)
    parameters = {name: p.detach().double().numpy() for name, p in spread.named_parameters()}
    for y, x in np.ndindex(11, 15):
        added = np.zeros(2)
        for head in range(HEADS):
            part = slice(head * HEAD_CHANNELS, (head + 1) * HEAD_CHANNELS)
            weights = []
            for _, place, key_E in cells:
                own_D, key_D = embedding_EHW[part, y, x], key_E[part]
                cosine = own_D @ key_D / np.linalg.norm(own_D) / np.linalg.norm(key_D)
                distance = np.hypot(y - place[0], x - place[1])
                weights.append(
                    np.exp(
                        parameters["likeness_H"][head] * cosine
                        - parameters["threshold_H"][head]
                        - distance / np.exp(parameters["log_reach_H"][head])
                    )
                )
            shares = np.array(weights) / (1 + sum(weights))
            missing = (share * cell[0] for share, cell in zip(shares, cells, strict=True))
            added += sum(missing) / HEADS
        expected = torch.tensor(prediction[:, y, x] + added).float()
        torch.testing.assert_close(result_QHW[:, y, x], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("decoder", ["paper", "skips", "queries"])
def test_hints_change_colors_and_zeros_do_not(decoder):
    network = with_hints(decoder=decoder)
    luminance_B1HW, hints_BMHW = torch.rand(2, 1, 21, 30), some_hints()
    hints_BMHW[1] = 0
    plain = network(luminance_B1HW)[0]
    hinted = network(luminance_B1HW, hints_BMHW=hints_BMHW)[0]
    torch.testing.assert_close(hinted[1], plain[1], atol=1e-6, rtol=0)
    assert hinted.shape == plain.shape
    assert (hinted[0] - plain[0]).abs().max() > 0.01
    local = network.backbone.local_features(luminance_B1HW)
    global_BC, _ = network.global_features(luminance_B1HW)
    torch.testing.assert_close(network.decode(local, (21, 30), global_BC, hints_BMHW), hinted)


def test_a_hint_brings_its_place_nearer_to_its_color():
    network = with_hints(decoder="skips")
    luminance_B1HW = torch.rand(1, 1, 64, 64)
    hints_BMHW = torch.zeros(1, 3, 64, 64)
    color = torch.tensor([0.7, 0.35])
    hints_BMHW[0, :2, 30:35, 20:25], hints_BMHW[0, 2, 30:35, 20:25] = color[:, None, None], 1
    plain, hinted = (
        network(luminance_B1HW, hints_BMHW=given)[0][0, :, 16, 11] for given in (None, hints_BMHW)
    )
    assert (hinted - color).norm() < 0.4 * (plain - color).norm()


def test_what_is_learned_without_hints_sees_nothing_of_them():
    network = with_hints().train()
    luminance_B1HW, hints_BMHW = torch.rand(2, 1, 32, 32), some_hints(2, 32, 32)
    _, hinted_RQHW, _ = network.predict_both(luminance_B1HW, hints_BMHW[1:], torch.tensor([1]))
    hinted_RQHW.sum().backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None}
    assert learning == {name for name, _ in network.named_parameters() if "hint_spread" in name}


def test_some_of_a_batch_have_hints():
    network = with_hints(decoder="skips")
    luminance_B1HW, hints_BMHW = torch.rand(4, 1, 32, 32), some_hints(4, 32, 32)
    rows_R = torch.tensor([0, 3])
    plain_BQHW, hinted_RQHW, _ = network.predict_both(luminance_B1HW, hints_BMHW[rows_R], rows_R)
    expected_BQHW, _ = network.predict(luminance_B1HW, hints_BMHW=hints_BMHW)
    torch.testing.assert_close(hinted_RQHW, expected_BQHW[rows_R])
    assert torch.equal(plain_BQHW, network.predict(luminance_B1HW)[0])


def test_more_cells_with_hints_than_spread(monkeypatch):
    monkeypatch.setattr(hints, "MAX_CELLS", 4)
    monkeypatch.setattr(hints, "TRAINED_CELLS", 3)
    network = with_hints()
    everywhere = torch.cat([torch.rand(1, 2, 32, 32), torch.ones(1, 1, 32, 32)], 1)
    for training in (False, True):
        network.hint_spread.train(training)
        assert network(torch.rand(1, 1, 32, 32), hints_BMHW=everywhere)[0].isfinite().all()


def test_every_layer_for_hints_learns_also_where_a_rank_has_none():
    network = with_hints()
    freeze_unused(network)
    assert all(parameter.requires_grad for parameter in network.hint_spread.parameters())
    hints_BMHW = torch.zeros(2, 3, 32, 32)
    _, hinted, _ = network.predict_both(torch.rand(2, 1, 32, 32), hints_BMHW, torch.arange(2))
    hinted.sum().backward()
    assert all(parameter.grad is not None for parameter in network.hint_spread.parameters())


def test_a_description_holds_hints():
    network = with_hints()
    again = build(describe(network), ())
    again.load_state_dict(network.state_dict())
    assert again.hint_channels == 3
    assert joint(width=0.0625).hint_channels == 0


def test_hints_need_an_output_of_chrominance():
    with pytest.raises(ValueError, match="AbClassesOutput"):
        joint(width=0.0625, output="classes", hints=True)


class Operators(TorchDispatchMode):
    """Notes the names of operators."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_distances_are_no_differences_of_squares():
    """Those come from matrix products, which a GPU may round to TF32."""
    network = with_hints().train()
    with Operators() as operators:
        network.predict_both(torch.rand(2, 1, 64, 64), some_hints(2, 64, 64, 40), torch.arange(2))
    assert "_cdist_forward" in operators.names
    assert "_euclidean_dist" not in operators.names
