"""What a file says of its photo is found again in the result, whatever the two formats are."""

import io
import struct

import numpy as np
import odd_files as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import GPS, MAKER, XMP, exif, picture, saved, written
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from irodori.imageio import Metadata, read_photo
from irodori.imageio import exif as blocks
from irodori.imageio.xmp import Packet

RGB = picture()
SMALL = picture(6, 8)
FORMS = ("JPEG", "PNG", "TIFF", "WEBP")


def with_everything(form, endian=">"):
    block = exif(6, endian=endian)
    if form == "TIFF":
        photo = read_photo(saved(RGB, "PNG", exif=exif(1, endian=endian)))
        return written(photo, "TIFF")  # by our own writer, which the other tests check by Pillow
    extra = {"dpi": (300, 300)} if form != "WEBP" else {}
    if form == "PNG":
        extra["pnginfo"] = PngInfo()
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    else:
        extra["xmp"] = XMP
    return saved(RGB, form, exif=block, **extra)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
def test_all_of_it_goes_from_format_to_format(source, target, endian):
    photo = read_photo(with_everything(source, endian))
    content = written(photo, target)
    with Image.open(io.BytesIO(content)) as image:
        found = image.getexif()
        assert image.size == (23, 37)
        assert found.get(0x0112, 1) == 1
        assert found[0x010F] == "Camera"
        details = found.get_ifd(0x8769)
        assert details[0x927C] == MAKER
        assert float(details[0x829A]) == pytest.approx(0.004)
        assert (details[0xA001], details[0xA002], details[0xA003]) == (1, 23, 37)
        assert {k: v for k, v in found.get_ifd(0x8825).items() if k in GPS} == GPS
        packet = image.info["xmp"]
        image.load()
        if target != "WEBP" and source != "WEBP":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert b'own:name="\xe6\xa0\xaa"' in packet
    for name, value in (("tiff:Orientation", "1"), ("exif:PixelXDimension", "23")):
        assert Packet(packet).get(name) == value
    assert "曲線x".encode()[:7] in content  # text is not decoded on its way
    assert read_photo(content).pixels.shape == (37, 23, 3)


@pytest.mark.parametrize("target", FORMS)
def test_from_tiff(target):
    source = with_everything("TIFF")
    first = read_photo(source)
    content = written(first, target)
    with Image.open(io.BytesIO(content)) as image:
        found = image.getexif()
        assert found[0x010F] == "Camera"
        assert found.get_ifd(0x8769)[0x927C] == MAKER
        assert {k: v for k, v in found.get_ifd(0x8825).items() if k in GPS} == GPS
    np.testing.assert_array_equal(read_photo(source).pixels, RGB)


def test_maker_notes_stay_where_they_are():
    """They hold offsets that count from the block's beginning."""
    content = saved(RGB, "JPEG", exif=exif(6))
    before = Image.open(io.BytesIO(content)).info["exif"]
    after = Image.open(io.BytesIO(written(read_photo(content), "JPEG"))).info["exif"]
    assert after.index(MAKER) == before.index(MAKER)


def test_the_thumbnail_goes():
    block = exif(1)[6:]
    thumbnail = saved(RGB[:8, :8], "JPEG")
    offset = struct.unpack(">L", block[4:8])[0]
    count = struct.unpack(">H", block[offset : offset + 2])[0]
    end = offset + 2 + 12 * count
    place = len(block) + 2 + 24 + 4
    second = struct.pack(">H", 2) + struct.pack(">HHLL", 0x0201, 4, 1, place)
    second += struct.pack(">HHLL", 0x0202, 4, 1, len(thumbnail)) + bytes(4)
    block = block[:end] + struct.pack(">L", len(block)) + block[end + 4 :] + second + thumbnail
    content = written(read_photo(saved(RGB, "JPEG", exif=b"Exif\0\0" + block)), "JPEG")
    assert thumbnail not in content
    block = read_photo(content).metadata.exif
    assert len(blocks.read_directories(io.BytesIO(block), limit=2)) == 1
    assert MAKER in block


@pytest.mark.parametrize("target", [*FORMS, "BMP"])
def test_resolution(target):
    content = saved(RGB, "TIFF", dpi=(600, 300), tiffinfo={0x0112: 8})
    photo = read_photo(content)
    assert photo.metadata.dpi == pytest.approx((300, 600))  # turned with the picture
    assert read_photo(written(photo, target)).metadata.dpi == pytest.approx((300, 600), abs=0.02)
    centimetres = saved(RGB, "TIFF", resolution_unit=3, resolution=118.11)
    assert read_photo(centimetres).metadata.dpi == pytest.approx((300, 300), abs=0.01)
    assert read_photo(saved(RGB, "PNG")).metadata == Metadata()


