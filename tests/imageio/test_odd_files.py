"""Files that others make: colorized as viewers show them, or refused by their header."""

import os

import imagecodecs
import numpy as np
import odd_files as made
import pytest
from odd_files import DEEP, GRAY, pages
from photo_files import icc, picture, saved, tiff
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from irodori.imageio import is_colored, probe, read_photo, reading
from irodori.utils.errors import IrodoriError

SMALLER = {"subfiletype": 1}
RGB16 = {"photometric": "rgb"}
FOUR = {"photometric": "rgb", "extrasamples": ["unspecified"]}


def size_said_twice():
    """A JPEG 2000 file whose box claims gigabytes that its codestream doesn't have."""
    content = saved(GRAY[..., None], "JPEG2000")
    at = content.index(b"ihdr")
    return content[: at + 4] + (1 << 30).to_bytes(4, "big") + content[at + 8 :]


def test_a_size_is_believed_only_if_it_is_said_once():
    assert read_photo(saved(GRAY[..., None], "JPEG2000")).pixels.shape == (48, 64, 1)
    with pytest.raises(IrodoriError):
        read_photo(size_said_twice())
    png = saved(GRAY[..., None], "PNG")
    with pytest.raises(IrodoriError):
        read_photo(png[:33] + made.thin_png(9, 9)[8:33] + png[33:])


@pytest.mark.parametrize(
    "content",
    [
        made.tiff_by_header(samples=64),
        made.tiff_by_header(depth=40),
        made.thin_png(24_500_000, 2),
        made.progressive_scans(400),
    ],
    ids=["64 samples", "a volume", "24,500,000 × 2", "400 scans"],
)
def test_refused_by_its_header(content):
    for read in (probe, read_photo):
        with pytest.raises(IrodoriError):
            read(content)


def test_a_video_behind_a_jpeg_is_none_of_its_scans():
    content = saved(picture(), "JPEG")
    video = np.random.default_rng(0).integers(0, 256, 1 << 24, np.uint8).tobytes()
    assert video.count(b"\xff\xda") > 200
    np.testing.assert_array_equal(read_photo(content + video).pixels, read_photo(content).pixels)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_a_jpeg_xl_in_parts_has_the_size_that_its_first_one_says(parts):
    content = made.jpeg_xl_in_parts(GRAY, parts)
    assert probe(content)[:2] == (64, 48)
    assert read_photo(content).pixels.shape == (48, 64, 1)


