"""Results signed by C2PA, as its own library reads them."""

import io
import sys
from functools import partial
from pathlib import Path

import numpy as np
import odd_files as made
import pytest
from photo_files import picture, saved
from PIL import Image
from typer.testing import CliRunner

from irodori import __version__
from irodori.cli.app import app
from irodori.imageio import Encoding, Provenance, read_photo, write_photo
from irodori.utils.errors import IrodoriError

c2pa = pytest.importorskip("c2pa", reason="signing needs `pip install 'irodori[c2pa]'`")

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: E402
from pem_files import PKCS8, TRADITIONAL, certified, private  # noqa: E402

from irodori.imageio.signing import Signer  # noqa: E402

MODEL = Provenance("starter", "ab12" * 16, {"work_size": 256})
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
P256 = ec.generate_private_key(ec.SECP256R1())
K1 = ec.generate_private_key(ec.SECP256K1())
"""Of a curve that C2PA doesn't take."""


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "archive.pem"
    path.write_bytes(certified(P256) + private(P256))
    return path


def signed(content, form, signer, target=None):
    """The file of a photo, written and signed."""
    photo, file = read_photo(content), target or io.BytesIO()
    pixels = np.broadcast_to(photo.pixels, (*photo.pixels.shape[:2], 3))
    sign = signer and partial(signer.sign, content, photo.format, MODEL)
    notes = write_photo(file, pixels, photo, Encoding(form), MODEL, sign)
    return notes, target.read_bytes() if target else file.getvalue()


def record(content, form):
    """What C2PA's library reads from a file: the state, and the manifest of the result."""
    with c2pa.Reader(f"image/{form.lower()}", io.BytesIO(content)) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


def check(content, form):
    """Check that a signature holds and what it says; returns what the result was made from."""
    state, manifest = record(content, form)
    assert state == "Valid"
    assert manifest["signature_info"]["issuer"] == "Archive"
    assert manifest["claim_generator_info"][0]["name"] == "irodori"
    (actions,) = (a["data"]["actions"] for a in manifest["assertions"] if "actions" in a["label"])
    opened, edited = actions
    assert opened["action"] == "c2pa.opened"
    assert edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"] == TERM
    assert edited["softwareAgent"] == {"name": "irodori", "version": __version__}
    assert "colorized by starter (SHA-256 ab12" in edited["description"]
    (source,) = manifest["ingredients"]
    assert source["relationship"] == "parentOf"
    return source


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("to_file", [True, False])
def test_a_signed_result_is_the_same_photo(form, to_file, pem, tmp_path):
    content = made.captioned_jpeg()
    target = tmp_path / "new" / "result" if to_file else None
    notes, file = signed(content, form, Signer(pem), target)
    assert notes == ()
    assert check(file, form)["format"] == "image/jpeg"
    result, unsigned = read_photo(file), read_photo(signed(content, form, None)[1])
    assert np.array_equal(result.pixels, unsigned.pixels)
    assert result.metadata == unsigned.metadata
    assert len(file) < len(signed(content, form, None)[1]) + 20_000  # no thumbnail


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_from_a_format_without_records(form, pem):
    content = saved(picture(dtype=np.uint16, channels=1), "JPEG2000")
    file = signed(content, form, Signer(pem))[1]
    assert check(file, form)["format"] == "image/jp2"
    assert np.array_equal(read_photo(file).pixels[..., :1], read_photo(content).pixels)


def test_a_format_without_signatures_is_named(pem):
    notes, file = signed(made.captioned_jpeg(), "BMP", Signer(pem))
    assert ["not signed" in note for note in notes].count(True) == 1
    assert read_photo(file).pixels.size


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_signature_goes_where_the_result_has_none(form, pem):
    file = signed(made.captioned_jpeg(), form, Signer(pem))[1]
    assert b"c2pa" in file
    assert b"c2pa" not in signed(file, form, None)[1]


def test_the_record_of_the_photo_is_kept(pem):
    first = signed(made.captioned_jpeg(), "JPEG", Signer(pem))[1]
    second = signed(first, "PNG", Signer(pem))[1]
    source = check(second, "PNG")
    assert source["active_manifest"] == record(first, "JPEG")[1]["label"]


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (P256, TRADITIONAL),
        (ec.generate_private_key(ec.SECP384R1()), PKCS8),
        (ec.generate_private_key(ec.SECP521R1()), PKCS8),
        (ed25519.Ed25519PrivateKey.generate(), PKCS8),
        (rsa.generate_private_key(65537, 2048), TRADITIONAL),
    ],
)
def test_keys_of_every_kind_wherever_they_stand(key, form, tmp_path):
    path = tmp_path / "a.pem"
    path.write_bytes(private(key, form) + certified(key))
    check(signed(made.captioned_jpeg(), "JPEG", Signer(path))[1], "JPEG")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        certified(P256),
        private(P256),
        certified(P256) + private(ec.generate_private_key(ec.SECP256R1())),
        certified(P256) + private(P256, encryption=BestAvailableEncryption(b"secret")),
        certified(P256, days=-1) + private(P256),
        certified(P256, usage=ExtendedKeyUsageOID.SERVER_AUTH) + private(P256),
        certified(K1) + private(K1),
    ],
    ids=["empty", "no_key", "no_chain", "another_key", "encrypted", "expired", "of_a_server", "k1"],
)
def test_what_cannot_sign_is_refused_at_once(content, tmp_path):
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(IrodoriError, match=r"bad\.pem") as caught:
        Signer(path)
    assert "\n" not in str(caught.value)


def test_what_is_not_signed_is_not_written(tmp_path):
    def refuse(form, content):
        raise IrodoriError("can't be signed")

    photo = read_photo(made.captioned_jpeg())
    target = tmp_path / "result.jpg"
    target.write_bytes(b"before")
    for file in (target, stream := io.BytesIO()):
        with pytest.raises(IrodoriError, match="can't be signed"):
            write_photo(file, picture(48, 64), photo, Encoding(), MODEL, refuse)
    assert target.read_bytes() == b"before"
    assert stream.getvalue() == b""
    assert list(tmp_path.iterdir()) == [target]


def test_the_command_signs(pem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(picture()[..., 0]).save("a.png")
    Image.fromarray(picture()[..., 1]).save("b.bmp")
    command = ["colorize", "a.png", "b.bmp", "--output", "out", "--c2pa"]
    done = CliRunner().invoke(app, [*command, str(pem)])
    assert done.exit_code == 0, done.output
    state, manifest = record(Path("out/a.png").read_bytes(), "PNG")
    assert state == "Valid"
    assert manifest["ingredients"][0]["format"] == "image/png"
    assert "b.bmp: not signed" in done.stderr
    for words in (["missing.pem"], [str(pem), "--no-provenance"]):
        failed = CliRunner().invoke(app, [*command, *words, "--overwrite"])
        assert failed.exit_code == 1
        assert failed.stderr.count("\n") == 1
    monkeypatch.setitem(sys.modules, "c2pa", None)
    failed = CliRunner().invoke(app, [*command, str(pem), "--overwrite"])
    assert "irodori[c2pa]" in failed.stderr
