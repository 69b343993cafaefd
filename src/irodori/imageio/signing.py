"""C2PA: signed records of a result's origin and processing. Needs the extra `c2pa`."""

import io
import json
from pathlib import Path

import c2pa
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509 import load_pem_x509_certificates
from PIL import Image

from irodori import __version__
from irodori.imageio.photo import IPTC_SOURCE_TYPES, Provenance
from irodori.utils.errors import IrodoriError, one_line

_AGENT = {"name": "irodori", "version": __version__}
_MEDIA_TYPES = {"MPO": "image/jpeg", "JPEG2000": "image/jp2", "PPM": "image/x-portable-anymap"}
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},  # it may be larger than the result
    "verify": {"remote_manifest_fetch": False},  # contacts no other host
}


class Signer:
    """Signs results with the certificates and the key of a PEM file.

    Raises:
        IrodoriError: the file's certificates or key are unsuitable for C2PA.
        OSError: the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        content, picture = path.read_bytes(), io.BytesIO()
        Image.new("L", (8, 8)).save(picture, "PNG")
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        try:
            key = serialization.load_pem_private_key(content, None)
            chain = b"".join(one.public_bytes(pem) for one in load_pem_x509_certificates(content))
            algorithm = "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "ps256"
            if isinstance(key, ec.EllipticCurvePrivateKey):
                algorithm = {384: "es384", 521: "es512"}.get(key.key_size, "es256")
            private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
            self._keys = algorithm, chain, private
            self.sign(picture.getvalue(), "PNG", Provenance("", "", {}), "PNG", picture.getvalue())
        except (ValueError, TypeError, UnsupportedAlgorithm, IrodoriError) as error:
            needed = "give a PEM file with a certificate for C2PA and its unencrypted key"
            raise IrodoriError(f"--c2pa {path}: {needed} ({one_line(error)})") from None

    def sign(
        self, source: bytes, kind: str, provenance: Provenance, form: str, content: bytes
    ) -> bytes:
        """Return a result with its signed record, which includes the photo's own record.

        source, kind: content and format of the photo's file. form, content: format and content of
        the result's file.

        Raises:
            IrodoriError: the result can't be signed.
        """
        edited = {
            "action": "c2pa.edited",
            "softwareAgent": _AGENT,
            "digitalSourceType": IPTC_SOURCE_TYPES + provenance.source_type,
            "description": provenance.description,
        }
        actions = {"label": "c2pa.actions.v2", "data": {"actions": [edited]}}
        manifest = {"claim_generator_info": [_AGENT], "assertions": [actions]}
        signed = io.BytesIO()
        try:
            with (
                c2pa.Context.from_dict(_SETTINGS) as context,
                c2pa.Signer.from_info(c2pa.C2paSignerInfo(*self._keys, None)) as signer,
                c2pa.Builder(json.dumps(manifest), context) as builder,
            ):
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)  # puts c2pa.opened first
                media_type = _MEDIA_TYPES.get(kind, f"image/{kind.lower()}")
                parent = json.dumps({"relationship": "parentOf"})
                builder.add_ingredient_from_stream(parent, media_type, io.BytesIO(source))
                builder.sign(signer, f"image/{form.lower()}", io.BytesIO(content), signed)
        except c2pa.C2paError as error:
            raise IrodoriError(f"can't be signed: {one_line(error)}") from None
        return signed.getvalue()
