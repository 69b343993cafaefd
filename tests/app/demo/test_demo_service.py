import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.app.demo.service import ColorizeRequest, ColorizeService, LeftError
from irodori.color import Lab
from irodori.data.images import from_pil
from irodori.imageio import Encoding, Metadata, Photo, read_photo, write_photo
from irodori.inference.contact_sheet import gray_of
from irodori.inference.provenance import provenance_of
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError
from networks import colorful_model, save_checkpoint


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
    name, format, dtype, service, new_folder, demo_checkpoint, photos
):
    most = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, most, (50, 70, 3)).astype(dtype)
    path = saved(new_folder(), name, pixels, format)
    settings = ColorizeSettings(saturation=1.3, style_strength=0.6)
    request = ColorizeRequest([path], ["small"], settings, photos[0])
    (result,) = service.colorize(request, path, new_folder)
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


def test_what_a_file_lost_is_noted(service, new_folder, tmp_path):
    animation, shallow = tmp_path / "clip.gif", tmp_path / "photo.bmp"
    frames = [tiny.photo(number).convert("L") for number in range(2)]
    frames[0].save(animation, save_all=True, append_images=frames[1:])
    frames[0].save(shallow)
    for path, part in ((animation, "picture 1 of 2"), (shallow, "BMP holds no note")):
        (result,) = service.colorize(ColorizeRequest([path], ["small"]), path, new_folder)
        assert part in " ".join(result.notes)


def test_previews_are_gray_and_colorized(service, new_folder):
    image = tiny.photo(0).resize((300, 200))
    path = new_folder() / "photo.png"
    image.save(path)
    (result,) = service.colorize(ColorizeRequest([path], ["small"]), path, new_folder)
    gray = np.asarray(Image.open(result.preview("gray"))).astype(int)
    wanted = gray_of(Lab(), from_pil(image)).permute(1, 2, 0).numpy()
    assert np.abs(gray - wanted).mean() < 2
    assert np.ptp(gray, axis=2).max() <= 3
    preview = np.asarray(Image.open(result.preview("colorized"))).astype(int)
    assert np.abs(preview - np.asarray(Image.open(result.file))).mean() < 8
    assert preview.shape == gray.shape == (200, 300, 3)


def test_refusals_name_no_place(service, tmp_path, new_folder):
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
            service.colorize(ColorizeRequest([path], ["small"]), path, new_folder)
        assert str(tmp_path) not in str(caught.value)


def test_progress_photo_by_photo(service, photos, new_folder):
    photos[1].write_bytes(b"no photo")
    steps = list(service.run(ColorizeRequest(photos, ["small"]), new_folder))
    assert [step.line for step in steps if step.line] == [
        "Colorizing a.png (1 of 3) …",
        "Colorizing b.png (2 of 3) …",
        "Colorizing c.png (3 of 3) …",
        "Done: 2 of 3 photos are colorized.",
    ]
    shown = [(step.number, step.error is None) for step in steps if step.line is None]
    assert shown == [(0, True), (1, False), (2, True)]


def test_one_photo_by_two_models(service, photos, new_folder):
    request = ColorizeRequest(photos[:1], ["small", "lab_alpha1/2026-11-23"], style=photos[2])
    steps = list(service.run(request, new_folder))
    assert [step.line for step in steps] == ["Colorizing a.png …", None, "Done."]
    assert [result.model for result in steps[1].results] == request.models


def test_what_cannot_be_done(service, photos, new_folder, tmp_path):
    def run(*arguments, **named):
        return list(service.run(ColorizeRequest(*arguments, **named), new_folder))

    assert run([], ["small"])[0].line == "Choose a photo or an example first."
    many = run(photos + photos[:1], ["small"])
    assert [step.line for step in many] == ["4 photos are too many: up to 3 at a time."]
    photos[2].write_bytes(b"")
    assert run(photos[:1], ["small"], style=photos[2])[1].error == "style photo: empty file"
    path = save_checkpoint(colorful_model(global_features=False), tmp_path / "plain.ckpt")
    plain = ColorizeService(Models([path]), Limits())
    request = ColorizeRequest(photos[:1], ["plain"], style=photos[1])
    assert "no global features" in list(plain.run(request, new_folder))[1].error


def test_work_ends_when_the_visitor_leaves_in_the_middle_of_a_photo(service, photos, new_folder):
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 1:  # the first is before the photo
            raise LeftError

    steps = list(service.run(ColorizeRequest(photos, ["small"]), new_folder, check))
    assert [step.line for step in steps] == ["Colorizing a.png (1 of 3) …"]


def test_a_photo_has_a_time_limit(demo_checkpoint, photos, new_folder, monkeypatch):
    service = ColorizeService(Models([demo_checkpoint]), Limits(seconds=1))
    clock = iter(range(100))
    monkeypatch.setattr("irodori.app.demo.service.time.monotonic", lambda: next(clock))
    (_, step, _) = service.run(ColorizeRequest(photos[:1], ["small"]), new_folder)
    assert "takes longer than 1 s" in step.error
