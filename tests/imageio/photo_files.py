"""Photo files made for tests: pictures, metadata and color profiles."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from irodori.imageio import Encoding, write_photo

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    b' xmlns:own="https://example.org/own/" tiff:Orientation="6" own:name="\xe6\xa0\xaa">'
    b"<exif:PixelXDimension>7</exif:PixelXDimension></rdf:Description></rdf:RDF></x:xmpmeta>"
)
MAKER = b"maker\0" + bytes(range(60))
GPS = {1: "N", 2: (35.0, 41.0, 22.5), 3: "E", 4: (139.0, 41.0, 30.25)}


def picture(height=23, width=37, channels=3, dtype=np.uint8, seed=0):
    """Smooth colors with some noise, of the whole range: H×W×C."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + shift) + np.cos(y / 7 - shift) for shift in range(channels)]
    levels = np.stack(waves, -1) / 5 + 0.5 + generator.normal(0, 0.01, (height, width, channels))
    most = np.iinfo(dtype).max
    return (levels.clip(0, 1) * most).round().astype(dtype)


def saved(image, form, **settings):
    """A file's bytes by Pillow; image: Pillow's or an array."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def written(photo, form=None, provenance=None):
    """The file of a photo as it is colorized: by `write_photo`, with colors like its own."""
    file = io.BytesIO()
    pixels = np.broadcast_to(photo.pixels, (*photo.pixels.shape[:2], 3))
    write_photo(file, pixels, photo, Encoding(form), provenance)
    return file.getvalue()


def tiff(pixels, **settings):
    """A file's bytes by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, software=False, **settings)
    return file.getvalue()


def png_chunk(content, kind, body):
    """A PNG with one more chunk before its pixels."""
    chunk = struct.pack(">L", len(body)) + kind + body
    chunk += struct.pack(">L", zlib.crc32(kind + body))
    return content[:33] + chunk + content[33:]


def exif(orientation=1, width=37, height=23, endian=">"):
    """An EXIF block with GPS, a maker note, pixel dimensions and text that is not ASCII."""
    block = Image.Exif()
    block.endian = endian
    block[0x0112] = orientation
    block[0x010F] = "Camera"
    block[0x010E] = "caption"
    details = block.get_ifd(0x8769)
    details |= {0xA001: 65535, 0xA002: width, 0xA003: height, 0x927C: MAKER, 0x829A: 0.004}
    block.get_ifd(0x8825).update(GPS)
    made = block.tobytes()
    # UTF-8, as phones write it, which Pillow would not keep.
    return made.replace(b"caption", "曲線x".encode()[:7])


def icc(space, gamma):
    """A profile of "gray", or of "rgb" with Adobe RGB's primaries."""
    primaries = [0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0]
    white = [0.3127, 0.329, 1.0]
    more = {"whitepoint": white, "primaries": primaries, "gamma": gamma}
    return bytes(imagecodecs.cms_profile(space, **more))


def cmyk_icc():
    """A CMYK profile: L* is 100·(1 − mean of C, M, Y)·(1 − K), and all is gray."""
    ramp = bytes(range(256))
    corners = np.mgrid[0:2, 0:2, 0:2, 0:2].reshape(4, -1)
    lightness = 255 * (1 - corners[:3].mean(0)) * (1 - corners[3])
    table = np.stack([lightness.round(), *[np.full(16, 128)] * 2], -1).astype(np.uint8)
    identity = [65536 * (i % 4 == 0) for i in range(9)]
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9l", *identity)
    lut += 4 * ramp + table.tobytes() + 3 * ramp
    tags = {b"A2B0": lut, b"A2B1": lut, b"cprt": b"text" + bytes(4) + b"none\0\0\0\0"}
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">L", 2) + b"t\0" + bytes(78)
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">L", len(tags)), b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">LL", place + len(body), len(value))
        body += value
    head = struct.pack(">L", place + len(body)) + b"none" + struct.pack(">L", 0x02100000)
    head += b"prtrCMYKLab " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    d50 = (0.9642, 1.0, 0.8249)
    head = head.ljust(68, b"\0") + struct.pack(">3l", *(round(v * 65536) for v in d50))
    return head.ljust(128, b"\0") + table + body


ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""XYZ of Adobe RGB (1998)'s primaries under D50, of its own ICC profile."""

_SRGB_FROM_D50 = np.linalg.inv(
    np.array(
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
    ).T
)


def encoded(linear):
    """sRGB's curve, of float64 light in [0, 1]."""
    linear = np.clip(linear, 0, 1)
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved)


def from_adobe(rgb, gamma=563 / 256):
    """sRGB in [0, 1] of Adobe RGB in [0, 1], float64."""
    return encoded((rgb**gamma) @ np.array(ADOBE) @ _SRGB_FROM_D50.T)
