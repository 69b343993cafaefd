import io
import os

import numpy as np
import odd_files as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from photo_files import exif, picture, saved
from PIL import Image, JpegImagePlugin

from irodori.imageio import (
    FORMATS,
    Encoding,
    Metadata,
    Photo,
    Provenance,
    format_of,
    read_photo,
    write_photo,
)
from irodori.utils.errors import IrodoriError


def photo_of(pixels, alpha=None, form="PNG"):
    return Photo(pixels, alpha, Metadata(), form)


def round_trip(pixels, alpha, form, quality=None):
    file = io.BytesIO()
    write_photo(file, pixels, photo_of(pixels, alpha), Encoding(form, quality))
    return read_photo(file.getvalue())


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(st.data(), sizes, st.sampled_from(["uint8", "uint16"]), st.sampled_from(["PNG", "TIFF"]))
def test_lossless_formats_keep_every_level(data, size, dtype, form):
    pixels = data.draw(arrays(dtype, (*size, 3)))
    alpha = data.draw(st.none() | arrays(dtype, size))
    again = round_trip(pixels, alpha, form)
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.pixels.dtype == dtype
    if alpha is None:
        assert again.alpha is None
    else:
        np.testing.assert_array_equal(again.alpha, alpha)


def test_bmp_is_exact_in_8_bits():
    np.testing.assert_array_equal(round_trip(picture(), None, "BMP").pixels, picture())


def test_lossy_formats_are_close():
    smooth = np.asarray(Image.fromarray(picture()).resize((160, 120), Image.Resampling.BICUBIC))
    error = np.abs(round_trip(smooth, None, "JPEG").pixels.astype(int) - smooth)
    assert error.max() <= 12
    assert error.mean() < 1.5
    assert np.abs(round_trip(smooth, None, "WEBP").pixels.astype(int) - smooth).mean() < 3
    worse = np.abs(round_trip(smooth, None, "JPEG", 40).pixels.astype(int) - smooth)
    assert worse.mean() > 2 * error.mean()
    alpha = picture(120, 160, 1)[..., 0]
    np.testing.assert_array_equal(round_trip(smooth, alpha, "WEBP").alpha, alpha)


def test_jpeg_keeps_chrominance_at_full_size():
    file = io.BytesIO()
    write_photo(file, picture(), photo_of(picture()), Encoding("JPEG"))
    assert JpegImagePlugin.get_sampling(Image.open(file)) == 0


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP"])
def test_16_bit_photos_in_8_bit_formats(form):
    deep = picture(dtype=np.uint16)
    assert round_trip(deep, None, form).pixels.dtype == np.uint8
    if form == "BMP":
        wanted = np.rint(deep / 257.0).astype(np.uint8)
        np.testing.assert_array_equal(round_trip(deep, None, form).pixels, wanted)


def test_formats():
    rgb, deep = picture(), picture(dtype=np.uint16)
    clear, opaque = np.zeros(rgb.shape[:2], np.uint8), np.full(rgb.shape[:2], 255, np.uint8)
    own = Encoding()
    others = {"HEIF": "JPEG", "AVIF": "JPEG", "JPEG2000": "TIFF", "GIF": "PNG"}
    for form, written in (dict.fromkeys(FORMATS) | others).items():
        written = written or form
        assert format_of(photo_of(rgb, None, form), own) == written
        assert format_of(photo_of(rgb, opaque, form), own) == written
    assert format_of(photo_of(rgb, clear, "HEIF"), own) == "PNG"
    assert format_of(photo_of(rgb, clear, "BMP"), own) == "PNG"
    assert format_of(photo_of(rgb, clear, "WEBP"), own) == "WEBP"
    assert format_of(photo_of(deep, None, "TIFF"), Encoding("JPEG")) == "JPEG"
    assert format_of(photo_of(deep, None, "JPEG"), own) == "PNG"  # of 12 bits
    assert set(FORMATS) == {"JPEG", "PNG", "TIFF", "WEBP", "BMP"}


