import pytest
import torch

from irodori.data.simulated_hints import MAX_HINTS, MAX_SIDE, SimulatedHints

CHROMA = torch.rand(64, 2, 40, 56, generator=torch.Generator().manual_seed(0))
DRAWS = torch.arange(64) / 64


def squares(hint_MHW):
    """The different colors of a photograph's hints, with the pixels of each."""
    known = hint_MHW[:, hint_MHW[-1] > 0]
    return known[:-1].T.unique(dim=0, return_counts=True)


def test_hints_are_the_mean_true_colors_of_squares():
    hints_BMHW = SimulatedHints(mean_count=1.0)(CHROMA, DRAWS)
    for chroma_CHW, hint_MHW in zip(CHROMA, hints_BMHW, strict=True):
        mask_HW = hint_MHW[-1] == 1
        assert torch.equal(mask_HW, hint_MHW[-1] > 0)
        colors, _ = squares(hint_MHW)
        rows, columns = mask_HW.any(1).nonzero(), mask_HW.any(0).nonzero()
        side = len(rows)
        assert len(colors) == 1
        assert len(columns) == side <= MAX_SIDE
        assert mask_HW.sum() == side**2
        torch.testing.assert_close(colors[0], chroma_CHW[:, mask_HW].mean(1))
        assert not hint_MHW[:, ~mask_HW].any()


def test_as_many_squares_as_asked_for():
    hints_BMHW = SimulatedHints(mean_count=6.0)(CHROMA, DRAWS)
    counts = [len(squares(hint_MHW)[0]) for hint_MHW in hints_BMHW]
    assert min(counts) >= 1
    assert max(counts) <= MAX_HINTS
    # The standard error of the mean of 64 geometric numbers is 0.7; squares may hide others.
    assert sum(counts) / len(counts) == pytest.approx(6, abs=2.5)


def test_hints_are_a_function_of_a_photographs_draw():
    make = SimulatedHints()
    all_of_them = make(CHROMA, DRAWS)
    assert torch.equal(make(CHROMA[5:9], DRAWS[5:9]), all_of_them[5:9])


def test_photographs_smaller_than_a_square():
    hints_BMHW = SimulatedHints()(CHROMA[:, :, :1, :3], DRAWS)
    assert hints_BMHW.shape == (64, 3, 1, 3)
    assert hints_BMHW[:, -1].any((1, 2)).all()
