# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""X.509 certificates and PKCS #10 requests as plain data (see ``docs/evidence.md``, *certificate*).

Everything read here is hostile input: a certificate that cannot be decoded becomes ``{"error": ...}``, never an exception.
"""

from __future__ import annotations

import base64
import binascii
import functools
import traceback
import typing as t
import warnings

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time

CRYPTOGRAPHY_IMPORT_ERROR: str | None
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
except ImportError:
    CRYPTOGRAPHY_IMPORT_ERROR = traceback.format_exc()
else:
    CRYPTOGRAPHY_IMPORT_ERROR = None

Record = dict[str, t.Any]

_P = t.ParamSpec("_P")
_R = t.TypeVar("_R")


def quiet(function: t.Callable[_P, _R]) -> t.Callable[_P, _R]:
    """Keeps cryptography's warnings about certificates that break RFC 5280 off standard error: they are read as they are."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return wrapped


MAX_NAMES = 64
"""Subject alternative names kept of one certificate; more are counted in ``names_dropped``."""
MAX_OF_BUNDLE = 32
"""Certificates of a bundle that are encoded anew."""

_MAX_TEXT = 256
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_KEY_USAGES = (
    ("digital_signature", "digital signature"),
    ("content_commitment", "content commitment"),
    ("key_encipherment", "key encipherment"),
    ("data_encipherment", "data encipherment"),
    ("key_agreement", "key agreement"),
    ("key_cert_sign", "cert sign"),
    ("crl_sign", "crl sign"),
)


def certificates_in(pem: bytes) -> list[Record]:
    """Every CERTIFICATE block of a PEM text as a record, in file order; other blocks are ignored."""
    return [_record_of_block(body) for body in _blocks(pem)]


def first_certificate(pem: bytes) -> Record | None:
    """The record of the first CERTIFICATE block, which is the leaf of a chain; None when there is none."""
    body = next(_blocks(pem), None)
    return None if body is None else _record_of_block(body)


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text that can be decoded, for checks that a record does not allow."""
    return [cert for cert in (_load(body) for body in _blocks(pem)) if not isinstance(cert, str)]


def public_pem(pem: bytes) -> str | None:
    """The certificates of a PEM text that can be decoded, encoded anew and so nothing else of it; None where there is none."""
    certificates = load_certificates(pem)[:MAX_OF_BUNDLE]
    return "".join(cert.public_bytes(serialization.Encoding.PEM).decode("ascii") for cert in certificates) or None


@quiet
def certificate_record(certificate: x509.Certificate) -> Record:
    """The record of one certificate; ``{"error": ...}`` when its contents cannot be read.

    ``key_usages`` and ``extended_key_usages`` are in Kubernetes' words (``digital signature``, ``client auth``).
    """
    try:
        record: Record = {
            "subject": _clip(certificate.subject.rfc4514_string()),
            **_subject(certificate.subject),
            "issuer": _clip(certificate.issuer.rfc4514_string()),
            "serial": format(certificate.serial_number, "x"),
            "not_before": format_time(certificate.not_valid_before_utc),
            "not_after": format_time(certificate.not_valid_after_utc),
        }
        record.update(_extensions(certificate.extensions))
        record["public_key"], record["public_key_sha256"] = _public_key(certificate)
        record["fingerprint_sha256"] = certificate.fingerprint(hashes.SHA256()).hex()
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        return {"error": _clip(f"cannot be decoded: {error}")}
    return record


@quiet
def request_record(pem: bytes) -> tuple[Record | None, str | None]:
    """A PKCS #10 request as ``(record, None)``, or ``(None, why it cannot be decoded)``."""
    try:
        request = x509.load_pem_x509_csr(pem)
        record: Record = dict(_subject(request.subject))
        extensions = _extensions(request.extensions)
        for key in ("dns_names", "ip_addresses", "emails", "uris", "key_usages", "extended_key_usages", "is_ca"):
            record[key] = extensions[key]
        record["names_dropped"] = extensions["names_dropped"]
        record["public_key"], record["public_key_sha256"] = _public_key(request)
        record["signature_valid"] = _signature_valid(request)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        return None, _clip(f"cannot be decoded: {error}")
    return record, None


def issued_by(certificate: x509.Certificate, issuers: t.Iterable[x509.Certificate]) -> bool:
    """Whether one of ``issuers`` signed ``certificate`` (name and signature; validity is not looked at)."""
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


