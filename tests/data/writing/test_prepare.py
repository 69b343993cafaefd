"""Every kind of file is copied, converted or rejected, and what is written can be trained on."""

import io
import os
import struct
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image, ImageCms

from irodori.data.images import decode
from irodori.data.writing import prepare as preparing
from irodori.data.writing.prepare import (
    Options,
    RejectedError,
    colorfulness,
    fingerprint,
    fingerprint_files,
    prepare,
    prepare_files,
)
from irodori.utils.errors import IrodoriError

WANTED = Options(size=64)
ALL = Options(size=64, near_gray=0)


def pixels(content: bytes) -> np.ndarray:
    """H×W×3, by the reader that trains."""
    return decode(content).permute(1, 2, 0).numpy().astype(int)


def close(content: bytes, expected: Image.Image, mean: float = 1.0) -> bool:
    """Within what JPEG changes."""
    other = np.asarray(expected.convert("RGB")).astype(int)
    got = pixels(content)
    return got.shape == other.shape and np.abs(got - other).mean() <= mean


def reason(content: bytes, wanted: Options = WANTED) -> str:
    with pytest.raises(RejectedError) as caught:
        prepare(content, wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (Options(size=4), "--size"),
        (Options(near_gray=-1), "--near-gray"),
        (Options(decode=False), "--near-gray 0"),
        (Options(val_share=1.0), "--val-share"),
        (Options(shard_samples=0), "--shard-samples"),
    ],
)
def test_options_out_of_range(options, name):
    Options().check()
    with pytest.raises(IrodoriError, match=name):
        options.check()


@pytest.mark.parametrize(
    ("kind", "suffix", "options"),
    [("JPEG", "jpg", {"quality": 90}), ("PNG", "png", {}), ("WEBP", "webp", {"quality": 90})],
)
def test_what_fits_stays_byte_for_byte(kind, suffix, options):
    content = encoded(picture(), kind, **options)
    for wanted in (WANTED, Options(64, 0, decode=False)):
        assert prepare(content, wanted) == (content, suffix)
    assert prepare(content, Options(size=30)) == (content, suffix)
    assert prepare(content, Options(size=29)).content != content


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (1000, 700), (65, 4000), (129, 128)])
def test_larger_ones_are_scaled_as_by_a_full_decode_and_an_antialiased_filter(size):
    content = encoded(picture(3, size), quality=95)
    scaled = prepare(content, WANTED)
    image = Image.open(io.BytesIO(scaled.content))
    short = round(max(size) * 64 / min(size))
    assert image.size == ((64, short) if size[0] < size[1] else (short, 64))
    expected = Image.open(io.BytesIO(content)).resize(image.size, Image.Resampling.BICUBIC)
    assert close(scaled.content, expected)
    # 4:4:4: all components have the same sampling factors.
    assert {layer[1:3] for layer in image.layer} == {(1, 1)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(40, 30), (400, 300)])
