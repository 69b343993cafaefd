"""Hints in a photo: where they lie, and that their colors are met."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from irodori import Hint
from irodori.color import Lab, LumaAb, Oklab, Rgb, Yuv
from irodori.color.ab_bins import centers
from irodori.inference import prepared_photo as module
from irodori.inference.colorizer import Colorizer
from irodori.inference.luminance import PhotoLuminance
from irodori.inference.placed_hints import PlacedHints, chroma_of
from irodori.inference.settings import ColorizeSettings
from irodori.model import Model
from irodori.utils.errors import IrodoriError
from networks import joint

NAVY, BRICK, LEAVES = "#1b2a49", "#8b4a3a", "#5c7a4a"


def photo(height=300, width=420, dtype=np.uint8, seed=5):
    """Gray in lightnesses that have colors in sRGB, with fine detail."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(100, 180, (6, 8), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    levels = (smooth + random.normal(0, 8, smooth.shape)).clip(90, 190) / 255
    return (levels * np.iinfo(dtype).max).round().astype(dtype)[..., None]


def ab(color):
    return rgb2lab(np.array(list(bytes.fromhex(color[1:])), float) / 255)[1:]


def random_hints(count, height, width, seed=0):
    random = np.random.default_rng(seed)
    colors = lab2rgb(np.c_[np.full(count, 55), random.uniform(-20, 20, (count, 2))])
    hexes = ["#" + bytes((color * 255).round().astype(np.uint8)).hex() for color in colors]
    places = random.uniform(0, (width, height), (count, 2))
    return [Hint(*place, color) for place, color in zip(places.tolist(), hexes, strict=True)]


def distances(pixels_HW3, hints):
    """How far the hints' colors are missed, in ab units."""
    levels = pixels_HW3 / np.iinfo(pixels_HW3.dtype).max
    height, width = levels.shape[:2]
    found = [
        rgb2lab(levels[min(int(hint.y), height - 1), min(int(hint.x), width - 1)])[1:]
        for hint in hints
    ]
    return [np.hypot(*(one - ab(hint.color))) for one, hint in zip(found, hints, strict=True)]


def exactly(model, settings=None):
    return Colorizer(model, settings, precision="fp32")


@pytest.fixture(scope="module")
def hinted(make_model):
    """An untrained model that takes hints."""
    return make_model(hints=True)


@pytest.fixture(scope="module")
def colorizer(hinted):
    return exactly(hinted)


@pytest.mark.parametrize("made_by", [Lab, Yuv, Oklab, LumaAb, Rgb])
def test_colors_are_taken_as_ab_at_the_photos_own_luminance(made_by):
    space = made_by()
    wanted = torch.tensor([[25.0, -20, 3, 0], [10, 15, -25, 0]])
    luminance = torch.tensor([0.4, 0.5, 0.6, 0.7])
    chroma = chroma_of(space, luminance, wanted)
    rgb = space.decode(luminance[None, None, None], chroma[None, :, None])
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    found = rgb2lab(rgb[0, :, 0].T.numpy())[:, 1:]
    assert np.abs(found - wanted.T.numpy()).max() < 0.2
    torch.testing.assert_close(space.luminance(rgb)[0, 0, 0], luminance, atol=2e-3, rtol=0)


def test_colors_that_srgb_has_not_become_paler():
    space = Lab()
    luminance, wanted = torch.tensor([0.9, 0.0, 1.0]), torch.tensor([[70.0] * 3, [60.0] * 3])
    chroma = chroma_of(space, luminance, wanted)
    rgb = space.decode(luminance[None, None, None], chroma[None, :, None])
    assert rgb.min() > -0.01
    assert rgb.max() < 1.01
    found = rgb2lab(rgb[0, :, 0].T.clamp(0, 1).numpy())
    assert 5 < np.hypot(*found[0, 1:]) < 60
    assert np.arctan2(found[0, 2], found[0, 1]) == pytest.approx(np.arctan2(60, 70), abs=0.05)


def placed(hints, pixels_HWC, seen=(64, 96)):
    luminance = PhotoLuminance(pixels_HWC, Lab(), torch.device("cpu"))
    return PlacedHints(hints, luminance, luminance.at(*seen))


def test_the_network_sees_squares_of_the_hints_colors():
    gray = np.full((128, 192, 1), 119, np.uint8)
    hints = [Hint(0.5, 0.5, NAVY), Hint(100, 60, BRICK), Hint(108, 60, LEAVES)]
    planes = placed(hints, gray).planes()
    assert planes.shape == (1, 3, 64, 96)
    expected = np.zeros((3, 64, 96))
    # The later hint covers a part of the earlier one.
    for color, rows, columns in (
        (NAVY, slice(0, 3), slice(0, 3)),
        (BRICK, slice(28, 33), slice(48, 53)),
        (LEAVES, slice(28, 33), slice(52, 57)),
    ):
        expected[:2, rows, columns] = (ab(color) / (200, 220) + 0.5)[:, None, None]
        expected[2, rows, columns] = 1
    np.testing.assert_allclose(planes[0].numpy(), expected, atol=2e-3)


