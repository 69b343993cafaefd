import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from irodori.color import Lab, Luv, Rgb, YCbCr, Yuv, to_uint8
from irodori.config import PROJECT
from irodori.data.index import read_index
from irodori.data.samples import Samples
from irodori.inference import prepared_photo as module
from irodori.inference.colorizer import Colorizer, seen_size
from irodori.inference.settings import ColorizeSettings
from irodori.model import Model
from irodori.utils.errors import IrodoriError
from networks import joint


def exactly(model, settings=None, **arguments):
    """A colorizer in fp32, whatever the machine."""
    return Colorizer(model, settings, precision="fp32", **arguments)


@pytest.fixture(scope="module")
def colorizer(model):
    return exactly(model)


def photo(size=(40, 28), seed=0):
    """Smooth, in all lightnesses but the very dark and bright ones, where sRGB has no colors."""
    small = np.random.default_rng(seed).integers(60, 200, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def pixels(image):
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "YCbCr"])
def test_modes_are_colorized_as_their_rgb(colorizer, mode):
    image = photo().convert(mode)
    before = image.tobytes()
    colored = colorizer(image)
    assert (colored.mode, colored.size) == ("RGB", (40, 28))
    assert colored.tobytes() == colorizer(image.convert("RGB")).tobytes()
    assert image.tobytes() == before


def test_a_full_device_is_one_line(model, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("irodori.inference.colorizer.faster", full)
    with pytest.raises(IrodoriError, match="not enough memory for the model on cpu"):
        Colorizer(model)


def test_an_array_is_refused(colorizer):
    with pytest.raises(TypeError, match=r"PIL image, got ndarray: .*Image\.fromarray"):
        colorizer(np.zeros((28, 40, 3), np.uint8))


def test_a_copy_by_pickle_colorizes_alike(colorizer):
    again = pickle.loads(pickle.dumps(colorizer))
    assert again(photo()).tobytes() == colorizer(photo()).tobytes()


@pytest.mark.parametrize("kind", [np.uint16, np.int32, ">u2"])
def test_16_bit_gray_is_colorized_as_its_8_bits(colorizer, kind):
    gray = photo().convert("L")
    deep = Image.fromarray((np.asarray(gray).astype(np.int64) * 257).astype(kind))
    assert deep.mode.startswith("I")
    # Its finer levels are kept until the result is rounded.
    assert np.abs(pixels(colorizer(deep)) - pixels(colorizer(gray))).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (300, 1), (1, 300), (2, 3), (37, 51), (224, 224)])
def test_any_size_comes_out_as_it_went_in(colorizer, size):
    assert colorizer(photo(size)).size == size
    assert colorizer(photo(size).convert("L"), photo((3, 80))).size == size


@pytest.mark.parametrize("size", [(1, 1), (37, 51), (224, 224)])
def test_bf16_colors_any_size_too(model, size):
    """Emulated where the machine has no units for it; its colors are the matter of test_faster."""
    colorizer = Colorizer(model, ColorizeSettings(saturation=0.0), precision="bf16")
    for inputs in ((photo(size),), (photo(size), photo((3, 80)))):
        gray = pixels(colorizer(*inputs))
        assert gray.shape == (size[1], size[0], 3)
        assert np.ptp(gray, axis=2).max() <= 1
    assert sum(colorizer.scenes(photo(size)).values()) == pytest.approx(1, abs=1e-5)


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


def lightness(image):
    return rgb2lab(np.asarray(image))[..., 0]


def luma(image):
    return np.asarray(image) @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize(
    ("made_by", "measure", "step"),
    [
        *((made_by, lightness, 0.5) for made_by in (Lab, Luv)),  # 8-bit steps: about 0.4 L*
        *((made_by, luma, 1) for made_by in (Yuv, YCbCr, Rgb)),
    ],
)
def test_the_photos_own_luminance_is_kept_where_the_color_is_in_gamut(
    made_by, measure, step, make_model
):
    image = photo()
    colored = exactly(make_model(made_by))(image)
    inside = ((np.asarray(colored) > 0) & (np.asarray(colored) < 255)).all(axis=2)
    assert inside.mean() > 0.5
    assert np.abs(measure(colored) - measure(image))[inside].max() <= step


