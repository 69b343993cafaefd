"""Photos too large for memory, with a limit of ten thousand pixels."""

import numpy as np
import pytest
import tifffile
from photo_files import exif, icc, picture, saved, tiff

from irodori.imageio import headers, probe, read_photo
from irodori.imageio import tiff as tiff_pages
from irodori.imageio.rows import Rows
from irodori.utils.errors import IrodoriError

RGB, GRAY = picture(300, 203), picture(300, 203, 1)[..., 0]
PLANES, DEEP = np.moveaxis(RGB, 2, 0), picture(300, 203, 4, np.uint16)
FILES = {
    "strips": tiff(RGB, photometric="rgb", compression="zlib", rowsperstrip=7),
    "tiles": tiff(RGB, photometric="rgb", compression="lzw", tile=(64, 48), predictor=True),
    "one strip": tiff(RGB, photometric="rgb", byteorder=">"),
    "planes": tiff(PLANES, photometric="rgb", planarconfig="separate"),
    "planes in tiles": tiff(
        PLANES, photometric="rgb", planarconfig="separate", tile=(32, 32), compression="zlib"
    ),
    "JPEG": tiff(RGB, photometric="rgb", tile=(64, 64), compression="jpeg"),
    "profile": tiff(RGB, photometric="rgb", rowsperstrip=32, iccprofile=icc("rgb", 2.2)),
    "BigTIFF": tiff(DEEP[..., :3], photometric="rgb", bigtiff=True, compression="zlib"),
    "alpha": tiff(DEEP, photometric="rgb", extrasamples=["assocalpha"], rowsperstrip=16),
    "inverted": tiff(GRAY, photometric="miniswhite", rowsperstrip=100, compression="packbits"),
    "1 bit": tiff(GRAY > 128, rowsperstrip=16, compression="packbits"),
}


@pytest.fixture
def limit(monkeypatch):
    return lambda: monkeypatch.setattr(headers, "MAX_PIXELS", 10_000)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_rows_are_those_of_the_whole(content, limit):
    whole = read_photo(content)
    limit()
    photo = read_photo(content, large=True)
    assert isinstance(photo.pixels, Rows)
    for top, bottom in ((0, 300), (130, 131), (100, 259), (250, 300)):
        np.testing.assert_array_equal(photo.pixels[top:bottom], whole.pixels[top:bottom])
        if whole.alpha is not None:
            np.testing.assert_array_equal(photo.alpha[top:bottom], whole.alpha[top:bottom])
    assert photo.pixels.dtype == whole.pixels.dtype
    assert (photo.alpha is None) == (whole.alpha is None)
    assert photo.notes == whole.notes


def test_only_a_part_is_read(tmp_path, limit):
    limit()
    path = tmp_path / "scan.tif"
    path.write_bytes(FILES["strips"])
    photo = read_photo(path, large=True)
    with tifffile.TiffFile(path) as file:
        last = file.pages[0].dataoffsets[-1]
    with path.open("r+b") as file:
        file.seek(last)
        file.write(bytes(4))
    assert photo.pixels[0:200].any()
    with pytest.raises(IrodoriError, match=r"scan\.tif: damaged"):
        photo.pixels[200:300]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(RGB, "PNG"), "vips crop FILE part-1.tif 0 0 102 150"),
        (saved(RGB, "TIFF", exif=exif(6)), "vips autorot"),
        (FILES["inverted"], "strips of 100 rows"),
    ],
)
def test_what_has_no_rows_of_its_own_is_refused(content, reason, limit, monkeypatch):
    limit()
    monkeypatch.setattr(tiff_pages, "_MAX_PART", 20_000)
    with pytest.raises(IrodoriError, match=reason):
        read_photo(content, large=True)


def test_large_photos_must_be_asked_for(limit):
    limit()
    for read in (probe, read_photo):
        with pytest.raises(IrodoriError, match="at most 0 megapixels"):
            read(FILES["strips"])