def test_no_file_beyond_the_limit_is_read_as_a_whole(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(picture(), "JPEG"))
    os.truncate(path, reading._MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(IrodoriError, match="2,400"):
        probe(path)


def test_a_limit_counts_decoded_bytes(monkeypatch):
    content = tiff(np.dstack([DEEP] * 3), photometric="rgb")
    assert probe(content)[:2] == (64, 48)
    assert probe(content).decoded_bytes == 64 * 48 * 3 * 2
    monkeypatch.setattr(reading, "_MAX_BYTES", 64 * 48 * 6)
    assert read_photo(content).pixels.shape == (48, 64, 3)
    monkeypatch.setattr(reading, "_MAX_BYTES", 64 * 48 * 6 - 1)
    with pytest.raises(IrodoriError):
        read_photo(content)
    scans = saved(picture(), "JPEG", progressive=True)
    assert probe(scans).decoded_bytes == 3 * probe(saved(picture(), "JPEG")).decoded_bytes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_pngs_are_as_light_as_they_are_shown(dtype, channels):
    pixels = read_photo(made.linear_png(dtype, channels)).pixels
    shown = pixels / np.iinfo(dtype).max * 255
    # Dark levels of 8 linear bits are far apart.
    assert np.abs(shown - GRAY[..., None]).max() <= (14 if dtype == np.uint8 else 0.5)
    assert np.abs(shown - GRAY[..., None])[24:].max() <= 1


def test_a_usual_gamma_and_a_profile_beside_one_change_nothing():
    for gamma in (45455, 45000):
        content = saved(GRAY[..., None], "PNG")
        content = made.png_chunk(content, b"gAMA", gamma.to_bytes(4, "big"))
        np.testing.assert_array_equal(read_photo(content).pixels[..., 0], GRAY)
    content = made.png_chunk(made.linear_png(np.uint8), b"sRGB", b"\0")
    assert read_photo(content).pixels.mean() < 0.8 * GRAY.mean()


@pytest.mark.parametrize(
    ("content", "wanted", "note"),
    [
        (pages((GRAY[::8, ::8], SMALLER), (DEEP, {})), DEEP, None),
        (pages((GRAY[::8, ::8], {}), (DEEP, {})), DEEP, "smaller"),
        (pages((np.dstack([DEEP] * 3), RGB16), (DEEP, {})), DEEP, "infrared"),
        (pages((np.dstack([DEEP] * 4), FOUR)), DEEP, "infrared"),
        (tiff(GRAY, compression="jpeg2000"), GRAY, None),
        (tiff(np.dstack([GRAY] * 3), photometric="rgb", compression="webp"), GRAY, None),
        (tiff(GRAY, compression="zstd", predictor=True), GRAY, None),
        (tiff(GRAY, compression="lzma"), GRAY, None),
        (saved(GRAY[..., None], "GIF"), GRAY, None),
        (saved(GRAY[..., None], "PPM"), GRAY, None),
        (saved(Image.fromarray(DEEP), "PPM"), DEEP, None),
        (b"P6 64 48 65535\n" + np.dstack([DEEP] * 3).astype(">u2").tobytes(), DEEP, None),
        (imagecodecs.jpeg2k_encode(GRAY, level=0), GRAY, None),
        (imagecodecs.jpeg2k_encode(DEEP, level=0), DEEP, None),
        (imagecodecs.jpeg2k_encode(np.dstack([DEEP] * 3), level=0), DEEP, None),
        (imagecodecs.jpegxl_encode(GRAY, lossless=True), GRAY, None),
        (imagecodecs.jpegxl_encode(DEEP, lossless=True), DEEP, None),
        (imagecodecs.jpegxl_encode(np.dstack([GRAY] * 3), lossless=True), GRAY, None),
    ],
)
def test_levels_and_depth_of_every_kind(content, wanted, note):
    photo = read_photo(content)
    assert photo.pixels.dtype == wanted.dtype
    loss = 3 if photo.format == "TIFF" and b"WEBP" in content else 0
    assert np.abs(photo.pixels.astype(int) - wanted[..., None]).max() <= loss
    assert len(photo.notes) == (note is not None)
    assert note is None or note in photo.notes[0]
    header = probe(content)
    assert (header.height, header.width) == wanted.shape
    assert header.decoded_bytes >= photo.pixels.nbytes or photo.format == "GIF"


def test_lab_tiffs_come_from_their_lightness():
    image = Image.merge("LAB", [Image.fromarray(GRAY), *[Image.new("L", (64, 48), 128)] * 2])
    shown = read_photo(saved(image, "TIFF")).pixels
    lightness = GRAY / 2.55
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert np.abs(shown - curved[..., None] * 255).max() <= 2
    deep = tiff(np.dstack([DEEP, 0 * DEEP, 0 * DEEP]), photometric="cielab")
    assert np.abs(read_photo(deep).pixels - curved[..., None] * 65535).max() <= 100


def test_jpegs_of_12_bits():
    deep = (DEEP >> 4).astype(np.uint16)
    content = imagecodecs.jpeg8_encode(deep, level=100, bitspersample=12)
    photo = read_photo(content)
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels[..., 0].astype(int) - DEEP).max() < 200


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_picture_which_is_said(form):
    first = Image.fromarray(GRAY)
    moving = {"save_all": True, "append_images": [ImageOps.invert(first)] * 2}
    extra = {"lossless": True} if form == "WEBP" else {}
    photo = read_photo(saved(first, form, **moving, **extra))
    assert np.abs(photo.pixels.astype(int) - GRAY[..., None]).max() <= 1
    assert len(photo.notes) == 1


