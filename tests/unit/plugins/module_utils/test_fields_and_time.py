# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _fields, _time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T20:05:00Z", "2026-11-23T20:05:00Z"),
        (" 2026-11-23t20:05:00.999999999z ", "2026-11-23T20:05:00Z"),
        ("2026-11-23T20:05:00+02:00", "2026-11-23T18:05:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert _time.format_time(_time.parse_time(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "Z", "now", "2026-11-23", "2026-11-23T20:05:00", "2026-13-01T00:00:00Z", "2026-11-23T24:61:00Z",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "20261-01-01T00:00:00Z", "\x00"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        _time.parse_time(text)
    assert _fields.moment(text) is None


def test_epochs() -> None:
    assert _time.from_epoch(0) == "1970-01-01T00:00:00Z"
    assert _time.from_epoch(-631152000) == "1950-01-01T00:00:00Z"
    for seconds in (1e18, -1e18, float("inf")):
        with pytest.raises(ValueError):  # noqa: PT011
            _time.from_epoch(seconds)


def test_other_forms() -> None:
    assert _time.format_time(datetime(2026, 1, 2)) == "2026-01-02T00:00:00Z"
    assert _time.format_time(datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T23:00:00Z"
    assert _time.seconds_between("2026-01-01T00:00:10Z", "2026-01-01T00:00:00Z") == -10
    assert _time.parse_time(_time.utc_now()).tzinfo is not None


@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, b"bytes"])
def test_texts_that_are_none(value: t.Any) -> None:
    assert _fields.text(value) is None
    assert _fields.safe_text(value) is None
    assert _fields.moment(value) is None


def test_texts_are_cleaned_and_clipped() -> None:
    assert _fields.text("a\x00\x1b[31m\x9b\r\n\tb\ud800") == "a\ufffd\ufffd[31m\ufffd\ufffd\n\tb\ufffd"
    assert _fields.text("x" * 20, 10) == "xxxxxxxxx…"
    assert _fields.text("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7), (-1, -1), (0, 0), (True, None), (1.0, None), ("7", None), (2**63, None), (None, None)],
)
def test_integers(value: t.Any, expected: int | None) -> None:
    assert _fields.integer(value) == expected


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("got token=abcdef123456, denied", "abcdef123456"),
        ('{"client_secret": "abcdef123456"}', "abcdef123456"),
        ("using abcdef.0123456789abcdef", "0123456789abcdef"),
        ("https://user:pa55word@proxy:3128 refused", "pa55word"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc", "MIIEabc"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    found = _fields.safe_text(text)
    assert found
    assert secret not in found


@pytest.mark.parametrize(
    "text",
    [
        'nodes is forbidden: User "system:node:a" cannot list resource "nodes" in API group "" at the cluster scope',
        "the bootstrap token is expired",
        "error reading CA cert file /etc/kubernetes/pki/ca.crt: expected 1 certificate, found 2",
        'Secret "bootstrap-token-abcdef" not found',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert _fields.safe_text(text) == text


def test_managed_fields_and_last_change() -> None:
    entries = [
        {"manager": "b", "operation": "Update", "time": "2026-02-01T00:00:00Z", "subresource": "status"},
        {"manager": "a", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:x": {}}},
        {"manager": "c", "operation": "Update", "time": "never"},
        "junk",
    ]
    found = _fields.managed_fields({"managedFields": entries})
    assert [entry["manager"] for entry in found if entry["time"]] == ["a", "b"]
    assert all(set(entry) == {"manager", "operation", "subresource", "time"} for entry in found)
    assert _fields.last_change({"managedFields": entries}) == ("2026-02-01T00:00:00Z", "b")
    assert _fields.last_change({"creationTimestamp": "2025-01-01T00:00:00Z"}) == ("2025-01-01T00:00:00Z", None)
    assert _fields.last_change({}) == (None, None)