def chain_trusted(presented: t.Sequence[x509.Certificate], roots: t.Sequence[x509.Certificate]) -> bool:
    """Whether the first certificate presented leads, by signatures, to one of ``roots``.

    Only names and signatures are compared, as the question is *which CA*; expiry and host name are judged apart.
    """
    if not presented:
        return False
    current, intermediates = presented[0], list(presented[1:])
    if any(current == root for root in roots):
        return True
    for _step in range(len(presented)):
        if issued_by(current, roots):
            return True
        parent = next((c for c in intermediates if issued_by(current, [c])), None)
        if parent is None:
            return False
        intermediates.remove(parent)
        current = parent
    return False


def _blocks(pem: bytes) -> t.Iterator[bytes]:
    """What stands between the lines of each CERTIFICATE block. No regular expression: many beginnings without an end would take one minutes."""
    begin = pem.find(_BEGIN)
    while begin >= 0:
        end = pem.find(_END, begin + len(_BEGIN))
        if end < 0:
            return
        yield pem[begin + len(_BEGIN) : end]
        begin = pem.find(_BEGIN, end)


def _record_of_block(body: bytes) -> Record:
    loaded = _load(body)
    return {"error": loaded} if isinstance(loaded, str) else certificate_record(loaded)


@quiet
def _load(body: bytes) -> x509.Certificate | str:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(b"".join(body.split()), validate=True))
    except (ValueError, TypeError, binascii.Error, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        return _clip(f"cannot be decoded: {error}")


def _subject(name: x509.Name) -> Record:
    common_names = [_text(a.value) for a in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {
        "common_name": common_names[0] if common_names else None,
        "organizations": [_text(a.value) for a in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)],
    }


def _extensions(extensions: x509.Extensions) -> Record:
    found = {extension.oid: extension.value for extension in extensions}
    names = t.cast("x509.SubjectAlternativeName | None", found.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME))
    usage = t.cast("x509.KeyUsage | None", found.get(ExtensionOID.KEY_USAGE))
    extended = t.cast("x509.ExtendedKeyUsage | None", found.get(ExtensionOID.EXTENDED_KEY_USAGE))
    basic = t.cast("x509.BasicConstraints | None", found.get(ExtensionOID.BASIC_CONSTRAINTS))
    subject_key = t.cast("x509.SubjectKeyIdentifier | None", found.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER))
    authority_key = t.cast("x509.AuthorityKeyIdentifier | None", found.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER))
    words = {ExtendedKeyUsageOID.CLIENT_AUTH: "client auth", ExtendedKeyUsageOID.SERVER_AUTH: "server auth"}
    record: Record = {"names_dropped": 0}
    for key, kind in (
        ("dns_names", x509.DNSName),
        ("ip_addresses", x509.IPAddress),
        ("emails", x509.RFC822Name),
        ("uris", x509.UniformResourceIdentifier),
    ):
        values = [_text(str(value)) for value in names.get_values_for_type(kind)] if names else []
        record[key] = values[:MAX_NAMES]
        record["names_dropped"] += len(values[MAX_NAMES:])
    record["key_usages"] = [word for attribute, word in _KEY_USAGES if usage and getattr(usage, attribute)]
    record["extended_key_usages"] = [words.get(oid, oid.dotted_string) for oid in extended or ()]
    record["is_ca"] = bool(basic and basic.ca)
    record["subject_key_id"] = subject_key.digest.hex() if subject_key else None
    record["authority_key_id"] = (
        authority_key.key_identifier.hex() if authority_key and authority_key.key_identifier else None
    )
    return record


def _public_key(holder: x509.Certificate | x509.CertificateSigningRequest) -> tuple[str, str]:
    key = holder.public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(encoded)
    if isinstance(key, ec.EllipticCurvePublicKey):
        curves = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
        name = f"ECDSA {curves.get(key.curve.name, key.curve.name)}"
    elif isinstance(key, rsa.RSAPublicKey):
        name = f"RSA {key.key_size}"
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        name = "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "Ed448"
    elif isinstance(key, dsa.DSAPublicKey):
        name = f"DSA {key.key_size}"
    else:
        name = type(key).__name__
    return name, digest.finalize().hex()


def _signature_valid(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _text(value: str | bytes) -> str:
    return _clip(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
