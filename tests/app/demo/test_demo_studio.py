import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.app.demo.studio import SHOWN, Studio, Wishes, reason, reduced
from irodori.color import Lab
from irodori.data.images import from_pil
from irodori.imageio import read_photo, write_photo
from irodori.imageio.metadata import Metadata
from irodori.imageio.photo import Encoding, Photo
from irodori.inference.colorizer import Settings
from irodori.inference.sheet import gray_of
from irodori.utils.errors import IrodoriError


@pytest.fixture
def studio(demo_checkpoint):
    return Studio(Models([demo_checkpoint]), Limits(megapixels=5))


@pytest.fixture
def new_folder(tmp_path):
    def make():
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return folder

    return make


def saved(folder, name, pixels_HWC, format):
    path = folder / name
    like = Photo(pixels_HWC, None, Metadata(dpi=(300.0, 300.0)), format)
    write_photo(path, np.broadcast_to(pixels_HWC, (*pixels_HWC.shape[:2], 3)), like, Encoding())
    return path


@pytest.mark.parametrize(
    ("name", "format", "dtype"),
    [
        ("a.b.jpg", "JPEG", np.uint8),
        ("photo.PNG", "PNG", np.uint8),
        ("scan.tif", "TIFF", np.uint16),
        ("deep.png", "PNG", np.uint16),
        ("wrong.jpg", "PNG", np.uint8),
    ],
)
def test_the_download_is_what_colorizer_makes(name, format, dtype, studio, new_folder):
    most = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, most, (50, 70, 3)).astype(dtype)
    path = saved(new_folder(), name, pixels, format)
    photo = studio.read(path)
    style = np.asarray(tiny.photo(3))
    wishes = Wishes(1.3, style, 0.6)
    painted = studio.paint(photo, name, "small", wishes, new_folder)
    colorizer = Colorizer.load(
        studio.models._paths["small"], Settings(saturation=1.3, style_strength=0.6)
    )
    colored = colorizer.color(photo.pixels, colorizer.global_features([style]))
    expected = io.BytesIO()
    write_photo(expected, colored.pixels_HW3, photo, Encoding())
    assert painted.file.read_bytes() == expected.getvalue()
    assert read_photo(painted.file).pixels.dtype == dtype
    suffix = ".png" if name == "wrong.jpg" else Path(name).suffix
    assert painted.file.name == Path(name).stem + "-coloured" + suffix
    assert painted.scenes == colored.scenes
    assert painted.model == "small"
    assert read_photo(painted.file).metadata.dpi == pytest.approx((300, 300), rel=1e-3)


def test_previews_are_gray_and_coloured(studio, new_folder):
    image = tiny.photo(0).resize((300, 200))
    path = new_folder() / "photo.png"
    image.save(path)
    painted = studio.paint(studio.read(path), path.name, "small", Wishes(), new_folder)
    gray = np.asarray(Image.open(painted.gray)).astype(int)
    wanted = gray_of(Lab(), from_pil(image)).permute(1, 2, 0).numpy()
    assert np.abs(gray - wanted).mean() < 2
    assert np.ptp(gray, axis=2).max() <= 3
    preview = np.asarray(Image.open(painted.preview)).astype(int)
    assert np.abs(preview - np.asarray(Image.open(painted.file))).mean() < 8
    assert preview.shape == gray.shape == (200, 300, 3)


def test_previews_are_bounded():
    for shape in ((40, 4 * SHOWN, 1), (3 * SHOWN, 50, 3)):
        image = reduced(np.full(shape, 40_000, np.uint16))
        assert max(image.size) == SHOWN
        assert image.mode == "RGB"
        assert np.unique(np.asarray(image)).tolist() == [156]


def test_refusals_name_no_place(studio, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    large = tmp_path / "large.png"
    Image.new("L", (2500, 2001)).save(large)
    for path, part in (
        (bad, "no photo of a known kind"),
        (large, "5.0 million pixels"),
        (tmp_path / "gone.jpg", "isn't here any more"),
    ):
        with pytest.raises(IrodoriError, match=part) as caught:
            studio.read(path)
        assert str(tmp_path) not in str(caught.value)


def test_wishes_are_checked():
    for wishes in (Wishes(2.1), Wishes(-1), Wishes(1, None, 1.5), Wishes(float("nan"))):
        with pytest.raises(IrodoriError):
            wishes.settings()


def test_reasons_in_words():
    assert reason(IrodoriError("too large")) == "too large"
    assert "not enough memory" in reason(MemoryError())
    assert "not enough memory" in reason(torch.OutOfMemoryError())
    assert reason(ValueError("odd\nthing")) == "could not be coloured (ValueError: odd thing)"