def test_a_picture_of_several_is_chosen():
    first = Image.fromarray(GRAY)
    content = saved(first, "GIF", save_all=True, append_images=[ImageOps.invert(first)])
    np.testing.assert_array_equal(read_photo(content, page=2).pixels[..., 0], 255 - GRAY)
    for one in (content, saved(GRAY[..., None], "PNG"), saved(GRAY[..., None], "JPEG")):
        with pytest.raises(IrodoriError, match="no page 3"):
            read_photo(one, page=3)


@pytest.mark.parametrize("damaged", [False, True])
def test_metadata_of_jpeg_xl(damaged):
    stream = imagecodecs.jpegxl_encode(GRAY, lossless=True)
    packed = imagecodecs.brotli_encode(made.CLAIMS)
    packed = packed[: len(packed) // 2] if damaged else packed
    boxes = (
        (b"JXL ", b"\r\n\x87\n"),
        (b"ftyp", b"jxl \0\0\0\0jxl "),
        (b"Exif", bytes(4) + made.turned_exif()[6:]),
        (b"brob", b"xml " + packed),
        (b"jxlc", stream),
    )
    content = b"".join((8 + len(b)).to_bytes(4, "big") + kind + b for kind, b in boxes)
    photo = read_photo(content)
    np.testing.assert_array_equal(photo.pixels[..., 0], GRAY)
    assert b"a caption" in photo.metadata.exif
    assert photo.metadata.xmp == (None if damaged else made.CLAIMS)


def test_a_jpeg_within_jpeg_xl_keeps_its_profile_and_orientation():
    pixels = np.dstack([GRAY] * 3)
    jpeg = saved(pixels, "JPEG", icc_profile=icc("rgb", 1.0), exif=made.turned_exif())
    photo = read_photo(imagecodecs.jpegxl_encode_jpeg(jpeg))
    np.testing.assert_array_equal(photo.pixels, read_photo(jpeg).pixels)
    assert photo.format == "JXL"
    assert b"a caption" in photo.metadata.exif


def test_an_unusable_profile_and_damaged_metadata_are_told():
    for extra, word in (
        ({"icc_profile": b"nonsense"}, "profile"),
        ({"exif": b"Exif\0\0nonsense"}, "EXIF"),
        ({"xmp": b"<x:xmpmeta>cut o"}, "XMP"),
    ):
        photo = read_photo(saved(GRAY[..., None], "JPEG", **extra))
        assert [word in note for note in photo.notes] == [True]


def test_a_text_beyond_pillows_limits_costs_neither_colors_nor_orientation():
    exif = made.turned_exif()
    long = PngInfo()
    long.add_text("Comment", "long" * (1 << 19), zip=True)
    photos = [
        read_photo(saved(GRAY[..., None], "PNG", icc_profile=icc("gray", 1.0), exif=exif, **text))
        for text in ({}, {"pnginfo": long})
    ]
    np.testing.assert_array_equal(photos[0].pixels, photos[1].pixels)
    assert photos[1].notes == ("damaged metadata left out",)


def test_a_palette_of_8_bits_in_a_tiff_is_no_darkness():
    for palette in (np.arange(256), np.arange(256) * 257):
        content = tiff(GRAY, photometric="palette", colormap=np.uint16([palette] * 3))
        np.testing.assert_array_equal(read_photo(content).pixels, np.dstack([GRAY] * 3))


def test_orientation_in_imagemagicks_pngs():
    photo = read_photo(made.imagemagick_png("exif", made.turned_exif()))
    np.testing.assert_array_equal(photo.pixels[..., 0], np.rot90(GRAY, -1))
    assert b"a caption" in photo.metadata.exif


@pytest.mark.parametrize("quality", [60, 95])
def test_what_is_in_color_already(quality):
    gray = picture(channels=1)
    ramp = np.stack([gray[..., 0] * part for part in (1.0, 0.93, 0.8)], -1)
    sepia = saved(ramp.astype(np.uint8), "JPEG", quality=quality)
    assert not is_colored(read_photo(sepia))
    assert not is_colored(read_photo(saved(gray, "JPEG")))
    assert not is_colored(read_photo(saved(np.dstack([gray] * 3), "PNG")))
    assert is_colored(read_photo(saved(picture(), "JPEG", quality=quality)))
