# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates at the ends of what can be: size, names, serials, years, encodings."""

from __future__ import annotations

import base64
import datetime

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import certificates_in
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import crashers
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.conftest import make_pair
from cryptography.hazmat.primitives import serialization

UTC = datetime.timezone.utc


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_ten_thousand_names() -> None:
    pair = make_pair("x", make_pair("ca"), names=[f"n{number}.example.com" for number in range(10_000)])
    crashers.certificate(pair.pem)
    (record,) = certificates_in(pair.pem)
    assert record["names_dropped"] == 10_000 - len(record["dns_names"])


@pytest.mark.parametrize("start", [1950, 1999, 9998])
def test_years(start: int) -> None:
    pair = make_pair(
        "x",
        not_before=datetime.datetime(start, 1, 1, tzinfo=UTC),
        not_after=datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    )
    (record,) = certificates_in(pair.pem)
    assert record["not_before"][:4] == str(start) and record["not_after"] == "9999-12-31T23:59:59Z"


def test_a_negative_serial() -> None:
    der = make_pair("x", serial=0x4142434445464748).certificate.public_bytes(serialization.Encoding.DER)
    negative = der.replace(b"\x41\x42\x43\x44\x45\x46\x47\x48", b"\xc1\x42\x43\x44\x45\x46\x47\x48", 1)
    assert negative != der
    crashers.certificate(pem(negative))


@pytest.mark.parametrize(
    "body", [b"A" * 10_000_000, b"\0" * 10_000_000, b"-----BEGIN CERTIFICATE-----\n" * 300_000, b"\xff" * 1000]
)
def test_ten_megabytes(body: bytes) -> None:
    crashers.certificate(b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n")
    crashers.certificate(body)
    crashers.request(b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"\n-----END CERTIFICATE REQUEST-----\n")


@pytest.mark.parametrize("length", range(0, 300, 37))
def test_truncated(length: int) -> None:
    der = make_pair("x").certificate.public_bytes(serialization.Encoding.DER)
    (record,) = certificates_in(
        pem(der[:length]) if length else b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"
    )
    assert set(record) == {"error"}
