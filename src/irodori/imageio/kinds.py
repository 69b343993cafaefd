"""File formats: those that are read, those that are written, and known unsupported ones."""

import re
from typing import NamedTuple

from irodori.utils.errors import IrodoriError


class Format(NamedTuple):
    """Capabilities of a format: 16 bits per channel, alpha, signatures, largest side in pixels."""

    deep: bool = False
    alpha: bool = False
    signed: bool = True
    side: int = 1 << 31


FORMATS = {
    "JPEG": Format(side=65500),
    "PNG": Format(deep=True, alpha=True),
    "TIFF": Format(deep=True, alpha=True, side=1_000_000),
    "WEBP": Format(alpha=True, side=16383),
    "BMP": Format(signed=False),
}
"""Output formats, by Pillow's names."""

_KINDS = {
    "JPEG": (("jpg", "jpeg", "jpe", "jfif"), "JPEG", rb"\xff\xd8\xff"),
    "PNG": (("png",), "PNG", rb"\x89PNG\r\n\x1a\n"),
    "TIFF": (("tif", "tiff"), "TIFF", rb"II[*+]\0|MM\0[*+]"),
    "WEBP": (("webp",), "WEBP", rb"RIFF....WEBP"),
    "BMP": (("bmp",), "BMP", rb"BM"),
    "MPO": (("mpo",), "JPEG", rb"(?!)"),  # a JPEG followed by further pictures
    "AVIF": (("avif",), "JPEG", rb"....ftypavi[fs]"),
    "HEIF": (("heic", "heif", "hif"), "JPEG", rb"....ftyp(?:he[iv][cxms]|m[is]f1)"),
    "JPEG2000": (("jp2", "j2k", "jpx", "jpf", "j2c"), "TIFF", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    "JXL": (("jxl",), "PNG", rb"\xff\x0a|\0\0\0\x0cJXL "),
    "GIF": (("gif",), "PNG", rb"GIF8[79]a"),
    "PPM": (("pgm", "ppm", "pnm", "pbm"), "PNG", rb"P[1-6]\s"),
}
"""For each kind: suffixes, output format, and pattern of the first bytes."""
_START = re.compile(b"|".join(b"(%s)" % start for *_, start in _KINDS.values()), re.DOTALL)

IN_SHARDS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "BMP")
"""Kinds that are read from shards."""
SUFFIXES = {kind: suffixes for kind, (suffixes, *_) in _KINDS.items()}
"""Suffixes of each kind, without dots."""
INSTEAD = {kind: format for kind, (_, format, _) in _KINDS.items()}
"""Default output format for each kind."""
READ = {f".{suffix}": format for suffixes, format, _ in _KINDS.values() for suffix in suffixes}
"""Suffixes of supported photos, and their default output formats."""
WRITTEN = {f".{suffix}": kind for kind in FORMATS for suffix in _KINDS[kind][0]}
"""Suffixes of results and their formats; the first one of each format is the default."""

_RAW_SUFFIXES = "dng cr2 cr3 crw nef nrw arw srf sr2 raf orf rw2 pef srw x3f 3fr iiq raw"
RAW = frozenset(_RAW_SUFFIXES.split())
"""Suffixes of camera raw files."""
_NAMED = {
    "camera raw: develop it (darktable, RawTherapee) and save it as TIFF or JPEG": _RAW_SUFFIXES,
    "a document: extract its pictures (`pdfimages -all FILE page`)": "pdf djvu djv",
    "a video: extract its frames (`ffmpeg -i FILE frame-%05d.png`)": "mp4 mov m4v avi mkv webm mpg"
    " mts",
    "an image editor's project: export it as TIFF or PNG": "psd psb xcf kra afphoto",
}
UNREAD = {f".{suffix}": what for what, suffixes in _NAMED.items() for suffix in suffixes.split()}
"""Suffixes of known unsupported files: what they are, and what to do."""

# Raw photos that start like TIFFs, and files that aren't photos.
_RAW = rb"FUJIFILMCCD-RAW|....ftypcrx|IIRO|IIU\0|II\x1a\0|II\*\0....CR"
_OTHERS = {".pdf": rb"%PDF", ".psd": rb"8BPS"}
_OTHERS[".mp4"] = rb"....(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI "
_STARTS = {".raw": _RAW, **{kind: start for kind, (_, _, start) in _KINDS.items()}, **_OTHERS}


def kind_by_content(head: bytes) -> str | None:
    """Return which kind that is read a file's first 32 bytes are of; None: another."""
    found = _START.match(head)
    return list(_KINDS)[(found.lastindex or 1) - 1] if found else None


def kind_of(head: bytes, suffix: str = "") -> str:
    """Return the kind of a file by its first 32 bytes; the suffix distinguishes raw from TIFF.

    Raises:
        IrodoriError: the kind isn't supported; the message says what to do.
    """
    starts = _STARTS.items()
    kind = next((name for name, start in starts if re.match(start, head, re.DOTALL)), suffix)
    if kind == "TIFF" and suffix in UNREAD:
        kind = suffix
    if kind in _KINDS:
        return kind
    known = ", ".join(sorted(name[1:] for name in READ))
    raise IrodoriError(UNREAD.get(kind, f"not a photo of a known kind ({known})"))
