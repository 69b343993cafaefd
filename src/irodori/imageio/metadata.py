"""Metadata other than EXIF and XMP: IPTC-IIM, PNG texts, comments."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from irodori.imageio import exif, xmp
from irodori.imageio.photo import Metadata
from irodori.utils.errors import one_line

IPTC_RESOURCE = b"8BIM\x04\x04"  # IPTC records in Photoshop's image resources
_MAX_XMP = 1 << 22

# XMP names of IPTC datasets (record 2) and of PNG keywords.
_IPTC = {5: "dc:title", 25: "dc:subject", 55: "photoshop:DateCreated", 80: "dc:creator"}
_IPTC |= {90: "photoshop:City", 95: "photoshop:State", 101: "photoshop:Country"}
_IPTC |= {105: "photoshop:Headline", 110: "photoshop:Credit", 115: "photoshop:Source"}
_IPTC |= {116: "dc:rights", 120: "dc:description", 40: "photoshop:Instructions"}
_IPTC |= {85: "photoshop:AuthorsPosition", 92: "Iptc4xmpCore:Location"}
_IPTC |= {100: "Iptc4xmpCore:CountryCode", 103: "photoshop:TransmissionReference"}
_IPTC |= {122: "photoshop:CaptionWriter"}
_TEXTS = {"Title": "dc:title", "Author": "dc:creator", "Description": "dc:description"}
_TEXTS |= {"Copyright": "dc:rights", "Comment": "exif:UserComment"}
_NO_TEXTS: Mapping[Any, Any] = {}


def from_pillow(info: Mapping[Any, Any], chunks: Mapping[Any, Any] = _NO_TEXTS) -> Metadata:
    """Return the metadata in the `info` of a Pillow image.

    Args:
        info: without a PNG's texts, whose keywords may equal Pillow's own keys.
        chunks: `info` of a PNG's text chunks alone.
    """
    texts, raw = {}, {}
    for key, value in chunks.items():
        if isinstance(value, bytes):
            raw[key] = value  # XMP or EXIF
        elif isinstance(key, str) and isinstance(value, str):
            if key.startswith("Raw profile type "):
                raw[key.removeprefix("Raw profile type ").lower()] = _from_hex(value)
            elif key != "XML:com.adobe.xmp":
                texts[key] = str(value)
    block = info.get("exif") or raw.get("exif") or raw.get("app1")
    while block and block.startswith(b"Exif\0\0"):
        block = block[6:]
    packet = info.get("xmp") or raw.get("xmp")
    if raw.get("app1", b"").startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        block, packet = raw.get("exif"), packet or raw["app1"].partition(b"\0")[2]
    resources = info.get("photoshop") or {}
    iptc = resources.get(0x0404) or iptc_of(raw.get("iptc") or raw.get("8bim"))
    comment = info.get("comment")
    if comment:
        texts["Comment"] = _decoded(comment) if isinstance(comment, bytes) else str(comment)
    dpi = info.get("dpi") or (0, 0)
    sound = 0 < min(dpi) <= max(dpi) < exif.MAX_DPI
    dpi = (float(dpi[0]), float(dpi[1])) if sound else None
    directory = exif.parse(block)
    return Metadata(
        block or None,
        packet.encode() if isinstance(packet, str) else packet or None,
        iptc or None,
        texts,
        (directory.dpi if directory else None) or dpi,
    )


def iptc_resource(iptc: bytes) -> bytes:
    """Return IPTC records as a Photoshop image resource, padded to an even length."""
    size = len(iptc).to_bytes(4, "big")
    return IPTC_RESOURCE + b"\0\0" + size + iptc + bytes(len(iptc) % 2)


def iptc_of(resources: bytes | None) -> bytes | None:
    """Return the IPTC records in Photoshop's image resources, or bare IPTC records."""
    if not resources or resources.startswith(b"\x1c"):
        return resources
    start = resources.find(IPTC_RESOURCE)
    if start < 0:
        return None
    start += 6 + (resources[start + 6] + 2) // 2 * 2  # after the name, padded to an even length
    size = int.from_bytes(resources[start : start + 4], "big")
    return resources[start + 4 : start + 4 + size]


