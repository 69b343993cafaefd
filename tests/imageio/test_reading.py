import io
import os
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from photo_files import XMP, exif, picture, png_chunk, saved, tiff
from PIL import Image, ImageOps

from irodori.imageio import read_photo
from irodori.utils.errors import IrodoriError

RGB, GRAY = picture(), picture(channels=1)
ALPHA = picture(channels=1, seed=1)[..., 0]
DEEP, DEEP_GRAY = picture(dtype=np.uint16), picture(channels=1, dtype=np.uint16)
DEEP_ALPHA = picture(channels=1, dtype=np.uint16, seed=1)[..., 0]


def same(photo, colors, alpha=None, form=None):
    np.testing.assert_array_equal(photo.pixels, colors)
    assert photo.pixels.dtype == colors.dtype
    assert photo.pixels.flags.c_contiguous
    if alpha is None:
        assert photo.alpha is None
    else:
        np.testing.assert_array_equal(photo.alpha, alpha)
        assert photo.alpha.dtype == colors.dtype
    assert form is None or photo.format == form


LOSSLESS = {"PNG": {}, "TIFF": {}, "BMP": {}, "WEBP": {"lossless": True, "exact": True}}


@pytest.mark.parametrize("form", LOSSLESS)
def test_8_bits_and_one_are_read_exactly(form):
    extra = LOSSLESS[form]
    same(read_photo(saved(RGB, form, **extra)), RGB, form=form)
    if form != "BMP":
        same(read_photo(saved(np.dstack([RGB, ALPHA]), form, **extra)), RGB, ALPHA, form)
    if form != "WEBP":
        same(read_photo(saved(GRAY, form)), GRAY, form=form)
        image = Image.fromarray(GRAY[..., 0]).convert("1")
        packed = {"compression": "group4"} if form == "TIFF" else {}
        bits = np.asarray(image, np.uint8)[..., None] * 255
        same(read_photo(saved(image, form, **packed)), bits)
    if form in ("PNG", "TIFF"):
        image = Image.merge("LA", [Image.fromarray(GRAY[..., 0]), Image.fromarray(ALPHA)])
        same(read_photo(saved(image, form)), GRAY, ALPHA, form)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressions_of_tiff(compression):
    same(read_photo(saved(RGB, "TIFF", compression=compression)), RGB)


def test_jpegs_are_what_pillow_makes_of_them():
    for extra in ({}, {"progressive": True}, {"subsampling": "4:2:0"}):
        content = saved(RGB, "JPEG", quality=90, **extra)
        same(read_photo(content), np.asarray(Image.open(io.BytesIO(content))), form="JPEG")
    content = saved(GRAY, "JPEG")
    same(read_photo(content), np.asarray(Image.open(io.BytesIO(content)))[..., None])


def test_jpeg_within_tiff():
    photo = read_photo(saved(RGB, "TIFF", compression="jpeg", quality=100))
    assert np.abs(photo.pixels.astype(int) - RGB).max() < 12


def test_of_an_mpo_the_first_picture():
    first = Image.fromarray(RGB)
    content = saved(
        first, "MPO", save_all=True, append_images=[ImageOps.invert(first)], quality=100
    )
    photo = read_photo(content)
    assert photo.format == "JPEG"
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < 2


def test_no_page_of_a_tiff_is_lost_in_silence():
    first = Image.fromarray(RGB)
    content = saved(first, "TIFF", save_all=True, append_images=[ImageOps.invert(first)] * 2)
    with pytest.raises(IrodoriError, match=r"3 pages.*tiffsplit.*--page"):
        read_photo(content)
    same(read_photo(content, page=1), RGB)
    same(read_photo(content, page=3), 255 - RGB)
    with pytest.raises(IrodoriError, match="no page 4: it has 3"):
        read_photo(content, page=4)


def test_a_thumbnail_beside_it_is_no_page():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[::4, ::4], photometric="rgb", subfiletype=1)
    same(read_photo(file.getvalue()), RGB)


def test_palettes():
    image = Image.fromarray(RGB).quantize(50, dither=Image.Dither.NONE)
    wanted = np.asarray(image.convert("RGB"))
    for form in ("PNG", "TIFF", "BMP"):
        same(read_photo(saved(image, form)), wanted)
    clear = int(np.asarray(image)[3, 4])
    alpha = np.where(np.asarray(image) == clear, 0, 255)
    same(read_photo(saved(image, "PNG", transparency=clear)), wanted, alpha)


