import io
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.page import steps
from irodori.app.demo.service import (
    ColorizeRequest,
    ColorizeService,
    Limits,
    Models,
    VisitorLeftError,
)
from irodori.color import Lab
from irodori.config import PROJECT
from irodori.data.images import from_pil
from irodori.imageio import Encoding, Metadata, Photo, read_photo, write_photo
from irodori.inference.colorizer import provenance_of
from irodori.inference.contact_sheet import gray_of
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError
from networks import colorful_model, save_checkpoint

HISTORICAL = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"


@pytest.fixture
def service(demo_checkpoint, demo_run):
    return ColorizeService(Models([demo_checkpoint, demo_run]), Limits(megapixels=5, photos=3))


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for number, path in enumerate(paths):
        tiny.photo(number).save(path)
    return paths


def saved(folder, name, pixels_HWC, format):
    path = folder / name
    like = Photo(pixels_HWC, None, Metadata(dpi=(300.0, 300.0)), format)
    write_photo(path, np.broadcast_to(pixels_HWC, (*pixels_HWC.shape[:2], 3)), like, Encoding())
    return path


@pytest.mark.parametrize(
    ("name", "format", "dtype"),
    [
        ("a.b.jpg", "JPEG", np.uint8),
        ("scan.tif", "TIFF", np.uint16),
        ("deep.PNG", "PNG", np.uint16),
        ("wrong.jpg", "PNG", np.uint8),
    ],
)
def test_the_download_is_what_colorizer_makes(
    name, format, dtype, service, visit, demo_checkpoint, photos
):
    most = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, most, (50, 70, 3)).astype(dtype)
    path = saved(visit.new_folder(), name, pixels, format)
    settings = ColorizeSettings(saturation=1.3, style_strength=0.6)
    request = ColorizeRequest([path], ["small"], settings, photos[0])
    (result,) = service.colorize(request, path, visit.new_folder)
    assert result.size == (70, 50)
    colorizer = Colorizer.load(demo_checkpoint, settings)
    vector = colorizer.global_features([read_photo(photos[0]).pixels])
    photo = read_photo(path)
    colored = colorizer.color(photo.pixels, vector)
    made = read_photo(result.file)
    expected = io.BytesIO()
    provenance = provenance_of(demo_checkpoint, settings)
    write_photo(expected, colored.pixels_HW3, photo, Encoding(), provenance)
    assert np.array_equal(made.pixels, read_photo(expected.getvalue()).pixels)
    assert made.pixels.dtype == dtype
    suffix = ".png" if name == "wrong.jpg" else Path(name).suffix
    assert result.file.name == Path(name).stem + "-colorized" + suffix
    assert (result.scenes, result.model) == (colored.scenes, "small")
    assert made.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    assert provenance.model_hash.encode() in result.file.read_bytes()


def test_what_a_file_lost_is_noted(service, visit, tmp_path):
    animation, shallow = tmp_path / "clip.gif", tmp_path / "photo.bmp"
    frames = [tiny.photo(number).convert("L") for number in range(2)]
    frames[0].save(animation, save_all=True, append_images=frames[1:])
    frames[0].save(shallow)
    for path, part in ((animation, "picture 1 of 2"), (shallow, "BMP can't record")):
        (result,) = service.colorize(ColorizeRequest([path], ["small"]), path, visit.new_folder)
        assert part in " ".join(result.notes)


def test_previews_are_gray_and_colorized(service, visit):
    image = tiny.photo(0).resize((300, 200))
    path = visit.new_folder() / "photo.png"
    image.save(path)
    (result,) = service.colorize(ColorizeRequest([path], ["small"]), path, visit.new_folder)
    gray = np.asarray(Image.open(result.preview("gray"))).astype(int)
    wanted = gray_of(Lab(), from_pil(image)).permute(1, 2, 0).numpy()
    assert np.abs(gray - wanted).mean() < 2
    assert np.ptp(gray, axis=2).max() <= 3
    preview = np.asarray(Image.open(result.preview("colorized"))).astype(int)
    assert np.abs(preview - np.asarray(Image.open(result.file))).mean() < 8
    assert preview.shape == gray.shape == (200, 300, 3)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"some text", "not a photo of a known kind"),
        (HISTORICAL.read_bytes()[:20_000], "truncated"),
        (b"", "empty file"),
        (None, "no longer exists"),
    ],
)
def test_refusals_name_no_place(service, visit, tmp_path, content, why):
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IrodoriError, match=why) as caught:
        service.colorize(ColorizeRequest([path], ["small"]), path, visit.new_folder)
    assert str(tmp_path) not in str(caught.value)


