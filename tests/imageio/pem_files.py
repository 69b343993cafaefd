"""Certificates and keys made for tests, as C2PA asks for them."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PKCS8, TRADITIONAL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL


def certified(key, days=30, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION):
    """PEM of a certificate for a key, and of the authority's that signed it."""
    authority = ec.generate_private_key(ec.SECP256R1())
    return _certificate("Archive", key, authority, days, usage) + _certificate(
        "Authority", authority, authority, days
    )


def private(key, form=PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def _certificate(name, key, authority, days, usage=None):
    def named(name):
        pairs = (NameOID.ORGANIZATION_NAME, name), (NameOID.COMMON_NAME, name)
        return x509.Name([x509.NameAttribute(*pair) for pair in pairs])

    now, of_authority = datetime.now(UTC), usage is None
    uses = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    uses |= {"encipher_only": False, "decipher_only": False, "digital_signature": not of_authority}
    uses |= dict.fromkeys(("key_cert_sign", "crl_sign"), of_authority)
    public, issuer = key.public_key(), authority.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("Authority"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(min(days, 0) - 1))
        .not_valid_after(now + timedelta(days))
        .add_extension(x509.BasicConstraints(of_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return builder.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)