@pytest.mark.parametrize("target", [*FORMS, "BMP"])
def test_an_absurd_resolution_costs_no_photo(target):
    content = saved(RGB, "PNG", dpi=(100_000_000, 100_000_000))
    photo = read_photo(content)
    assert photo.metadata.dpi is None
    np.testing.assert_array_equal(read_photo(written(photo, "PNG")).pixels, photo.pixels)
    written(photo, target)


def test_of_a_packet_in_parts_the_second_is_named_and_no_more_asked_for():
    packet = made.CLAIMS.replace(
        b" photoshop:ColorMode",
        b' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="00FF"'
        b" photoshop:ColorMode",
    )
    photo = read_photo(saved(RGB, "JPEG", xmp=packet))
    assert ["extended XMP" in note for note in photo.notes] == [True]
    assert b"HasExtendedXMP" not in written(photo, "JPEG")


def test_lines_in_an_attribute_of_a_packet_stay_lines():
    lines = b' photoshop:Instructions="one&#xA;two&#9;three &amp;#10; &quot;four&quot;"'
    packet = made.CLAIMS.replace(b" photoshop:ColorMode", lines + b" photoshop:ColorMode")
    result = read_photo(written(read_photo(saved(RGB, "JPEG", xmp=packet)), "JPEG"))
    assert Packet(result.metadata.xmp).get("photoshop:Instructions") == (
        'one\ntwo\tthree &#10; "four"'
    )


def test_what_jpeg_has_no_room_for_is_left_out():
    block = Image.Exif()
    block[0x010E] = "x" * 60_000
    block[0x010F] = "Camera"
    block.get_ifd(0x8769)[0x927C] = bytes(70_000)
    photo = read_photo(saved(RGB, "PNG", exif=block.tobytes()))
    with Image.open(io.BytesIO(written(photo, "JPEG"))) as image:
        assert image.getexif()[0x010F] == "Camera"
        assert len(image.getexif()[0x010E]) == 60_000
        assert 0x927C not in image.getexif().get_ifd(0x8769)
    with Image.open(io.BytesIO(written(photo, "PNG"))) as image:
        assert len(image.getexif().get_ifd(0x8769)[0x927C]) == 70_000


def test_png_metadata_behind_the_pixels_is_found():
    content = saved(RGB, "PNG", exif=exif(6))
    start = content.index(b"eXIf") - 4
    size = int.from_bytes(content[start : start + 4], "big") + 12
    moved = content[:start] + content[start + size : -12] + content[start : start + size]
    photo = read_photo(moved + content[-12:])
    assert photo.pixels.shape == (37, 23, 3)
    assert MAKER in photo.metadata.exif


KEYS = ["chromaticity", "dpi", "gamma", "icc_profile", "photoshop", "srgb", "xmp"]


@pytest.mark.parametrize("keyword", KEYS)
@pytest.mark.parametrize("add", [PngInfo.add_text, PngInfo.add_itxt])
def test_a_text_named_like_pillows_own_keys_stays_a_text(add, keyword):
    chunks = PngInfo()
    add(chunks, keyword, "300")
    photo = read_photo(saved(RGB, "PNG", pnginfo=chunks, dpi=(300, 300)))
    assert (photo.pixels == RGB).all()
    assert photo.metadata.texts == {keyword: "300"}
    assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.01)
    assert photo.notes == ()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_block_never_raises(data):
    block = bytearray(exif(6)[6:])
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    block = bytes(block[: data.draw(st.integers(0, len(block)))])
    made = blocks.for_result(block, (10, 20), (72.0, 72.0), "irodori")
    assert blocks.parse(made).value(305) == b"irodori\0"
    blocks.shortened(made, 200)
    blocks.shortened(block, 20)
    photo = read_photo(saved(SMALL, "JPEG", exif=b"Exif\0\0" + block))
    assert photo.pixels.size == SMALL.size
    for form in ("JPEG", "TIFF"):
        assert read_photo(written(photo, form)).pixels.size == SMALL.size


def test_values_that_overlap_take_no_terabytes():
    count, size = 5000, 1 << 20
    entries = b"".join(struct.pack("<HHLL", 40000 + n, 7, size, 0) for n in range(count))
    block = b"II*\0" + struct.pack("<LH", 8, count) + entries + bytes(4)
    found = blocks.parse(block.ljust(size, b"\0"))
    assert sum(len(field.value) for field in found.fields.values()) <= 1 << 26
