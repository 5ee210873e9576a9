# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What signs and what is trusted: durations, CAs compared, versions, control planes of several hosts."""

from __future__ import annotations

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.ca import (
    client_ca_certificates,
    odd_ones,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.signing import (
    duration_of,
    signing_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.skew import minor
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Cluster, Data

from .evidence_builder import NOW


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8760h0m0s", 31536000), ("10m", 600), ("1.5h", 5400), ("", None), (None, None), ("1y", None), ("1h; id", None)],
)
def test_durations_as_go_writes_them(text: str | None, seconds: int | None) -> None:
    assert duration_of(text) == seconds


@pytest.mark.parametrize(
    ("flags", "lifetime"), [({}, 31536000), ({"cluster-signing-duration": "1h"}, 3900), (None, None)]
)
def test_the_lifetime_of_what_is_signed(flags: Data | None, lifetime: int | None) -> None:
    """Below 8 hours the five minutes of back-dating come on top (signer.go)."""
    assert signing_signals(Cluster({}, {}, {}, {}), flags, NOW)["lifetime_seconds"] == lifetime


@pytest.mark.parametrize(
    ("places", "odd"),
    [
        ({"a": {"1"}, "b": {"1"}, "c": {"1"}}, []),
        ({"a": {"1"}, "b": {"1"}, "c": {"2"}}, ["c"]),
        ({"a": {"1"}, "b": {"1", "2"}, "c": {"2"}}, []),
        ({"a": {"1"}, "b": {"2"}, "c": {"3"}}, []),
        ({"a": {"1"}, "b": {"2"}, "c": None}, None),
        ({"a": {"1"}, "b": {"2"}, "c": {"3"}, "d": {"1"}, "e": {"1", "4"}}, ["b", "c"]),
    ],
)
def test_the_odd_one_is_named(places: dict[str, set[str] | None], odd: list[str] | None) -> None:
    found = odd_ones(places)
    assert (sorted(found) if found else found) == odd


def certificate(key: str) -> Data:
    return {"subject_key_id": key, "subject": f"CN={key}"}


def host(name: str, *keys: str) -> Data:
    manifests = {"kube-apiserver": {"flags": {"client-ca-file": "/ca"}}}
    return {"host": name, "manifests": manifests, "files": [{"path": "/ca", "certificates": [*map(certificate, keys)]}]}


def test_only_a_ca_that_every_api_server_holds_is_trusted() -> None:
    published = {"client_ca": {"certificates": [certificate("old"), certificate("new"), certificate("gone")]}}
    cluster = Cluster({}, {}, {}, published, (host("cp-1", "old", "new"), host("cp-2", "old")))
    assert [cert["subject_key_id"] for cert in client_ca_certificates(cluster) or ()] == ["old"]
    alone = client_ca_certificates(Cluster({}, {}, {}, published))
    assert [cert["subject_key_id"] for cert in alone or ()] == ["old", "new", "gone"]
    assert client_ca_certificates(Cluster({}, {}, {}, {})) is None


@pytest.mark.parametrize(
    ("version", "parsed"),
    [("v1.36.3", (1, 36)), ("v1.29.0-eks-1a2b3c", (1, 29)), ("1.30+", (1, 30)), ("v2", None), ("", None), (None, None)],
)
def test_versions(version: str | None, parsed: tuple[int, int] | None) -> None:
    assert minor(version) == parsed
