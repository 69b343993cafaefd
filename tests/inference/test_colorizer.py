import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from irodori.color import to_uint8
from irodori.inference.checkpoint import Model
from irodori.inference.colorizer import Colorizer


@pytest.fixture(scope="module")
def colorizer(model):
    return Colorizer(model)


def photo(size=(40, 28), seed=0):
    """Smooth, in all lightnesses but the very dark and bright ones, where sRGB has no colours."""
    small = np.random.default_rng(seed).integers(60, 200, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def pixels(image):
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "YCbCr"])
def test_modes_are_coloured_as_their_rgb(colorizer, mode):
    image = photo().convert(mode)
    before = image.tobytes()
    colored = colorizer(image)
    assert (colored.mode, colored.size) == ("RGB", (40, 28))
    assert colored.tobytes() == colorizer(image.convert("RGB")).tobytes()
    assert image.tobytes() == before


@pytest.mark.parametrize("kind", [np.uint16, np.int32, ">u2"])
def test_16_bit_gray_is_coloured_as_its_8_bits(colorizer, kind):
    gray = photo().convert("L")
    deep = Image.fromarray((np.asarray(gray).astype(np.int64) * 257 + 40).astype(kind))
    assert deep.mode.startswith("I")
    assert colorizer(deep).tobytes() == colorizer(gray).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (300, 1), (1, 300), (2, 3), (37, 51), (224, 224)])
def test_any_size_comes_out_as_it_went_in(colorizer, size):
    assert colorizer(photo(size)).size == size
    assert colorizer(photo(size).convert("L"), photo((3, 80))).size == size


def test_the_colors_differ_from_gray_and_from_place_to_place(colorizer):
    ab = rgb2lab(np.asarray(colorizer(photo())))[..., 1:]
    assert np.abs(ab).max() > 3
    assert ab.std(axis=(0, 1)).max() > 0.1


def test_a_style_of_any_size_and_mode(colorizer):
    style = photo((70, 33), seed=3).convert("L").point(lambda level: level // 4)
    plain, styled = colorizer(photo()), colorizer(photo(), style=style)
    assert styled.size == plain.size
    assert np.abs(pixels(plain) - pixels(styled)).max() >= 2
    assert styled.tobytes() == colorizer(photo(), style.convert("RGBA")).tobytes()
    same = colorizer(photo((224, 224)), photo((224, 224)))
    assert np.abs(pixels(same) - pixels(colorizer(photo((224, 224))))).max() <= 1


@pytest.mark.parametrize("name", ["lab", "luv"])
def test_the_photos_own_lightness_is_kept_where_the_color_is_in_gamut(name, make_model):
    model = make_model(name)
    image = photo()
    colored = Colorizer(model)(image)
    lightness = rgb2lab(np.asarray(image))[..., 0]
    found = rgb2lab(np.asarray(colored))[..., 0]
    inside = ((np.asarray(colored) > 0) & (np.asarray(colored) < 255)).all(axis=2)
    assert inside.mean() > 0.5
    # 8-bit steps are about 0.4 L* apart.
    assert np.abs(found - lightness)[inside].max() < 0.5


@pytest.mark.parametrize("name", ["yuv", "ycbcr", "rgb"])
def test_the_photos_own_luma_is_kept_where_the_color_is_in_gamut(name, make_model):
    weights = np.array([0.299, 0.587, 0.114])
    image = photo()
    colored = np.asarray(Colorizer(make_model(name))(image)).astype(float)
    inside = ((colored > 0) & (colored < 255)).all(axis=2)
    assert inside.mean() > 0.5
    assert np.abs(colored @ weights - pixels(image) @ weights)[inside].max() <= 1


def test_scenes_are_probabilities_in_order(model, colorizer):
    scenes = colorizer.scenes(photo())
    assert set(scenes) == set(model.classes)
    assert sum(scenes.values()) == pytest.approx(1, abs=1e-6)
    assert list(scenes.values()) == sorted(scenes.values(), reverse=True)
    luminance, _ = model.space.encode(
        torch.from_numpy(pixels(photo())).permute(2, 0, 1)[None].float() / 255
    )
    with torch.no_grad():
        logits = model.network(luminance)[1][0]
    expected = dict(zip(model.classes, logits.softmax(0).tolist(), strict=True))
    assert scenes == pytest.approx(expected, abs=1e-5)


def test_without_global_features_there_are_no_scenes(make_model):
    colorizer = Colorizer(make_model(global_features=False))
    assert colorizer.scenes(photo()) == {}
    assert colorizer(photo()).size == (40, 28)


def test_it_loads_from_a_checkpoint(tmp_path, model, colorizer):
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    torch.save({"irodori": model.describe(), "state_dict": weights}, tmp_path / "a.ckpt")
    again = Colorizer.load(tmp_path / "a.ckpt")
    assert again(photo()).tobytes() == colorizer(photo()).tobytes()


class NoColor(torch.nn.Module):
    """Predicts gray."""

    def forward(self, luminance_B1HW, _):
        half = [(side + 1) // 2 for side in luminance_B1HW.shape[-2:]]
        return torch.full((len(luminance_B1HW), 2, *half), 0.5), None


def test_a_prediction_of_gray_gives_the_gray_photo(model):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colored = Colorizer(Model(NoColor(), model.space, (), 0.0, (0.0, 0.0)))(Image.fromarray(levels))
    gray = to_uint8(torch.from_numpy(levels / 255)).numpy()
    assert np.abs(pixels(colored) - gray[..., None].astype(int)).max() <= 1
