"""Captions, dates and how a result was made, whatever the format."""

import io
import json
import shutil
import subprocess

import odd_files as made
import photo_files
import pytest

from irodori.imageio import Encoding, Metadata, Photo, Provenance, read_photo, write_photo
from irodori.imageio.xmp import Packet

MODEL = Provenance("starter", "ab12" * 16, {"work_size": 256, "saturation": 1.2})
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def written(photo, form=None, provenance=MODEL):
    return photo_files.written(photo, form, provenance)


def packet_of(content):
    return Packet(read_photo(content).metadata.xmp)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_result_says_how_it_was_made_and_nothing_false(form):
    content = written(read_photo(made.captioned_jpeg()), form)
    packet = packet_of(content)
    xml = packet.to_bytes().decode()
    assert packet.get("Iptc4xmpExt:DigitalSourceType") == (
        TERM + "compositeWithTrainedAlgorithmicMedia"
    )
    assert packet.get("xmp:CreatorTool").startswith("irodori")
    assert packet.get("xmpMM:InstanceID") != "xmp.iid:5678"
    assert packet.get("xmpMM:OriginalDocumentID") == "xmp.did:1234"
    assert packet.get("photoshop:ColorMode") == "3"
    for said in ("starter", "ab12ab12", "work_size=256", "saturation=1.2", made.SOURCE_TYPE):
        assert said in xml[xml.index("<xmpMM:History") : xml.index("</xmpMM:History")]
    derived = xml[xml.index("<xmpMM:DerivedFrom") : xml.index("</xmpMM:DerivedFrom")]
    assert "xmp.iid:5678" in derived
    assert "xmp.did:1234" in derived
    for gone in ("MotionPhoto", "hdrgm:Version"):
        assert gone not in xml
    assert b"irodori" in read_photo(content).metadata.exif  # EXIF's Software
    assert content == written(read_photo(made.captioned_jpeg()), form)


def test_the_history_of_a_result_that_is_colorized_again_grows():
    once = written(read_photo(made.captioned_jpeg()), "PNG")
    twice = written(read_photo(once), "JPEG")
    xml = packet_of(twice).to_bytes().decode()
    history = xml[xml.index("<xmpMM:History") : xml.index("</xmpMM:History")]
    assert history.count("colorized by starter") == 2
    assert xml.count("<xmpMM:History") == 1


def test_without_provenance_nothing_is_said_but_stale_claims_go():
    plain = read_photo(written(read_photo(made.titled_png()), "PNG", None)).metadata
    assert plain.xmp is None
    assert plain.exif is None
    packet = packet_of(written(read_photo(made.captioned_jpeg()), "PNG", None))
    assert packet.get("Iptc4xmpExt:DigitalSourceType") is None
    assert packet.get("xmpMM:InstanceID") is None
    assert packet.get("xmpMM:DocumentID") == "xmp.did:1234"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("make", [made.captioned_jpeg, made.captioned_tiff])
def test_iptc_is_kept(make, form):
    metadata = read_photo(written(read_photo(make()), form)).metadata
    if form == "WEBP":  # it has no place of its own
        xml = metadata.xmp.decode()
        for text in ("Family portrait, Rīga 1932", "<rdf:li>family", "© Town", ">1932-05-01<"):
            assert text in xml
    else:
        assert metadata.iptc == made.iptc_records()


def test_iptc_without_a_property_is_named():
    fields = {0: "\0\4", 22: "scan 7", 92: "Rīga, harbor", 122: "A. Clerk"}
    iptc = b"".join(made.iptc_record(2, dataset, text) for dataset, text in fields.items())
    photo = Photo(photo_files.picture(), None, Metadata(iptc=iptc), "PNG")
    file = io.BytesIO()
    notes = write_photo(file, photo.pixels, photo, Encoding("WEBP"))
    packet = packet_of(file.getvalue())
    assert packet.get("Iptc4xmpCore:Location") == "Rīga, harbor"
    assert packet.get("photoshop:CaptionWriter") == "A. Clerk"
    assert notes == ("IPTC left out: 2:22",)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_texts_of_a_png_are_kept(form):
    photo = read_photo(made.titled_png())
    metadata = read_photo(written(photo, form)).metadata
    if form == "PNG":
        assert metadata.texts == photo.metadata.texts
        assert len(metadata.texts) == 4
    else:
        for text in photo.metadata.texts.values():
            assert text in metadata.xmp.decode()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_comments_are_kept(form):
    metadata = read_photo(written(read_photo(made.captioned_jpeg()), form)).metadata
    comment = "Scanned in 1998, box 12"
    assert metadata.texts.get("Comment") == comment or comment in metadata.xmp.decode()


@pytest.mark.parametrize("kind", ["xmp", "iptc", "8bim", "app1"])
def test_imagemagicks_profiles(kind):
    iptc = made.iptc_records()
    resource = b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc
    app1 = b"http://ns.adobe.com/xap/1.0/\0" + made.CLAIMS
    raw = {"xmp": made.CLAIMS, "iptc": resource, "8bim": resource, "app1": app1}[kind]
    metadata = read_photo(made.imagemagick_png(kind, raw)).metadata
    assert (metadata.xmp, metadata.iptc) in ((made.CLAIMS, None), (None, iptc))
    assert metadata.texts == {}


@pytest.mark.parametrize("name", ["photo.xmp", "photo.png.xmp", "photo.XMP"])
def test_a_sidecar_stands_for_the_photos_own_packet(name, tmp_path):
    path, sidecar = tmp_path / "photo.png", tmp_path / name
    path.write_bytes(written(read_photo(made.titled_png())))
    own = read_photo(path)
    sidecar.write_bytes(made.CLAIMS)
    assert read_photo(path).metadata.xmp == made.CLAIMS
    sidecar.write_bytes(b"no packet")
    photo = read_photo(path)
    assert photo.metadata == own.metadata
    assert [name in note for note in photo.notes] == [True]


def test_other_terms_and_a_label():
    photo = read_photo(made.captioned_jpeg())
    other = Provenance("m", "0", {}, source_type="compositeSynthetic", label=True)
    content = written(photo, "PNG", other)
    assert packet_of(content).get("Iptc4xmpExt:DigitalSourceType") == TERM + "compositeSynthetic"
    changed = (read_photo(content).pixels[..., 0] != photo.pixels[..., 0]).nonzero()
    assert 0 < len(changed[0]) < 0.3 * photo.pixels.size
    assert min(changed[0]) > 24  # at the bottom


def test_a_packet_that_jpeg_cannot_hold_gives_way_to_provenance():
    long = made.CLAIMS.replace(b"xmp.did:1234", b"x" * 70_000)
    photo = read_photo(made.imagemagick_png("xmp", long))
    assert packet_of(written(photo, "JPEG")).get("xmp:CreatorTool").startswith("irodori")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool isn't installed")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exiftool_lists_caption_date_and_provenance(form, tmp_path):
    path = tmp_path / "result"
    path.write_bytes(written(read_photo(made.captioned_jpeg()), form))
    command = ["exiftool", "-json", "-a", str(path)]
    (listed,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    values = " | ".join(map(str, listed.values()))
    for text in ("Family portrait, Rīga 1932", "irodori", "starter", "box 12", "negativeFilm"):
        assert text in values
    assert "1932:05:01" in values
    assert "compositeWithTrainedAlgorithmicMedia" in values
    assert "Warning" not in listed
    assert "Error" not in listed