@pytest.mark.parametrize("form", ["JPEG", "BMP"])
def test_transparency_is_never_dropped_silently(form, tmp_path):
    rgb = picture()
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[0, 0] = 254
    target = tmp_path / "out"
    with pytest.raises(IrodoriError, match="choose one of PNG, TIFF, WEBP"):
        write_photo(target, rgb, photo_of(rgb, alpha), Encoding(form))
    assert list(tmp_path.iterdir()) == []
    alpha[0, 0] = 255  # nothing shows through
    write_photo(target, rgb, photo_of(rgb, alpha), Encoding(form))
    assert read_photo(target).alpha is None


def test_mistakes():
    rgb = picture()
    with pytest.raises(IrodoriError, match="unknown format GIF; choose one of JPEG, PNG"):
        Encoding("GIF")
    for quality in (0, 101):
        with pytest.raises(IrodoriError, match="1 to 100"):
            Encoding(quality=quality)
    wide = np.zeros((1, 16384, 3), np.uint8)
    with pytest.raises(IrodoriError, match="WEBP supports at most 16383"):
        write_photo(io.BytesIO(), wide, photo_of(wide), Encoding("WEBP"))
    for wrong in (rgb[:-1], rgb[..., :1], rgb.astype(float)):
        with pytest.raises(ValueError, match="for a photo of"):
            write_photo(io.BytesIO(), wrong, photo_of(rgb), Encoding())


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_failing_write_leaves_everything_as_it_was(form, tmp_path, monkeypatch):
    target = tmp_path / "photo.any"
    target.write_bytes(b"before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IrodoriError, match=r"photo\.any: No space left on device"):
        write_photo(target, picture(), photo_of(picture()), Encoding(form))
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]
    monkeypatch.undo()
    write_photo(target, picture(), photo_of(picture()), Encoding(form))
    assert read_photo(target).format == form
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(IrodoriError, match="taken"):
        write_photo(tmp_path / "taken" / "a.png", picture(), photo_of(picture()), Encoding())


def test_what_a_format_cannot_hold_is_said():
    deep, shallow = picture(dtype=np.uint16), picture()
    iptc = Metadata(iptc=made.iptc_records())
    long = Metadata(
        exif=exif(1)[6:] + bytes(70_000), iptc=made.iptc_records() * 3000, xmp=made.CLAIMS
    )
    made_by = Provenance("model", "0", {})
    for form, pixels, metadata, provenance, words in (
        ("PNG", deep, long, made_by, []),
        ("JPEG", shallow, iptc, made_by, []),
        ("JPEG", deep, iptc, made_by, ["16 bits"]),
        ("JPEG", shallow, long, made_by, ["EXIF", "XMP"]),  # which would hold the IPTC
        ("BMP", shallow, Metadata(dpi=(300, 300)), None, []),
        ("BMP", shallow, iptc, None, ["metadata"]),
        ("BMP", shallow, Metadata(), made_by, ["colorized"]),
        ("BMP", deep, iptc, made_by, ["16 bits", "metadata", "colorized"]),
    ):
        photo = Photo(pixels, None, metadata, "PNG")
        notes = write_photo(io.BytesIO(), pixels, photo, Encoding(form), provenance)
        assert len(notes) == len(words), (form, notes)
        for word, note in zip(words, notes, strict=True):
            assert word in note


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_streams_need_not_be_seekable(form):
    class Pipe(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data)
            return len(data)

    pipe = Pipe()
    write_photo(pipe, picture(), photo_of(picture()), Encoding(form))
    assert read_photo(pipe.content).pixels.shape == picture().shape


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_equal_photos_become_equal_files(form):
    contents = []
    for _ in range(2):
        file = io.BytesIO()
        photo = read_photo(saved(picture(), "PNG"))
        write_photo(file, picture(), photo, Encoding(form))
        contents.append(file.getvalue())
    assert contents[0] == contents[1]
