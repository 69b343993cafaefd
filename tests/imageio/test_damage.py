"""Whatever is in a file: a photo or one line, and never half a photo."""

import imagecodecs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import exif, icc, picture, saved, tiff
from PIL import Image

from irodori.imageio import read_photo
from irodori.utils.errors import IrodoriError

RGB, GRAY = picture(), picture(channels=1)
DEEP = picture(dtype=np.uint16)

FILES = {
    "JPEG": saved(RGB, "JPEG", quality=90),
    "progressive": saved(RGB, "JPEG", quality=90, progressive=True, exif=exif()),
    "CMYK": saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "PNG": saved(RGB, "PNG"),
    "PNG16": imagecodecs.png_encode(DEEP),
    "TIFF": saved(RGB, "TIFF"),
    "LZW": saved(RGB, "TIFF", compression="tiff_lzw"),
    "G4": saved(Image.fromarray(GRAY[..., 0]).convert("1"), "TIFF", compression="group4"),
    "TIFF16": tiff(DEEP, photometric="rgb"),
    "TIFF16z": tiff(DEEP, photometric="rgb", compression="zlib", predictor=True),
    "WEBP": saved(RGB, "WEBP"),
    "lossless": saved(RGB, "WEBP", lossless=True),
    "BMP": saved(RGB, "BMP"),
    "JPEG 2000": imagecodecs.jpeg2k_encode(RGB, level=0),
    "JPEG XL": imagecodecs.jpegxl_encode(RGB),
    "GIF": saved(GRAY, "GIF"),
    "PPM": saved(RGB, "PPM"),
    "palette": saved(Image.fromarray(RGB).quantize(20), "BMP"),
}
WHOLE = {name: read_photo(content) for name, content in FILES.items()}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True), st.booleans())
def test_a_truncated_file_is_an_error_or_complete(name, part, zeros):
    content = FILES[name]
    kept = content[: int(part * len(content))]
    if zeros and name in ("JPEG", "progressive", "CMYK"):  # as on a rescued disk
        kept = kept.ljust(len(content), b"\0")
    try:
        photo = read_photo(kept)
    except IrodoriError:
        return
    np.testing.assert_array_equal(photo.pixels, WHOLE[name].pixels)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_whatever_is_in_a_file_only_our_errors_come_out(name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        photo = read_photo(bytes(content))
    except IrodoriError:
        return
    assert photo.pixels.dtype in (np.uint8, np.uint16)


def test_damaged_metadata_does_not_cost_the_photo():
    for block in (b"Exif\0\0", b"Exif\0\0nonsense", exif()[:40], exif()[:-70]):
        assert (
            np.abs(read_photo(saved(RGB, "JPEG", exif=block)).pixels.astype(int) - RGB).max() < 60
        )
    photo = read_photo(saved(RGB, "PNG", icc_profile=icc("gray", 2.2)))
    np.testing.assert_array_equal(photo.pixels, RGB)


def test_padding_between_a_jpegs_segments_is_passed_over():
    content = saved(Image.fromarray(RGB), "JPEG")
    size = int.from_bytes(content[4:6], "big")
    padded = content[: 4 + size] + b"\0\0\0" + content[4 + size :]
    np.testing.assert_array_equal(read_photo(padded).pixels, read_photo(content).pixels)