def checked(metadata: Metadata, notes: list[str]) -> tuple[Metadata, int]:
    """Return the metadata without damaged parts, and the picture's orientation (1 to 8).

    notes: receives a note for each removed part.
    """
    directory, turned = exif.parse(metadata.exif), 0
    if metadata.exif and directory is None:
        notes.append("damaged EXIF left out")
        metadata = replace(metadata, exif=None)
    try:
        if len(metadata.xmp or b"") > _MAX_XMP:
            raise ValueError("too large")
        turned = xmp.orientation(metadata.xmp)
        if b"HasExtendedXMP" in (metadata.xmp or b""):
            notes.append("extended XMP (depth, long histories) left out")
    except ValueError:
        notes.append("damaged XMP left out")
        metadata = replace(metadata, xmp=None)
    turned = (directory.orientation if directory else 0) or turned or 1
    if metadata.dpi is not None and turned >= 5:
        metadata = replace(metadata, dpi=metadata.dpi[::-1])
    return metadata, turned


def with_sidecar(metadata: Metadata, photo: Path, notes: list[str]) -> Metadata:
    """Return the metadata with the XMP of a sidecar file (`a.jpg.xmp` or `a.xmp`), if any.

    The suffix may also be in capitals.
    """
    names = (photo.name + ".xmp", photo.stem + ".xmp", photo.name + ".XMP", photo.stem + ".XMP")
    for path in map(photo.with_name, names):
        if os.path.isfile(path):  # noqa: PTH113  (Path's own raises for long names)
            try:
                packet = path.read_bytes()
                xmp.Packet(packet)
                return replace(metadata, xmp=packet)
            except (ValueError, OSError) as error:
                notes.append(f"{path.name} left out: {one_line(error)}")
    return metadata


def as_xmp(texts: Mapping[str, str], iptc: bytes | None, notes: list[str]) -> dict[str, list[str]]:
    """Return texts and IPTC records as XMP properties, for formats that can't store them.

    notes: receives a note for records without a property.
    """
    found: dict[str, list[str]] = {}
    others = set()
    for dataset, text in _records(iptc or b""):
        if dataset in _IPTC:
            found.setdefault(_IPTC[dataset], []).append(text)
        elif dataset != 0:  # the version
            others.add(dataset)
    if others:
        notes.append("IPTC left out: " + ", ".join(f"2:{number:02}" for number in sorted(others)))
    date = "".join(found.get("photoshop:DateCreated", []))[:8]
    if re.fullmatch(r"\d{8}", date):
        found["photoshop:DateCreated"] = [f"{date[:4]}-{date[4:6]}-{date[6:]}"]
    for key, text in texts.items():
        if key in _TEXTS:
            found.setdefault(_TEXTS[key], [text])
    lines = [f"{key}: {text}" for key, text in texts.items() if key not in _TEXTS]
    if lines:
        found["exif:UserComment"] = ["\n".join([*found.get("exif:UserComment", []), *lines])]
    return found


def _records(iptc: bytes) -> Iterator[tuple[int, str]]:
    place = 0
    while iptc[place : place + 1] == b"\x1c" and place + 5 <= len(iptc):
        size = int.from_bytes(iptc[place + 3 : place + 5], "big")
        if iptc[place + 1] == 2:
            yield iptc[place + 2], _decoded(iptc[place + 5 : place + 5 + size])
        place += 5 + size


def _decoded(text: bytes) -> str:
    try:
        return text.decode().rstrip("\0")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _from_hex(text: str) -> bytes:
    """Decode ImageMagick's raw profiles: a name, a length, and hexadecimal lines."""
    try:
        return bytes.fromhex("".join(text.split()[2:]))
    except ValueError:
        return b""
