"""XMP packets: keep properties, remove invalid ones, and add how the result was made.

A packet is edited as XML, so that prefixes and unknown properties stay unchanged.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from irodori.imageio.photo import IPTC_SOURCE_TYPES, SOFTWARE, Provenance

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
_PREFIXES = {uri: prefix for prefix, uri in _NAMESPACES.items()}
_DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {_DECLARED}/></x:xmpmeta>'
_START = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'

# Whitespace that XML attributes keep only as references, and the code points that replace it until
# the packet is serialized.
_MARKED = {ord(blank): 0xFDD0 + ord(blank) for blank in "\t\n\r"}
_REFERENCES = {mark: f"&#{blank};" for blank, mark in _MARKED.items()}

# Gain maps, motion photos and depth maps, which follow the picture and aren't copied, and the
# reference to extended XMP, which isn't either.
_GONE = {
    "http://ns.adobe.com/xmp/note/",
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    *(f"http://ns.google.com/photos/1.0/{what}/" for what in ("camera", "container", "depthmap")),
}
_SOURCE_TYPE, _HISTORY = "Iptc4xmpExt:DigitalSourceType", "xmpMM:History"
_STALE = (
    *(_SOURCE_TYPE, "xmpMM:InstanceID", "xmp:Thumbnails", "crs:ConvertToGrayscale"),
    *("tiff:BitsPerSample", "tiff:PhotometricInterpretation", "tiff:SamplesPerPixel"),
)
_DOCUMENT, _ORIGINAL = "xmpMM:DocumentID", "xmpMM:OriginalDocumentID"
# All others are plain text.
_FORMS = {"dc:title": "Alt", "dc:description": "Alt", "dc:rights": "Alt", "exif:UserComment": "Alt"}
_FORMS |= {"dc:creator": "Seq", "dc:subject": "Bag"}


class Packet:
    """An editable packet; None creates an empty one.

    Raises:
        ValueError: the packet is damaged.
    """

    def __init__(self, content: bytes | None) -> None:
        try:
            if content and re.search(rb"<!(DOCTYPE|ENTITY)", content):
                raise ValueError("an XMP packet declares nothing")
            document = minidom.parseString((content or _EMPTY.encode()).strip(b"\0 \r\n"))
            self.root: Any = document.documentElement
            self.rdf: Any = document.getElementsByTagNameNS(_NAMESPACES["rdf"], "RDF")[0]
        except (ExpatError, LookupError, UnicodeError) as error:
            raise ValueError(str(error)) from None

    def get(self, name: str) -> str | None:
        """Return a plain text property; None if missing."""
        for _, node in self._nodes(name):
            text = node.value if node.nodeType == node.ATTRIBUTE_NODE else _text(node)
            return text.strip() or None
        return None

    def put(self, name: str, *values: str) -> None:
        """Set a property in the form that XMP specifies for it."""
        self.remove(name)
        self.add(_property(name, *values))

    def remove(self, *names: str) -> None:
        """Remove properties."""
        for owner, node in list(self._nodes(*names)):
            if node.nodeType == node.ATTRIBUTE_NODE:
                owner.removeAttributeNode(node)
            else:
                owner.removeChild(node)

    def add(self, properties: str) -> None:
        """Add properties given as RDF/XML."""
        added = self._parsed("rdf:Description", properties)
        about = next((node.getAttribute("rdf:about") for node in self._descriptions()), "")
        added.setAttribute("rdf:about", about)
        self.rdf.appendChild(added)

    def append_event(self, event: str) -> None:
        """Add an event to the history."""
        for _, node in self._nodes(_HISTORY):
            for events in node.getElementsByTagNameNS(_NAMESPACES["rdf"], "Seq"):
                events.appendChild(self._parsed("rdf:li", event, ' rdf:parseType="Resource"'))
                return
        self.remove(_HISTORY)
        item = f'<rdf:li rdf:parseType="Resource">{event}</rdf:li>'
        self.add(f"<{_HISTORY}><rdf:Seq>{item}</rdf:Seq></{_HISTORY}>")

    def to_bytes(self) -> bytes:
        """Return the serialized packet."""
        # Before Python 3.13, minidom writes line breaks as they are, and readers replace them by
        # spaces.
        for element in (self.root, *self.root.getElementsByTagName("*")):
            for attribute in element.attributes.values():
                attribute.value = attribute.value.translate(_MARKED)
        text = self.root.toxml().translate(_REFERENCES)
        return f'{_START}{text}<?xpacket end="w"?>'.encode()

    @staticmethod
    def _parsed(name: str, inside: str, attributes: str = "") -> Any:
        xml = f"<{name} {_DECLARED}{attributes}>{inside}</{name}>"
        return minidom.parseString(xml.encode()).documentElement

    def _descriptions(self) -> list[Any]:
        nodes = (node for node in self.rdf.childNodes if node.nodeType == node.ELEMENT_NODE)
        return [node for node in nodes if node.localName == "Description"]

    def _nodes(self, *names: str) -> Iterator[tuple[Any, Any]]:
        """Yield the properties with these names or namespaces, each with its element."""
        for owner in self._descriptions():
            for node in [*owner.attributes.values(), *owner.childNodes]:
                name = f"{_PREFIXES.get(node.namespaceURI)}:{node.localName}"
                if name in names or node.namespaceURI in names:
                    yield owner, node


def orientation(content: bytes | None) -> int:
    """Return the orientation in a packet, 1 to 8; 0 if missing."""
    found = (Packet(content).get("tiff:Orientation") or "") if content else ""
    return int(found) if found in "12345678" and len(found) == 1 else 0


def for_result(
    content: bytes | None,
    size: tuple[int, int],
    texts: Mapping[str, Sequence[str]],
    provenance: Provenance | None,
    identity: tuple[str, str],
) -> bytes | None:
    """Return the packet of a result; None if it would be empty.

    Args:
        content: the photo's packet, undamaged.
        size: width and height in pixels.
        texts: texts by XMP name that have no other place in the result; added if missing.
        provenance: how the result was made.
        identity: UUIDs of the result and of the photo.
    """
    if content is None and not texts and provenance is None:
        return None
    packet = Packet(content)
    width, height = str(size[0]), str(size[1])
    for name, value in {
        "tiff:Orientation": "1",
        "tiff:ImageWidth": width,
        "tiff:ImageLength": height,
        "exif:PixelXDimension": width,
        "exif:PixelYDimension": height,
        "exif:ColorSpace": "1",
        "photoshop:ColorMode": "3",
        "photoshop:ICCProfile": "sRGB IEC61966-2.1",
    }.items():
        if packet.get(name):
            packet.put(name, value)
    source_id = packet.get("xmpMM:InstanceID") or f"xmp.iid:{identity[1]}"
    source_type = packet.get(_SOURCE_TYPE)
    packet.remove(*_STALE, *_GONE)
    for name, values in texts.items():
        if not any(packet._nodes(name)):
            packet.put(name, *values)
    if provenance is None:
        return packet.to_bytes()

    result_id, document_id = f"xmp.iid:{identity[0]}", packet.get(_DOCUMENT)
    original_id = packet.get(_ORIGINAL) or document_id
    if source_type:
        said = f"{_SOURCE_TYPE} {source_type}"
        packet.append_event(_event(action="created", instanceID=source_id, parameters=said))
    made = provenance.description
    packet.append_event(
        _event(action="edited", instanceID=result_id, softwareAgent=SOFTWARE, parameters=made)
    )
    packet.put("xmp:CreatorTool", SOFTWARE)
    packet.put(_SOURCE_TYPE, IPTC_SOURCE_TYPES + provenance.source_type)
    packet.put("xmpMM:InstanceID", result_id)
    packet.put(_DOCUMENT, f"xmp.did:{identity[0]}")
    reference = _property("stRef:instanceID", source_id)
    if document_id and original_id:
        packet.put(_ORIGINAL, original_id)
        reference += _property("stRef:documentID", document_id)
        reference += _property("stRef:originalDocumentID", original_id)
    packet.remove("xmpMM:DerivedFrom")
    packet.add(f'<xmpMM:DerivedFrom rdf:parseType="Resource">{reference}</xmpMM:DerivedFrom>')
    return packet.to_bytes()


def _event(**said: str) -> str:
    return "".join(_property(f"stEvt:{name}", value) for name, value in said.items())


def _property(name: str, *values: str) -> str:
    """Return a property as RDF/XML."""
    form = _FORMS.get(name)
    # XML doesn't allow other control characters.
    texts = [escape(re.sub(r"[\0-\x08\v\f\x0e-\x1f\ud800-\udfff]", "", v), False) for v in values]
    if form in (None, "Alt"):
        texts = ["\n".join(texts)]
    language = ' xml:lang="x-default"' if form == "Alt" else ""
    items = "".join(f"<rdf:li{language}>{text}</rdf:li>" for text in texts)
    return f"<{name}>{f'<rdf:{form}>{items}</rdf:{form}>' if form else texts[0]}</{name}>"


def _text(node: Any) -> str:
    inside = "".join(n.data for n in node.childNodes if n.nodeType == n.TEXT_NODE)
    return inside or str(node.getAttributeNS(_NAMESPACES["rdf"], "resource"))