def test_scenes_are_probabilities_in_order(model, colorizer):
    scenes = exactly(model, ColorizeSettings("native")).scenes(photo())
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
    colorizer = exactly(make_model(global_features=False))
    assert colorizer.scenes(photo()) == {}
    assert colorizer(photo()).size == (40, 28)


def test_a_prediction_of_gray_gives_the_gray_photo(model):
    network = deepcopy(model.network)
    last = network.colorization.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colored = exactly(Model(network, model.space, model.classes, 0.0, (0.0, 0.0)))(
        Image.fromarray(levels)
    )
    assert np.abs(pixels(colored) - levels[..., None].astype(int)).max() <= 1


def large(height=300, width=420, dtype=np.uint8):
    """Larger than the working size, in all lightnesses, with fine detail."""
    random = np.random.default_rng(5)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    levels = (smooth + random.normal(0, 8, smooth.shape)).clip(0, 255) / 255
    white = np.iinfo(dtype).max
    return (levels * white).round().astype(dtype)[..., None]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("made_by", [Lab, Yuv, Rgb])
@pytest.mark.parametrize("work_size", [64, "native"])
def test_the_luminance_of_a_large_photo_is_its_own(make_model, made_by, dtype, work_size):
    """Out of gamut, too: colors there become paler, and nothing is clipped."""
    model = make_model(made_by)
    pixels_HW1 = large(dtype=dtype)
    vivid = ColorizeSettings(work_size=work_size, saturation=2.0)
    colored = exactly(model, vivid).color(pixels_HW1).pixels_HW3
    assert colored.dtype == dtype
    assert colored.shape == (300, 420, 3)
    white = np.iinfo(dtype).max
    rgb = torch.from_numpy(colored.astype(np.float64) / white).permute(2, 0, 1)[None]
    luminance, _ = model.space.encode(rgb)
    gray = model.space.decode(luminance, model.space.gray_chroma(luminance))[0, 0].numpy()
    assert np.abs(gray * 255 - pixels_HW1[..., 0] * (255 / white)).max() <= 1
    assert np.abs(np.diff(colored.astype(int), axis=2)).max() > 10 / 255 * white


def test_the_working_size_is_the_short_side(model):
    seen = {
        work_size: exactly(model, ColorizeSettings(work_size=work_size)).color(large()).work_size
        for work_size in (64, 100, 1000, "native")
    }
    assert seen == {64: (64, 90), 100: (100, 140), 1000: (300, 420), "native": (300, 420)}


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 300), (128, 200), (300, 70_000), (2, 24_500_000), (40_000, 10_000)]
)
def test_the_network_sees_neither_tiny_nor_endless_photos(size):
    for height, width in (size, size[::-1]):
        seen = seen_size(height, width, 256)
        assert min(seen) >= 32
        assert seen[0] * seen[1] <= 4 * 256**2
        if max(size) < 4 * min(size):
            assert min(seen) == 256
            assert seen[1] / seen[0] == pytest.approx(width / height, rel=0.01)


def test_very_long_photos_are_joined_lying_on_their_side(model, monkeypatch):
    colorizer = exactly(model)
    photo = large(40, 3000)
    whole = colorizer.color(photo).pixels_HW3.astype(int)
    monkeypatch.setattr(module, "PART", 1000)
    turned = colorizer.color(photo).pixels_HW3
    assert turned.flags.c_contiguous
    assert np.abs(turned - whole).max() <= 1


@pytest.mark.slow
def test_small_photos_are_as_colorful_as_large_ones():
    """The bundled model, on photographs of the sample; it was 17 to 29 % paler at 128 pixels."""
    index = read_index(PROJECT / "data" / "sample")
    samples, colorizer = Samples(index), Colorizer.load(precision="fp32")
    chroma = {256: 0.0, 128: 0.0}
    for number in range(0, len(index), 20):
        photo = Image.fromarray(samples.image(number).permute(1, 2, 0).numpy()).convert("L")
        for short in chroma:
            scale = short / min(photo.size)
            size = tuple(round(side * scale) for side in photo.size)
            lab = rgb2lab(np.asarray(colorizer(photo.resize(size, Image.Resampling.LANCZOS))))
            chroma[short] += np.hypot(lab[..., 1], lab[..., 2]).mean()
    assert chroma[128] == pytest.approx(chroma[256], rel=0.08)


def test_work_can_be_ended_from_outside(model):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        exactly(model).color(large(1200, 1800), check=check)
    assert len(calls) == 3


