"""The facility's own certificate authority: keys and certificates as PEM text."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825


def rsa_key() -> str:
    """A new RSA key of 2048 bits, PKCS#8."""
    return _pem(_new_key())


def authority(common_name: str) -> tuple[str, str]:
    """A new certificate authority: its certificate and its key."""
    key = _new_key()
    name = _name(common_name)
    builder = _builder(name, name, key, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _text(builder.sign(key, hashes.SHA256())), _pem(key)


def certificate(ca_certificate: str, ca_key: str, common_name: str, names: Sequence[str]) -> tuple[str, str]:
    """A new host certificate signed by an authority, and its key.

    Parameters
    ----------
    ca_certificate, ca_key:
        The authority.
    common_name:
        The subject's common name.
    names:
        DNS names and addresses that the certificate is for (subjectAltName, RFC 5280 section 4.2.1.6).
    """
    issuer = x509.load_pem_x509_certificate(ca_certificate.encode())
    signer = serialization.load_pem_private_key(ca_key.encode(), None)
    if not isinstance(signer, rsa.RSAPrivateKey):
        raise TypeError("the authority's key is not an RSA key")
    key = _new_key()
    builder = _builder(_name(common_name), issuer.subject, key, CERTIFICATE_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    return _text(builder.sign(signer, hashes.SHA256())), _pem(key)


def subject_hash(certificate_text: str) -> str:
    """The name by which OpenSSL looks for an authority in a folder of certificates (X509_NAME_hash), without its number.

    Parameters
    ----------
    certificate_text:
        The authority's certificate as PEM.
    """
    subject = x509.load_pem_x509_certificate(certificate_text.encode()).subject
    canonical = b"".join(_der(0x31, b"".join(sorted(map(_canonical, part)))) for part in subject.rdns)
    return f"{int.from_bytes(hashlib.sha1(canonical, usedforsecurity=False).digest()[:4], 'little'):08x}"


def _canonical(attribute: x509.NameAttribute[str] | x509.NameAttribute[str | bytes]) -> bytes:
    """An attribute as OpenSSL compares names: UTF-8, ASCII in lower case, blanks run together."""
    oid = bytearray()
    first, second, *rest = (int(number) for number in attribute.oid.dotted_string.split("."))
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        oid += bytes(reversed(digits))
    text = b" ".join(str(attribute.value).encode().split()).lower()  # of bytes: ASCII alone is lowered
    return _der(0x30, _der(0x06, bytes(oid)) + _der(0x0C, text))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cantiere"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + days * DAY)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        key_encipherment=not authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _text(signed: x509.Certificate) -> str:
    return signed.public_bytes(serialization.Encoding.PEM).decode()