def test_of_two_hints_at_one_place_the_later_counts(colorizer):
    pixels = photo()
    one = colorizer.color(pixels, hints=[Hint(100, 60, NAVY), Hint(100.4, 60.3, BRICK)])
    other = colorizer.color(pixels, hints=[Hint(100.4, 60.3, BRICK)])
    assert np.array_equal(one.pixels_HW3, other.pixels_HW3)


def test_a_correction_ends_at_edges_and_far_away():
    pixels = np.full((128, 192, 1), 80, np.uint8)
    pixels[:, 60:] = 180
    hints = placed([Hint(40, 64, BRICK)], pixels)
    changed = (hints.correct_chroma(torch.full((1, 2, 32, 48), 0.5)) - 0.5)[0, 0]
    at = changed[16, 10]
    assert at > 0.04
    assert changed[16, 9] > 0.7 * at
    assert changed[16, 20] < 0.15 * at  # beyond the edge
    assert changed[0, 10] < 0.5 * at
    assert (changed >= 0).all()


def test_unlike_hints_side_by_side_make_no_colors_beyond_both():
    pixels = np.full((128, 192, 1), 119, np.uint8)
    hints = [Hint(60, 64, "#a06060"), Hint(66, 64, "#50807a"), Hint(130, 20, "#a06060")]
    asked = placed(hints, pixels)
    chroma = asked.correct_chroma(torch.full((1, 2, 32, 48), 0.5))[0]
    low, high = asked.chroma_CN.min(1).values, asked.chroma_CN.max(1).values
    slack = 0.1 * (high - low)
    assert (chroma.flatten(1).min(1).values > low - slack).all()
    assert (chroma.flatten(1).max(1).values < high + slack).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 20])
def test_hints_are_met(colorizer, count, dtype):
    pixels = photo(dtype=dtype)
    hints = random_hints(count, 300, 420)
    missed = distances(colorizer.color(pixels).pixels_HW3, hints)
    assert max(missed) > 10
    colored = colorizer.color(pixels, hints=hints).pixels_HW3
    assert max(distances(colored, hints)) < 3
    lightness = rgb2lab(colored / np.iinfo(dtype).max)[..., 0]
    gray = rgb2lab(np.repeat(pixels, 3, 2) / np.iinfo(dtype).max)[..., 0]
    assert np.abs(lightness - gray).max() < 0.6


@pytest.mark.parametrize("made_by", [Yuv, Rgb])
def test_hints_are_met_in_other_spaces(make_model, made_by):
    model = make_model(made_by, hints=True)
    hints = random_hints(5, 300, 420)
    colored = exactly(model).color(photo(), hints=hints).pixels_HW3
    assert max(distances(colored, hints)) < 3


def test_hints_are_met_in_bf16(hinted):
    hints = random_hints(3, 60, 90)
    colored = Colorizer(hinted, precision="bf16").color(photo(60, 90), hints=hints).pixels_HW3
    assert max(distances(colored, hints)) < 3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (700, 500)])
@pytest.mark.parametrize("work_size", [64, "native"])
def test_hints_on_the_borders_of_photos_of_any_size(hinted, size, work_size):
    height, width = size
    pixels = photo(height, width)
    hints = [Hint(0, 0, NAVY), Hint(width, height, BRICK)][: 1 if max(size) == 1 else 2]
    hints = [Hint(hint.x, hint.y, "#7a5a5a") for hint in hints]
    settings = ColorizeSettings(work_size=work_size)
    colored = exactly(hinted, settings).color(pixels, hints=hints).pixels_HW3
    assert max(distances(colored, hints)) < 3


def test_shares_are_pixels_of_any_size(colorizer):
    pixels = photo()
    one = colorizer.color(pixels, hints=[Hint(0.25, 0.5, BRICK, relative=True)])
    other = colorizer.color(pixels, hints=[Hint(105, 150, BRICK)])
    assert np.array_equal(one.pixels_HW3, other.pixels_HW3)
    image = Image.fromarray(pixels[..., 0])
    called = colorizer(image, hints=[Hint(105, 150, BRICK)])
    assert np.array_equal(np.asarray(called), other.pixels_HW3)


def test_a_prepared_photo_is_colored_as_one_that_is_not():
    network = joint(decoder="skips", hints=True).eval()
    colorizer = exactly(Model(network, Lab(), ("sea", "hill", "town"), 0.25, (3.0, 9.0)))
    pixels = photo(80, 90)
    prepared = colorizer.prepare(pixels)
    hints = random_hints(2, 80, 90)
    first = prepared.color()
    with_two = prepared.color(hints)
    assert max(distances(with_two.pixels_HW3, hints)) < 3
    assert np.array_equal(prepared.color().pixels_HW3, first.pixels_HW3)
    assert np.array_equal(colorizer.color(pixels).pixels_HW3, first.pixels_HW3)
    assert np.array_equal(colorizer.color(pixels, hints=hints).pixels_HW3, with_two.pixels_HW3)
    assert with_two.scenes == first.scenes