def test_saturation_of_nothing_is_gray_and_more_is_more(model):
    def spread(saturation):
        colored = exactly(model, ColorizeSettings(saturation=saturation)).color(large()).pixels_HW3
        return np.abs(rgb2lab(colored)[..., 1:]).mean()

    assert spread(0) < 0.1
    assert spread(0) < spread(0.5) < spread(1) < spread(2)


def test_style_strength_blends_the_global_features(model):
    style = large()[::-1, ::-1] // 3
    plain = exactly(model).color(large()).pixels_HW3.astype(int)

    def styled(strength):
        colorizer = exactly(model, ColorizeSettings(style_strength=strength))
        return colorizer.color(large(), colorizer.global_features([style])).pixels_HW3.astype(int)

    distances = [np.abs(styled(strength) - plain).mean() for strength in (0, 0.5, 1)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]


def test_one_vector_steadies_a_sequence(model):
    colorizer = exactly(model)
    frames = [large(), large() // 2, large() // 3]
    vector = colorizer.global_features(frames)
    each = torch.stack([colorizer.global_features([frame])[0] for frame in frames])
    torch.testing.assert_close(vector[0], each.mean(0), atol=1e-6, rtol=1e-5)


def test_global_features_of_a_model_without_them_are_refused(make_model):
    colorizer = exactly(make_model(global_features=False))
    with pytest.raises(IrodoriError, match="no global features"):
        colorizer.global_features([large()])


def test_sepia_is_colorized_as_gray(model):
    """What has a tint counts by its luminance, to the rounding of its levels."""
    gray = 80 + large() // 3
    rgb = torch.from_numpy(gray / 255).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
    luminance, gray_chroma = model.space.encode(rgb)
    tint = torch.tensor([0.02, 0.08])[None, :, None, None]
    toned = model.space.decode(luminance, gray_chroma + tint)
    assert ((toned >= 0) & (toned <= 1)).all()
    sepia = to_uint8(toned)[0].permute(1, 2, 0).numpy()
    one, other = (exactly(model).color(pixels).pixels_HW3.astype(int) for pixels in (gray, sepia))
    assert np.abs(one - sepia).mean() > 5
    assert np.abs(one - other).mean() < 1


def test_tiles_give_what_the_whole_gives(model, monkeypatch):
    settings = ColorizeSettings(work_size="native")
    whole = exactly(model, settings).color(large()).pixels_HW3.astype(int)
    monkeypatch.setattr(module, "TILE", 200)
    tiled = exactly(model, settings).color(large()).pixels_HW3.astype(int)
    assert np.abs(tiled - whole).max() <= 1


def test_what_needs_the_whole_photo_is_refused_where_it_is_too_large(monkeypatch):
    network = joint(3, backbone="efficientnet_b0", decoder="skips", width=1 / 16).eval()
    model = Model(network, Lab(), ("one", "two", "three"), 0.0, (0.0, 0.0))
    monkeypatch.setattr(module, "TILE", 64)
    with pytest.raises(IrodoriError, match="--work-size"):
        exactly(model, ColorizeSettings("native")).color(large())


def test_memory_that_runs_out_is_said_and_changes_nothing(model, monkeypatch):
    """The whole doesn't fit, tiles do."""
    colorizer = exactly(model, ColorizeSettings(work_size="native"), report=(said := []).append)
    photo = large(640, 800)
    whole = colorizer.color(photo).pixels_HW3.astype(int)
    decode = colorizer.network.decode

    def short_of_memory(local, size, global_BC, hints_BMHW=None):
        if size[0] * size[1] > 500 * 500:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return decode(local, size, global_BC, hints_BMHW)

    monkeypatch.setattr(colorizer.network, "decode", short_of_memory)
    again = colorizer.color(photo).pixels_HW3.astype(int)
    assert np.abs(again - whole).max() <= 1
    assert any("not enough memory" in line for line in said)


def test_a_damaged_network_is_an_error_and_no_black_picture(model):
    network = deepcopy(model.network)
    with torch.no_grad():
        network.colorization.layers[-1].bias[0] = float("nan")
    damaged = exactly(Model(network, model.space, model.classes, 0.0, (0.0, 0.0)))
    with pytest.raises(IrodoriError, match="checkpoint is damaged"):
        damaged.color(large())