def test_rotated_ones_become_upright(orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(picture(5, size), exif=exif, quality=95)
    prepared = prepare(content, WANTED)
    assert (prepared.content == content) == (orientation == 1 and size == (40, 30))
    as_meant = Image.fromarray(decode(content).permute(1, 2, 0).numpy())
    image = Image.open(io.BytesIO(prepared.content))
    assert close(prepared.content, as_meant.resize(image.size, Image.Resampling.BICUBIC))
    if orientation != 1:
        assert 0x0112 not in image.getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("damaged", [b"Exif\0\0no TIFF", b"Exif\0\0MM\0*\0\0\xff\xff"])
def test_a_damaged_exif_block_does_not_matter(damaged):
    content = encoded(picture(), exif=damaged, quality=95, subsampling=0)
    assert prepare(content, WANTED).content == content
    assert close(content, picture())


def test_cmyk_becomes_rgb():
    content = encoded(picture().convert("CMYK"), quality=95)
    prepared = prepare(content, WANTED)
    assert prepared.suffix == "jpg"
    assert close(prepared.content, picture(), mean=2)


def test_16_bit_becomes_8_bit():
    prepared = prepare(
        imagecodecs.png_encode(np.asarray(picture()).astype(np.uint16) * 257), WANTED
    )
    assert prepared.suffix == "jpg"
    assert close(prepared.content, picture())
    ramp = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    prepared = prepare(encoded(Image.fromarray(ramp), "PNG"), ALL)
    assert close(prepared.content, Image.fromarray((ramp / 257).round().astype(np.uint8)))


def test_palettes_become_rgb():
    palette = picture().quantize(200, dither=Image.Dither.NONE)
    for kind in ("PNG", "GIF"):
        # The steps between a palette's colors take JPEG more than smooth pictures do.
        assert close(prepare(encoded(palette, kind), WANTED).content, palette, mean=2.5)
    used = int(np.asarray(palette)[3, 4])
    assert reason(encoded(palette, "PNG", transparency=used)) == "transparent"
    assert reason(encoded(palette, "GIF", transparency=used)) == "transparent"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_an_alpha_channel_matters_only_if_something_shows_through(kind):
    rgba = picture().convert("RGBA")
    options = {"lossless": True} if kind == "WEBP" else {}
    prepared = prepare(encoded(rgba, kind, **options), WANTED)
    assert close(prepared.content, picture())
    rgba.putpixel((39, 29), (9, 9, 9, 254))
    assert reason(encoded(rgba, kind, **options)) == "transparent"


def test_a_transparent_color_of_an_rgb_png_counts_if_it_is_used():
    image = picture()
    assert reason(encoded(image, "PNG", transparency=image.getpixel((0, 0)))) == "transparent"
    unused = prepare(encoded(image, "PNG", transparency=(1, 2, 3)), WANTED)
    assert unused.suffix == "jpg"
    assert close(unused.content, image)


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_other_kinds_become_jpeg(kind):
    prepared = prepare(encoded(picture(), kind), WANTED)
    assert prepared.suffix == "jpg"
    assert close(prepared.content, picture())


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_avif_and_heic_become_jpeg(kind, monkeypatch):
    pytest.importorskip("pillow_heif").register_heif_opener()
    content = encoded(picture(1, (64, 48)), kind, quality=90)
    assert close(prepare(content, WANTED).content, picture(1, (64, 48)), mean=4)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    preparing._formats.cache_clear()
    if kind == "HEIF":
        assert "irodori[heif]" in reason(content)
    preparing._formats.cache_clear()


def test_fingerprints_of_copies_are_near_and_of_others_far():
    def difference(one: bytes, other: bytes, decode: bool = True) -> int:
        prints = (np.frombuffer(fingerprint(x, decode), np.uint8).astype(int) for x in (one, other))
        return int(np.abs(next(prints) - next(prints)).max())

    image = picture(1, (90, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    original = encoded(image, quality=95)
    for copy in (
        encoded(image.resize((45, 30)), quality=40),
        encoded(image, "PNG"),
        encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=90),
    ):
        assert difference(original, copy) <= 6
    assert difference(original, encoded(picture(2, (90, 60)))) > 30
    assert fingerprint(b"dear diary", True) == b""
    assert difference(original, original, decode=False) == 0
    assert difference(original, original + b"x", decode=False) > 30


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_ones_are_rejected(kind):
    content = encoded(picture(1), kind, save_all=True, append_images=[picture(2)])
    assert reason(content) == "animated or with several pages"


def test_the_first_picture_of_a_multi_picture_jpeg_counts():
    content = encoded(picture(1), "MPO", save_all=True, append_images=[picture(2)], quality=90)
    assert prepare(content, WANTED) == (content, "jpg")
    assert close(content, picture(1), mean=3)  # 4:2:0


def test_gray_and_near_gray_ones_are_left_out():
    gray = picture().convert("L")
    tinted = Image.merge("RGB", (gray, gray, gray.point(lambda v: min(v + 5, 255))))
    for image in (gray, gray.convert("RGB"), tinted, gray.convert("1"), gray.convert("LA")):
        content = encoded(image, "PNG")
        assert reason(content).startswith("near-gray: ")
        assert close(prepare(content, ALL).content, image)
    content = encoded(gray, quality=90)
    assert reason(content) == "near-gray: 0.0 levels from gray"


def test_the_threshold_is_in_levels_from_gray():
    # (Cb, Cr) of this color by the JPEG standard: 128 − 11.25 and 128 + 3.63.
    image = Image.new("RGB", (50, 50), (110, 105, 85))
    assert colorfulness(image) == pytest.approx(np.hypot(11.25, 3.63), abs=0.7)
    content = encoded(image, "PNG")
    assert prepare(content, Options(64, 10.5)).content == content
    assert reason(content, Options(64, 13.5)).startswith("near-gray")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty file"),
        (b"dear diary, ", "not an image of a known kind"),
        (b"%PDF-1.4 and so on", "not an image of a known kind"),
        (b"\xff\xd8\xff\xe0 nothing", "truncated"),
        (b"\x89PNG\r\n\x1a\n nothing", "truncated"),
        (b"\xff\xd8\xff" + bytes(100), "damaged: its header"),
    ],
)
def test_what_is_no_image_is_rejected(content, expected):
    assert reason(content) == expected
    assert reason(content, Options(64, 0, decode=False)) == expected


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_kept_of_a_cut_file_is_what_training_can_decode(kind):
    content = encoded(picture(2, (50, 40)), kind)
    for length in range(1, len(content), max(1, len(content) // 60)):
        cut = content[:length]
        try:
            kept = prepare(cut, WANTED)
        except RejectedError:
            continue
        # Some cuts take only what stands behind the pixels.
        assert pixels(kept.content).shape == (40, 50, 3)
        assert close(kept.content, picture(2, (50, 40)), mean=3)
    assert reason(content[: len(content) // 2]).partition(":")[0] in ("truncated", "damaged")


def test_a_truncated_jpeg_is_rejected_when_scaled_too():
    content = encoded(picture(2, (900, 700)), quality=95)
    assert reason(content[: len(content) * 2 // 3]) == "truncated"
    assert reason(content[:-2]) == "truncated"


def test_a_decompression_bomb_is_rejected_unread():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert reason(bomb + empty).startswith("too large")


def profile(name: str) -> bytes:
    if name == "sRGB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return swapped()


def swapped() -> bytes:
    """sRGB with the red and green primaries exchanged: as far from sRGB as a profile can be."""
    content = bytearray(profile("sRGB"))
    places = {}
    for i in range(struct.unpack(">I", content[128:132])[0]):
        at = 132 + 12 * i
        places[bytes(content[at : at + 4])] = at + 4
    red, green = (bytes(content[places[t] : places[t] + 8]) for t in (b"rXYZ", b"gXYZ"))
    content[places[b"rXYZ"] : places[b"rXYZ"] + 8] = green
    content[places[b"gXYZ"] : places[b"gXYZ"] + 8] = red
    return bytes(content)


@pytest.mark.parametrize("size", [(40, 30), (400, 300)])
def test_other_color_profiles_are_converted_to_srgb(size):
    image = picture(7, size)
    srgb = encoded(image, icc_profile=profile("sRGB"), quality=95)
    kept = prepare(srgb, WANTED).content
    assert (kept == srgb) == (size == (40, 30))
    converted = prepare(encoded(image, icc_profile=profile("other"), quality=95), WANTED).content
    small = image.resize(Image.open(io.BytesIO(converted)).size, Image.Resampling.BICUBIC)
    red, green, blue = small.split()
    assert close(converted, Image.merge("RGB", (green, red, blue)), mean=2)
    assert "icc_profile" not in Image.open(io.BytesIO(converted)).info


def test_a_damaged_color_profile_is_left_aside():
    content = encoded(picture(), icc_profile=b"no profile", quality=95)
    assert prepare(content, WANTED).content == content


def test_named_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert prepare_files(tmp_path, WANTED, ["pipe.jpg"]) == ["cannot be read: a named pipe"]
    assert fingerprint_files(tmp_path, WANTED, ["pipe.jpg"]) == [b""]