def test_a_prepared_photo_looks_for_features_once(colorizer, monkeypatch):
    backbone, calls = colorizer.network.backbone, []
    methods = {name: getattr(backbone, name) for name in ("local_features", "global_features")}
    for name in methods:

        def counted(luminance, name=name):
            calls.append(name)
            return methods[name](luminance)

        monkeypatch.setattr(backbone, name, counted)
    prepared = colorizer.prepare(photo())
    for count in (0, 1, 3):
        prepared.color(random_hints(count, 300, 420))
    prepared.likely_colors(0.5, 0.5)
    assert sorted(calls) == ["global_features", "local_features"]


def test_a_style_colors_what_hints_do_not(colorizer):
    pixels, hints = photo(), [Hint(30, 30, BRICK)]
    style_1G = colorizer.global_features([photo(seed=8) // 2])
    plain = colorizer.color(pixels, hints=hints).pixels_HW3.astype(int)
    styled = colorizer.color(pixels, style_1G, hints=hints).pixels_HW3.astype(int)
    assert np.abs(plain - styled)[200:, 300:].max() >= 2
    assert max(distances(styled.astype(np.uint8), hints)) < 3


def test_what_cannot_be_is_refused(model, colorizer, monkeypatch):
    with pytest.raises(IrodoriError, match="support hints"):
        exactly(model).color(photo(), hints=[Hint(1, 1, NAVY)])
    with pytest.raises(IrodoriError, match=r"hint 2 .*x 421, y 1.*420×300"):
        colorizer.color(photo(), hints=[Hint(1, 1, NAVY), Hint(421, 1, NAVY)])
    with pytest.raises(IrodoriError, match="too many"):
        colorizer.color(photo(), hints=1001 * [Hint(1, 1, NAVY)])
    monkeypatch.setattr(module, "TILE", 64)
    with pytest.raises(IrodoriError, match="--work-size"):
        colorizer.color(photo(), hints=[Hint(1, 1, NAVY)])


def test_likely_colors_begin_with_the_predicted_one(colorizer):
    pixels = photo()
    prepared = colorizer.prepare(pixels)
    colors = prepared.likely_colors(0.5, 0.5)
    assert len(colors) == len(set(colors)) == 8
    (predicted,) = distances(prepared.color().pixels_HW3, [Hint(210, 150, colors[0])])
    assert predicted < 6  # the rest is fine detail
    gray = pixels[150, 210, 0] / 255
    labs = [rgb2lab(np.array(list(bytes.fromhex(color[1:])), float) / 255) for color in colors]
    assert np.abs([lab[0] - rgb2lab([gray] * 3)[0] for lab in labs]).max() < 0.6
    apart = [np.hypot(*(a - b)[1:]) for i, a in enumerate(labs) for b in labs[:i]]
    assert min(apart) > 11
    assert prepared.likely_colors(0, 1, 3) == prepared.likely_colors(0, 1, 8)[:3]


def test_a_black_place_has_one_likely_color(colorizer):
    assert colorizer.prepare(photo() * 0).likely_colors(1, 1) == ["#000000"]


def test_likely_colors_are_those_of_similar_places(colorizer, monkeypatch):
    """Dark places are predicted reddish, and bright ones greenish with bluish spots."""
    pixels = np.full((256, 256, 1), 90, np.uint8)
    pixels[:, 128:] = 150
    prepared = colorizer.prepare(pixels)
    chroma = torch.full((1, 2, 144, 144), 0.5)
    chroma[:, 0, :, :72], chroma[:, 0, :, 72:] = 0.6, 0.4
    chroma[:, :, 20:60, 72:] = torch.tensor([0.5, 0.3])[:, None, None]
    monkeypatch.setattr(colorizer.network.output, "forward", lambda *_: chroma)
    offered = np.array([ab(color) for color in prepared.likely_colors(0.75, 0.9, 3)])
    wanted = np.array([[-20, 0], [0, -44]])
    nearest = np.linalg.norm(offered[:, None] - wanted, axis=2).min(0)
    assert nearest[0] < 3
    assert nearest[1] < 12
    assert (np.linalg.norm(offered - (20, 0), axis=1) > 15).all()


def test_likely_colors_of_classes_are_the_probable_bins(make_model):
    model = deepcopy(make_model(output="classes"))
    bins = centers()
    wanted = torch.tensor([[30.0, 20.0], [-20.0, 20.0]], dtype=torch.float64)
    with torch.no_grad():
        last = model.network.colorization.layers[-1]
        last.weight.zero_()
        last.bias.zero_()
        for color, bias in zip(wanted, (12.0, 8.0), strict=True):
            last.bias[(bins - color).norm(dim=1).argmin()] = bias
    offered = exactly(model).prepare(photo()).likely_colors(0.3, 0.3, 4)
    found = np.array([ab(color) for color in offered])
    for color in wanted.numpy():
        assert np.linalg.norm(found - color, axis=1).min() < 2
