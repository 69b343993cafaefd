"""Bins, shares and weights of colors against NumPy and SciPy; and the file that holds them."""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import corners, lab, picture, plain, smooth
from scipy.ndimage import gaussian_filter

from irodori.metrics.prior import BINS, RAREST, AbPrior, bins_of
from irodori.utils.errors import IrodoriError

EDGES = np.arange(-115, 116, 10)
PICTURES = [smooth(0), smooth(1, 30, 5), corners(), picture(2, 1, 1), picture(3)]


@pytest.fixture(scope="module")
def prior():
    return AbPrior.of(iter(PICTURES), "five pictures of a test")


def test_each_photograph_counts_the_same(prior):
    shares, means = [], []
    for one in PICTURES:
        ab = lab(one)[..., 1:].reshape(-1, 2)
        shares.append(np.histogram2d(*ab.T, bins=[EDGES, EDGES])[0] / len(ab))
        means.append(ab.mean(0))
    np.testing.assert_allclose(prior.shares_AB, np.mean(shares, 0), atol=1e-9)
    np.testing.assert_allclose(prior.mean_ab, np.mean(means, 0), atol=1e-3)
    assert prior.photographs == 5
    assert prior.shares_AB.sum().item() == pytest.approx(1, abs=1e-6)


def test_weights_are_the_inverse_of_the_smoothed_shares():
    # None of these colors lies so near the borders that some of the Gaussian is lost there.
    prior = AbPrior.of([smooth(0), smooth(1, 30, 5)], "two pictures of a test")
    # A bin is 10 units, σ is 5 of them.
    smoothed = gaussian_filter(prior.shares_AB.numpy(), 0.5, mode="constant", truncate=40)
    expected = 1 / np.maximum(smoothed, RAREST)
    centers = torch.arange(-110, 111, 10).double()
    ab_2HW = torch.stack(torch.meshgrid(centers, centers, indexing="ij"))
    weights_HW = prior.weights(ab_2HW)
    ratio = weights_HW.numpy() / expected
    np.testing.assert_allclose(ratio / ratio[0, 0], 1, rtol=1e-6)
    assert (weights_HW * prior.shares_AB).sum().item() == pytest.approx(1, rel=1e-6)
    # A color that no photograph has.
    assert weights_HW[0, 0] == weights_HW.max()
    assert torch.isfinite(weights_HW).all()


def test_the_mean_weight_of_the_photographs_themselves_is_1(prior):
    means = []
    for one in PICTURES:
        ab = torch.from_numpy(lab(one)[..., 1:]).movedim(-1, 0)
        means.append(prior.weights(ab).mean().item())
    assert np.mean(means) == pytest.approx(1, rel=1e-6)


def test_smoothing_keeps_all_shares():
    far = AbPrior(torch.zeros(BINS, BINS).double(), (0.0, 0.0), 1, "")
    far.shares_AB[0, -1] = 1
    weights = far._weights.reshape(BINS, BINS)
    assert weights[0, -1].item() == pytest.approx(1)
    # The neighbors' weights by the Gaussian: e² times that of the bin itself.
    kernel = np.exp(-0.5 * (np.arange(BINS) * 2.0) ** 2)
    assert weights[1, -1].item() == pytest.approx(kernel[0] / kernel[1], rel=1e-6)


@settings(max_examples=50)
@given(st.floats(-300, 300), st.floats(-300, 300))
def test_bins(a, b):
    found = bins_of(torch.tensor([[[a]], [[b]]], dtype=torch.float64)).item()
    expected = [np.clip(np.searchsorted(EDGES, v, "right") - 1, 0, BINS - 1) for v in (a, b)]
    assert divmod(found, BINS) == tuple(expected)


def test_gray_lies_in_the_middle_of_a_bin_and_edges_belong_to_the_bin_above():
    ab = torch.tensor([[[0.0, 4.999, 5.0, -5.0, -5.001, 1e9, -1e9]]]).expand(2, 1, 7)
    assert (bins_of(ab) // BINS).tolist() == [[11, 11, 12, 11, 10, 22, 0]]
    grays = AbPrior.of([plain([level] * 3) for level in range(0, 256, 5)], "grays")
    assert grays.shares_AB[11, 11] == 1


def test_no_color_of_srgb_lies_outside(prior):
    ab = lab(corners())[..., 1:]
    assert np.abs(ab).max() < 115
    with pytest.raises(IrodoriError, match="no photographs"):
        AbPrior.of([], "nothing")


def test_a_file_holds_all_of_it(prior, tmp_path):
    path = tmp_path / "a folder" / "prior.json"
    prior.save(path)
    loaded = AbPrior.load(path)
    assert torch.equal(loaded.shares_AB, prior.shares_AB)
    assert loaded.mean_ab == prior.mean_ab
    assert (loaded.photographs, loaded.made) == (5, "five pictures of a test")
    assert loaded.name == "prior.json"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert loaded.identity == f"prior.json (sha256 {digest})"
    assert prior.identity == f"prior (sha256 {digest})"
    assert list(path.parent.iterdir()) == [path]
    stored = path.read_text()
    assert stored.count("\n") < 40
    assert np.array(json.loads(stored)["shares"]).shape == (BINS, BINS)


DAMAGES = {
    "no JSON": lambda text: text[: len(text) // 2],
    "another kind": lambda text: "[1, 2]",
    "another format": lambda text: text.replace("prior 1", "prior 2"),
    "a row less": lambda text: re.sub(r"  \[[^\]]*\],\n", "", text, count=1),
    "negative": lambda text: text.replace("  [0, ", "  [-0.1, ", 1),
    "not a number": lambda text: text.replace("  [0, ", "  [NaN, ", 1),
    "text": lambda text: text.replace("  [0, ", '  ["0", ', 1),
    "an endless mean": lambda text: re.sub('"mean_ab": .*', '"mean_ab": [Infinity, 0],', text),
    "no photographs": lambda text: text.replace('"photographs": 5', '"photographs": 0'),
    "made of a number": lambda text: re.sub('"made": .*', '"made": 5,', text),
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused_in_one_line(prior, tmp_path, damage):
    path = tmp_path / "prior.json"
    prior.save(path)
    text = DAMAGES[damage](path.read_text())
    assert text != path.read_text()
    path.write_text(text)
    with pytest.raises(IrodoriError, match="is not a color prior") as caught:
        AbPrior.load(path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused_in_one_line(tmp_path):
    with pytest.raises(IrodoriError, match="No such file"):
        AbPrior.load(tmp_path / "none.json")
    with pytest.raises(IrodoriError, match="Is a directory"):
        AbPrior.load(tmp_path)
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(IrodoriError, match="not a color prior"):
        AbPrior.load(path)