def test_a_transparent_color_becomes_alpha():
    key = tuple(int(level) for level in RGB[5, 6])
    alpha = np.where((key == RGB).all(-1), 0, 255)
    assert (alpha == 0).any()
    same(read_photo(saved(RGB, "PNG", transparency=key)), RGB, alpha)
    level = int(GRAY[5, 6, 0])
    alpha = np.where(GRAY[..., 0] == level, 0, 255)
    same(read_photo(saved(GRAY, "PNG", transparency=level)), GRAY, alpha)
    content = png_chunk(imagecodecs.png_encode(DEEP), b"tRNS", struct.pack(">3H", *DEEP[5, 6]))
    same(read_photo(content), DEEP, np.where((DEEP[5, 6] == DEEP).all(-1), 0, 65535))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_level_of_few_bits(bits):
    levels = np.arange(8) % (1 << bits)
    packed = np.packbits(((levels[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8))
    content = saved(np.zeros((1, 8, 1), np.uint8), "PNG")
    head = struct.pack(">LLBBBBB", 8, 1, bits, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    chunks = b""
    for kind, body in (
        (b"IHDR", head),
        (b"tRNS", struct.pack(">H", 1)),
        (b"IDAT", zlib.compress(b"\0" + packed.tobytes())),
        (b"IEND", b""),
    ):
        chunks += png_chunk(content, kind, body)[33 : 33 + 12 + len(body)]
    scaled = (levels * (255 // ((1 << bits) - 1))).astype(np.uint8)[None, :, None]
    same(read_photo(start + chunks), scaled, np.where(levels == 1, 0, 255)[None])


def test_16_bit_png():
    same(read_photo(imagecodecs.png_encode(DEEP)), DEEP, form="PNG")
    same(read_photo(imagecodecs.png_encode(DEEP_GRAY[..., 0])), DEEP_GRAY)
    same(read_photo(imagecodecs.png_encode(np.dstack([DEEP, DEEP_ALPHA]))), DEEP, DEEP_ALPHA)
    both = np.dstack([DEEP_GRAY, DEEP_ALPHA])
    same(read_photo(imagecodecs.png_encode(both)), DEEP_GRAY, DEEP_ALPHA)
    same(read_photo(saved(Image.fromarray(DEEP_GRAY[..., 0]), "PNG")), DEEP_GRAY)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"rowsperstrip": 5},
        {"tile": (16, 16), "compression": "zlib"},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_16_bit_tiff(order, settings):
    settings = {"byteorder": order, **settings}
    same(read_photo(tiff(DEEP, photometric="rgb", **settings)), DEEP, form="TIFF")
    gray = DEEP_GRAY[..., 0]
    same(read_photo(tiff(gray, photometric="minisblack", **settings)), DEEP_GRAY)
    inverted = read_photo(tiff(65535 - gray, photometric="miniswhite", **settings))
    same(inverted, DEEP_GRAY)
    rgba = np.dstack([DEEP, DEEP_ALPHA])
    content = tiff(rgba, photometric="rgb", extrasamples=["unassalpha"], **settings)
    same(read_photo(content), DEEP, DEEP_ALPHA)
    both = np.dstack([DEEP_GRAY, DEEP_ALPHA])
    content = tiff(both, photometric="minisblack", extrasamples=["unassalpha"], **settings)
    same(read_photo(content), DEEP_GRAY, DEEP_ALPHA)


def test_16_bit_tiff_in_planes():
    content = tiff(np.moveaxis(DEEP, 2, 0), photometric="rgb", planarconfig="separate")
    same(read_photo(content), DEEP)


def test_tiff_whose_colors_were_multiplied_by_alpha():
    alpha = np.maximum(DEEP_ALPHA, 9000)
    product = np.rint(DEEP * (alpha[..., None] / 65535)).astype(np.uint16)
    content = tiff(np.dstack([product, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    photo = read_photo(content)
    np.testing.assert_array_equal(photo.alpha, alpha)
    assert np.abs(photo.pixels.astype(int) - DEEP).max() <= 65535 / 9000 / 2 + 1


def test_white_is_zero_in_8_bits():
    same(read_photo(tiff(255 - GRAY[..., 0], photometric="miniswhite")), GRAY)


def test_wide_integers_that_fit_16_bits():
    gray = DEEP_GRAY[..., 0]
    same(read_photo(tiff(gray.astype(np.uint32), photometric="minisblack")), DEEP_GRAY)
    same(read_photo(tiff(gray.astype(np.int32), photometric="minisblack")), DEEP_GRAY)
    with pytest.raises(IrodoriError, match="beyond 0 to 65535"):
        read_photo(tiff(gray.astype(np.int32) - 70000, photometric="minisblack"))


def test_twelve_bits_become_sixteen():
    gray = DEEP_GRAY[..., 0] >> 4
    content = tiff(gray, photometric="minisblack", bitspersample=12)
    wanted = np.rint(gray.astype(np.float64) * 65535 / 4095).astype(np.uint16)
    same(read_photo(content), wanted[..., None])


def test_cmyk_without_a_profile_is_pillows():
    image = Image.fromarray(RGB).convert("CMYK")
    same(read_photo(saved(image, "TIFF")), np.asarray(image.convert("RGB")))
    content = saved(image, "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as opened:
        same(read_photo(content), np.asarray(opened.convert("RGB")))
    deep = np.asarray(image).astype(np.uint16) * 257
    photo = read_photo(tiff(deep, photometric="separated"))
    ink = deep / 65535
    wanted = (1 - ink[..., :3]) * (1 - ink[..., 3:]) * 65535
    assert np.abs(photo.pixels - wanted).max() <= 0.51


def test_what_is_refused_says_why(tmp_path):
    floats = tiff(DEEP_GRAY[..., 0].astype(np.float32), photometric="minisblack")
    for content, reason in (
        (b"", "empty file"),
        (b"words and words", "not a photo of a known kind"),
        (b"%PDF-1.7 and so on", "pdfimages"),
        (b"\0\0\0\x20ftypisom" + bytes(40), "ffmpeg"),
        (b"FUJIFILMCCD-RAW 0201", "develop it"),
        (floats, "floating-point"),
        (b"\xff\xd8\xff" + bytes(100), "truncated"),
        (b"RIFF\x20\0\0\0WEBP" + bytes(40), "damaged"),
        (b"BM" + bytes(60), "damaged"),
        (b"II*\0" + bytes(40), "damaged"),
        (tiff(DEEP[..., 0], photometric="cfa"), "develop it"),
    ):
        with pytest.raises(IrodoriError, match=reason) as caught:
            read_photo(content)
        assert "\n" not in str(caught.value)
    bad = tmp_path / "a photo.jpg"
    bad.write_bytes(b"words")
    with pytest.raises(IrodoriError, match=r"a photo\.jpg: not a photo"):
        read_photo(bad)
    with pytest.raises(IrodoriError, match=r"missing\.jpg: No such file"):
        read_photo(tmp_path / "missing.jpg")
    with pytest.raises(IrodoriError, match="Is a directory"):
        read_photo(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX's")
def test_a_pipe_is_refused_since_it_can_be_read_once_only(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IrodoriError, match="standard input"):
        read_photo(tmp_path / "pipe")


def test_absurd_sizes_are_refused_by_the_header():
    wide = struct.pack(">LL", 60000, 60000)
    png = saved(RGB, "PNG")
    jpeg = saved(RGB, "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    head = png[12:16] + wide + png[24:29]
    for content in (
        png[:12] + head + struct.pack(">L", zlib.crc32(head)) + png[33:],
        jpeg[: frame + 5] + struct.pack(">HH", 60000, 60000) + jpeg[frame + 9 :],
        saved(RGB, "BMP")[:18] + struct.pack("<LL", 60000, 60000) + saved(RGB, "BMP")[26:],
    ):
        with pytest.raises(IrodoriError, match="at most 300 megapixels"):
            read_photo(content)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_photos_beyond_pillows_own_limit_are_read_without_a_word():
    large = Image.new("1", (20000, 10000))
    assert read_photo(saved(large, "PNG")).pixels.shape == (10000, 20000, 1)


def test_a_kind_is_known_by_content(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(RGB, "PNG"))
    same(read_photo(path), RGB, form="PNG")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation):
    rgba = np.dstack([RGB, ALPHA])
    block = exif(orientation)
    upright = np.asarray(
        ImageOps.exif_transpose(Image.open(io.BytesIO(saved(rgba, "PNG", exif=block))))
    )
    for content in (
        saved(rgba, "PNG", exif=block),
        saved(rgba, "WEBP", lossless=True, exact=True, exif=block),
        saved(rgba, "TIFF", tiffinfo={0x0112: orientation}),
    ):
        same(read_photo(content), upright[..., :3], upright[..., 3])
    jpeg = saved(RGB, "JPEG", exif=block)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))))
    same(read_photo(jpeg), wanted)
    tag = (0x0112, 3, 1, orientation, True)
    deep = tiff(DEEP, photometric="rgb", extratags=[tag])
    sides = (37, 23, 3) if orientation >= 5 else (23, 37, 3)
    assert read_photo(deep).pixels.shape == sides
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0)}
    corner |= {5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    np.testing.assert_array_equal(read_photo(deep).pixels[corner[orientation]], DEEP[0, 0])


def test_orientation_in_xmp_counts_where_exif_is_silent():
    photo = read_photo(saved(RGB, "JPEG", xmp=XMP))
    assert photo.pixels.shape == (37, 23, 3)
