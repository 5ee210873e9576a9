# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t
import warnings
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID


def block(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(autouse=True)
def no_warnings() -> t.Iterator[None]:
    """Nothing may be warned about: a module's standard error stays empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_leaf(pairs: t.Any, ca: t.Any) -> None:
    leaf = pairs(
        "system:node:n1", ca, organizations=["system:nodes"], names=["n1", "10.0.0.1", "fd00::1"], serial=0xABC
    )
    (record,) = _x509.certificates_in(leaf.pem)
    assert record["subject"] == "CN=system:node:n1,O=system:nodes"
    assert record["common_name"] == "system:node:n1"
    assert record["organizations"] == ["system:nodes"]
    assert record["issuer"] == "CN=kubernetes"
    assert record["serial"] == "abc"
    assert record["dns_names"] == ["n1"]
    assert record["ip_addresses"] == ["10.0.0.1", "fd00::1"]
    assert record["is_ca"] is False
    assert record["public_key"] == "ECDSA P-256"
    assert record["authority_key_id"] == _x509.certificates_in(ca.pem)[0]["subject_key_id"]
    assert len(record["fingerprint_sha256"]) == len(record["public_key_sha256"]) == 64


def test_a_ca(ca: t.Any) -> None:
    (record,) = _x509.certificates_in(ca.pem)
    assert record["is_ca"] is True
    assert record["key_usages"] == ["digital signature", "cert sign", "crl sign"]
    assert record["authority_key_id"] is None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(1950, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
        (datetime(1970, 1, 1), datetime(2050, 1, 1)),
    ],
)
def test_dates_at_the_edges(pairs: t.Any, ca: t.Any, start: datetime, end: datetime) -> None:
    found = pairs("x", ca, not_before=start, not_after=end)
    (record,) = _x509.certificates_in(found.pem)
    assert record["not_before"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert record["not_after"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("first", [0xFF, 0x80])
def test_a_negative_serial(pairs: t.Any, ca: t.Any, first: int) -> None:
    serial = bytes.fromhex("7f112233445566778899")
    encoded = der(pairs("x", ca, serial=int.from_bytes(serial, "big")).certificate)
    at = encoded.index(serial)
    (record,) = _x509.certificates_in(block(encoded[:at] + bytes([first]) + encoded[at + 1 :]))
    assert record.get("serial", "").startswith("-") or "cannot be decoded" in record["error"]


def test_dates_that_do_not_exist(pairs: t.Any, ca: t.Any) -> None:
    encoded = der(pairs("x", ca, not_before=datetime(2026, 1, 2, 3, 4, 5)).certificate)
    assert b"260102030405Z" in encoded
    (record,) = _x509.certificates_in(block(encoded.replace(b"260102030405Z", b"261399996199Z")))
    assert "cannot be decoded" in record["error"]


def test_every_cut_and_flip_ends_in_a_record(pairs: t.Any, ca: t.Any) -> None:
    encoded = der(pairs("system:node:n1", ca, names=["n1", "10.0.0.1"]).certificate)
    for at in range(0, len(encoded), 3):
        for mangled in (encoded[:at], encoded[:at] + bytes([encoded[at] ^ 0xFF]) + encoded[at + 1 :]):
            (record,) = _x509.certificates_in(
                block(mangled) if mangled else b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"
            )
            assert "error" in record or "fingerprint_sha256" in record


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"text",
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ],
)
def test_no_certificates(pem: bytes) -> None:
    assert _x509.certificates_in(pem) == []
    assert _x509.first_certificate(pem) is None
    assert _x509.load_certificates(pem) == []


def test_a_bundle_keeps_its_order_and_its_bad_ones(pairs: t.Any, ca: t.Any) -> None:
    leaf = pairs("leaf", ca)
    pem = leaf.key_pem + leaf.pem + block(b"junk") + ca.pem
    names = [record.get("common_name") for record in _x509.certificates_in(pem)]
    assert names == ["leaf", None, "kubernetes"]
    assert _x509.first_certificate(pem) == _x509.certificates_in(leaf.pem)[0]
    assert len(_x509.load_certificates(pem)) == 2


def test_too_many_and_too_long_names(pairs: t.Any, ca: t.Any) -> None:
    leaf = pairs("n" * 64, ca, names=[f"host-{number}" for number in range(100)], organizations=["o" * 64] * 30)
    (record,) = _x509.certificates_in(leaf.pem)
    assert len(record["dns_names"]) == _x509.MAX_NAMES
    assert record["names_dropped"] == 36
    assert len(record["subject"]) == 256


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA P-384"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (dsa.generate_private_key(1024), "DSA 1024"),
    ],
    ids=["rsa", "p384", "ed25519", "dsa"],
)
def test_kinds_of_keys(key: t.Any, name: str) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:a")])
    algorithm = None if name == "Ed25519" else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)
    record, error = _x509.request_record(request.public_bytes(serialization.Encoding.PEM))
    assert error is None
    assert record
    assert (record["public_key"], record["signature_valid"]) == (name, True)


def test_a_request_whose_signature_is_not_its_own(requests_of: t.Any) -> None:
    request = x509.load_pem_x509_csr(requests_of("system:node:a"))
    encoded = request.public_bytes(serialization.Encoding.DER)
    at = encoded.index(b"system:node:a")
    forged = encoded[:at] + b"system:node:b" + encoded[at + 13 :]
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(forged) + b"-----END CERTIFICATE REQUEST-----\n"
    record, error = _x509.request_record(pem)
    assert error is None
    assert record
    assert (record["common_name"], record["signature_valid"]) == ("system:node:b", False)


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_requests_that_are_none(pem: bytes) -> None:
    record, error = _x509.request_record(pem)
    assert record is None
    assert error
    assert "cannot be decoded" in error


def test_trust_goes_by_signature(pairs: t.Any, ca: t.Any) -> None:
    other, same_name = pairs("other"), pairs("kubernetes")
    leaf = pairs("leaf", ca).certificate
    assert _x509.chain_trusted([leaf], [ca.certificate])
    assert _x509.chain_trusted([ca.certificate], [ca.certificate])
    assert _x509.chain_trusted([leaf, ca.certificate], [other.certificate, ca.certificate])
    assert not _x509.chain_trusted([leaf], [other.certificate])
    assert not _x509.chain_trusted([leaf], [same_name.certificate])  # the CA was replaced under its name
    assert not _x509.chain_trusted([leaf, ca.certificate], [])
    assert not _x509.chain_trusted([], [ca.certificate])
    expired = pairs("old", ca, not_after=datetime.now(timezone.utc) - timedelta(minutes=1))
    assert _x509.issued_by(expired.certificate, [other.certificate, ca.certificate])
