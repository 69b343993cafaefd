"""Photo files that others make, each of a kind that is easily handled wrongly."""

import io
import struct
import zlib
from itertools import pairwise

import imagecodecs
import numpy as np
import tifffile
from photo_files import png_chunk, saved, tiff
from PIL import Image
from PIL.PngImagePlugin import PngInfo

GRAY = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
DEEP = GRAY.astype(np.uint16) * 257
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm"
CLAIMS = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
    ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
    ' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
    ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    f' Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}" xmpMM:DocumentID="xmp.did:1234"'
    ' xmpMM:InstanceID="xmp.iid:5678" hdrgm:Version="1.0" GCamera:MotionPhoto="1"'
    ' photoshop:ColorMode="1"/></rdf:RDF></x:xmpmeta>'
).encode()


def iptc_record(number, dataset, text):
    data = text.encode()
    return b"\x1c" + bytes([number, dataset]) + struct.pack(">H", len(data)) + data


def iptc_records():
    return (
        iptc_record(1, 90, "\x1b%G")
        + iptc_record(2, 120, "Family portrait, Rīga 1932")
        + iptc_record(2, 25, "family")
        + iptc_record(2, 55, "19320501")
        + iptc_record(2, 116, "© Town archive")
    )


def captioned_jpeg():
    """IPTC, a comment, and XMP of an untouched scan that claims what no result may claim."""
    iptc = iptc_records()
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">L", len(iptc)) + iptc
    body += bytes(len(iptc) % 2)
    content = saved(GRAY[..., None], "JPEG", xmp=CLAIMS, comment=b"Scanned in 1998, box 12")
    return content[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + content[2:]


def captioned_tiff():
    iptc = iptc_records()
    tags = [(33723, 7, len(iptc), iptc, True), (700, 1, len(CLAIMS), CLAIMS, True)]
    return tiff(GRAY, photometric="minisblack", extratags=tags)


def imagemagick_png(kind, raw):
    """What a profile is in a PNG of ImageMagick's: a text chunk of hexadecimal digits."""
    info = PngInfo()
    digits = "\n".join(raw.hex()[i : i + 72] for i in range(0, 2 * len(raw), 72))
    info.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(raw):8d}\n{digits}\n", zip=True)
    return saved(GRAY[..., None], "PNG", pnginfo=info)


def turned_exif():
    block = Image.Exif()
    block[274], block[270] = 6, "a caption"
    raw = block.tobytes()
    return raw if raw.startswith(b"Exif") else b"Exif\0\0" + raw


def titled_png():
    info = PngInfo()
    info.add_text("Title", "Wedding 1911")
    info.add_itxt("Description", "left to right: two sisters, Rīga")
    info.add_text("Author", "A photo studio")
    info.add_text("Creation Time", "summer of 1911")
    return saved(GRAY[..., None], "PNG", pnginfo=info)


def linear_png(dtype, channels=1):
    """A linear scan that says so by gAMA: shown, it has the lightness of GRAY."""
    levels = GRAY / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    stored = np.round(linear * np.iinfo(dtype).max).astype(dtype)
    stored = stored if channels == 1 else np.dstack([stored] * channels)
    return png_chunk(imagecodecs.png_encode(stored), b"gAMA", struct.pack(">L", 100000))


def pages(*pictures):
    """A TIFF of several directories, each (pixels, settings of tifffile)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for pixels, extra in pictures:
            writer.write(pixels, metadata=None, **extra)
    return file.getvalue()


def tiff_by_header(samples=1, depth=1, width=7000, height=7040):
    """A few kB of TIFF that claim gigabytes."""
    strip = zlib.compress(bytes(width * 64 * 2 * samples), 9)
    count = height // 64
    tags = {256: (4, width), 257: (4, height), 258: (3, 16), 259: (3, 8), 262: (3, 1)}
    tags |= {273: (4, None), 277: (3, samples), 278: (4, 64), 279: (4, None)}
    tags |= {32997: (4, depth)} if depth > 1 else {}
    base = 8 + 2 + 12 * len(tags) + 4
    body = b""
    for tag, (kind, value) in sorted(tags.items()):
        number = 1 if value is not None else count
        value = value if value is not None else base + (4 * count if tag == 279 else 0)
        body += struct.pack("<HHL", tag, kind, number) + struct.pack("<L", value)
    head = b"II*\0" + struct.pack("<LH", 8, len(tags)) + body + bytes(4)
    starts, sizes = struct.pack("<L", base + 8 * count), struct.pack("<L", len(strip))
    return head + starts * count + sizes * count + strip


def thin_png(width, height):
    content = saved(GRAY[..., None], "PNG")
    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress((b"\0" + bytes(width)) * height, 9)
    chunks = b"".join(
        png_chunk(content, kind, body)[33 : 33 + 12 + len(body)]
        for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def progressive_scans(count):
    """A JPEG whose last scan comes again and again."""
    content = saved(GRAY[..., None], "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def jpeg_xl_in_parts(pixels, count):
    """A JPEG XL file whose codestream lies in several boxes, as some encoders write it."""

    def box(kind, body):
        return struct.pack(">L4s", len(body) + 8, kind) + body

    content = imagecodecs.jpegxl_encode(pixels, usecontainer=False)
    ends = [6 * number for number in range(count)] + [len(content)]
    parts = (
        box(b"jxlp", struct.pack(">L", number | (number + 1 == count) << 31) + content[start:end])
        for number, (start, end) in enumerate(pairwise(ends))
    )
    signature = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    return signature + b"".join(parts)