def test_what_is_too_large_is_refused_by_length_and_header(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)).save(path)
    Limits(megabytes=0.1, megapixels=0.06).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 million pixels.* takes up to 0\.059"):
        Limits(megapixels=0.059).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 MB are more than the 0\.05 MB"):
        Limits(megabytes=0.05).refuse(path)


def test_many_samples_of_few_pixels_are_too_large(tmp_path):
    """Decoded bytes count: 64 channels of 16 bits in a file of some kB."""
    path = tmp_path / "deep.tif"
    samples = np.zeros((100, 100, 64), np.uint16)
    tifffile.imwrite(path, samples, photometric="rgb", compression="zlib", extrasamples=[0] * 61)
    with pytest.raises(IrodoriError):
        Limits(megapixels=0.1).refuse(path)


def shown(service, request, visit):
    """Where the page changes, and the text there."""
    pages = steps(HintEditor(service), request, visit)
    return [(number, re.sub("<.*?>", "", html).strip()) for number, html in pages]


def test_progress_photo_by_photo(service, photos, visit):
    photos[1].write_bytes(b"no photo")
    found = shown(service, ColorizeRequest(photos, ["small"]), visit)
    assert [text for number, text in found if number is None] == [
        "Colorizing a.png (1 of 3) …",
        "Colorizing b.png (2 of 3) …",
        "Colorizing c.png (3 of 3) …",
        "Done: 2 of 3 photos are colorized.",
    ]
    refused = [(number, "Not colorized" in text) for number, text in found if number is not None]
    assert refused == [(0, False), (1, True), (2, False)]


def test_one_photo_by_two_models(service, photos, visit):
    request = ColorizeRequest(photos[:1], ["small", "lab_alpha1/2026-11-23"], style=photos[2])
    first, (number, text), last = shown(service, request, visit)
    assert (first, last) == ((None, "Colorizing a.png …"), (None, "Done."))
    assert number == 0
    for name in request.models:
        assert name in text


def test_what_cannot_be_done(service, photos, visit, tmp_path):
    def run(photos, style=None):
        return shown(service, ColorizeRequest(photos, ["small"], style=style), visit)

    assert run([]) == [(None, "Choose a photo or an example first.")]
    assert run(photos + photos[:1]) == [(None, "4 photos are too many: up to 3 at a time.")]
    photos[2].write_bytes(b"")
    assert "style photo: empty file" in run(photos[:1], photos[2])[1][1]
    path = save_checkpoint(colorful_model(global_features=False), tmp_path / "plain.ckpt")
    plain = ColorizeService(Models([path]), Limits())
    request = ColorizeRequest(photos[:1], ["plain"], style=photos[1])
    _, refused, last = shown(plain, request, visit)
    assert "no global features" in refused[1]
    assert last == (None, "No photo was colorized.")


def test_work_ends_when_the_visitor_leaves_in_the_middle_of_a_photo(
    service, photos, visit, monkeypatch
):
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 1:  # the first is before the photo
            raise VisitorLeftError

    monkeypatch.setattr(visit, "check", check)
    found = shown(service, ColorizeRequest(photos, ["small"]), visit)
    assert found == [(None, "Colorizing a.png (1 of 3) …")]


def test_a_photo_has_a_time_limit(demo_checkpoint, photos, visit, monkeypatch):
    service = ColorizeService(Models([demo_checkpoint]), Limits(seconds=1))
    clock = iter(range(100))
    monkeypatch.setattr("irodori.app.demo.service.time.monotonic", lambda: next(clock))
    (_, (_, text), _) = shown(service, ColorizeRequest(photos[:1], ["small"]), visit)
    assert "takes longer than 1 s" in text
