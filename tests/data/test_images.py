import io

import imagecodecs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from irodori.data.images import decode, to_short_side, to_square


def photo(height=40, width=56):
    """Colored blocks, which JPEG keeps."""
    blocks = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3))
    return Image.fromarray(np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_pillow(content):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def transparent(image):
    image = image.convert("RGBA")
    image.putalpha(image.getchannel("R"))
    return image


KINDS = {
    "jpeg": lambda: encoded(photo(), "JPEG"),
    "jpeg without subsampling": lambda: encoded(photo(), "JPEG", subsampling=0, quality=98),
    "progressive jpeg": lambda: encoded(photo(), "JPEG", progressive=True),
    "gray jpeg": lambda: encoded(photo().convert("L"), "JPEG"),
    "png": lambda: encoded(photo(), "PNG"),
    "gray png": lambda: encoded(photo().convert("L"), "PNG"),
    "gray png with alpha": lambda: encoded(transparent(photo()).convert("LA"), "PNG"),
    "rgba png": lambda: encoded(transparent(photo()), "PNG"),
    "palette png": lambda: encoded(photo().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
    "transparent palette png": lambda: encoded(photo().quantize(32), "PNG", transparency=3),
    "1-bit png": lambda: encoded(photo().convert("1"), "PNG"),
    "webp": lambda: encoded(photo(), "WEBP"),
    "lossless webp": lambda: encoded(photo(), "WEBP", lossless=True),
    "rgba webp": lambda: encoded(transparent(photo()), "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_decode_as_by_pillow(kind):
    content = KINDS[kind]()
    image = decode(content)
    assert image.dtype == torch.uint8
    expected = by_pillow(content)
    assert image.shape == expected.shape
    # Different builds of libjpeg and libwebp may round differently.
    assert np.abs(image.numpy().astype(int) - expected).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(photo(), kind, exif=exif)
    image, expected = decode(content), by_pillow(content)
    assert image.shape == expected.shape
    assert np.abs(image.numpy().astype(int) - expected).max() <= 3


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png_is_scaled_to_8_bits(channels):
    levels = np.random.default_rng(0).integers(0, 65536, (9, 11, channels))
    levels[0, :3, 0] = 0, 65534, 65535
    content = imagecodecs.png_encode(levels.astype(np.uint16).squeeze())
    image = decode(content).numpy().transpose(1, 2, 0)
    assert np.abs(image - levels / 257).max() <= (0.5 if channels == 1 else 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.9])
def test_files_cut_short_are_refused(kind, share):
    content = encoded(photo(), kind)
    with pytest.raises(RuntimeError) as caught:
        decode(content[: max(1, int(len(content) * share))])
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        bytes(100),
        bytes(range(256)) * 8,
        b"<html>not found</html>",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"RIFF\0\0\0\0WEBPVP8 ",
        encoded(photo(), "GIF"),
    ],
)
def test_bytes_that_are_no_image_are_refused(content):
    with pytest.raises(RuntimeError, match=r"\w"):
        decode(content)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind):
    frames = [photo().rotate(180)]
    with pytest.raises(RuntimeError, match=r"(?i)animated"):
        decode(encoded(photo(), kind, save_all=True, append_images=frames))


@settings(max_examples=80)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damaged_bytes_give_an_image_or_a_runtime_error(kind, data):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = bytearray(encoded(photo(16, 24), kind, exif=exif))
    # Not in the size of the picture: a huge one would only cost time.
    places = st.integers(34 if kind == "PNG" else 12, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(content))
    except RuntimeError:
        return
    assert image.dtype == torch.uint8
    assert image.shape[0] == 3
    assert image.ndim == 3


def test_to_square_scales_without_keeping_the_aspect():
    image = decode(encoded(photo(80, 160), "PNG"))
    square = to_square(image, 40)
    assert square.shape == (3, 40, 40)
    assert square.dtype == torch.uint8
    # With antialiasing, each result is about the mean of what it covers.
    checker = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255
    gray = to_square(checker.to(torch.uint8).expand(3, -1, -1), 16)
    assert (gray[:, 2:-2, 2:-2].int() - 127).abs().max() <= 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 200), (50, 100)),
        ((200, 100), (100, 50)),
        ((50, 300), (50, 300)),
        ((30, 40), (30, 40)),
        ((51, 51), (50, 50)),
    ],
)
def test_to_short_side_only_scales_down_and_keeps_the_aspect(size, expected):
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    small = to_short_side(image, 50)
    assert small.shape == (3, *expected)
    if size == expected:
        assert torch.equal(small, image)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_orientation_behind_the_frame_header_is_seen():
    plain, other = encoded(photo(), "JPEG"), encoded(photo(), "JPEG", exif=turned(3))
    start = other.index(b"\xff\xe1")
    segment = other[start : start + 2 + int.from_bytes(other[start + 2 : start + 4])]
    scan = plain.index(b"\xff\xda")
    content = plain[:scan] + segment + plain[scan:]
    assert np.abs(decode(content).numpy().astype(int) - by_pillow(other)).max() <= 3
