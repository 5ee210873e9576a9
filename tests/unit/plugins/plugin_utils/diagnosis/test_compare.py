# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The compare of four: each step that can lose a certificate, and what is said where a place was not seen."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.compare import STEPS

from .evidence_builder import NODE, Data, changed

STORED = "2026-11-23T18:00:00Z"
ISSUED: Data = {
    "state": "issued", "age": 1210, "state_since": "2026-11-23T19:40:00Z",
    "certificate": {"serial": "5e99", "public_key_sha256": "99", "fingerprint_sha256": "9f", "not_before": "2026-11-23T19:35:00Z"},
}  # fmt: skip
NEWER: Data = {"name": "kubelet-client-2026-11-23-19-00-00.pem", "age": 3600, "used": 1}
WORKER = f"nodes/{NODE}"

LOST: dict[str, Data] = {
    "issued-not-fetched": {"stored": STORED, "client_used": 75, "csrs": [ISSUED]},
    "fetched-not-stored": {"stored": STORED, "client_used": 75, "csrs": [ISSUED], "log": {"store_failed": 30}},
    "stored-not-linked": {"stored": STORED, "client_used": 75, "files": [NEWER]},
    "linked-not-referenced": {"embedded_used": 60, "set": {f"{WORKER}/kubeconfig/user/certificates/0/serial": "0e"}},
    "linked-not-loaded": {"stored": STORED, "client_used": 1, "set": {f"{WORKER}/log/counts": {}}},
    "loaded-then-replaced": {"stored": STORED, "client_used": 40, "csrs": [ISSUED], "log": {"rotated": 1100}},
    "loaded-not-served": {"set": {f"{WORKER}/network/authentication/username": "system:anonymous"}},
}


def compared(case: Data) -> Data:
    node = next(node for node in diagnose(changed(case), ())["nodes"] if node["name"] == NODE)
    return t.cast("Data", node["comparison"])


def test_every_step_has_a_case() -> None:
    assert set(LOST) == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_the_step_that_lost_it_is_said(step: str) -> None:
    client = compared(LOST[step])["client"]
    assert client["lost_at"] == step
    assert client["lost"] == STEPS[step]
    assert client["agree"] is False


def test_a_healthy_node_agrees_in_every_place_that_was_seen() -> None:
    for subject in ("client", "serving"):
        found = compared({})[subject]
        assert (found["lost_at"], found["agree"]) == (None, True)
    assert compared({})["client"]["issued"] is None


def test_the_serial_of_what_was_presented_is_told_by_its_fingerprint() -> None:
    shown = {"state": "pending", "age": 5, "presented_sha256": "ef" * 32}
    served = compared({"csrs": [shown]})["client"]["served"]
    assert (served["serial"], served["seen"]) == ("5e11a1", "CSR csr-pending-5")


def test_the_port_shows_another_certificate_than_the_file() -> None:
    other = [{"serial": "0bad", "ip_addresses": ["10.0.0.1"]}]
    late = {f"{WORKER}/serving/certificates": other}
    assert compared({"serving_used": 1, "stored": STORED, "set": late})["serving"]["lost_at"] == "linked-not-loaded"
    restarted = {**late, f"{WORKER}/kubelet/started": "2026-11-23T19:00:00Z"}
    assert (
        compared({"serving_used": 1, "stored": STORED, "set": restarted})["serving"]["lost_at"] == "loaded-not-served"
    )


@pytest.mark.parametrize("path", [f"{WORKER}/pki", f"{WORKER}/pki/files", "cluster/csr_info/csrs", f"{WORKER}/log"])
def test_what_was_not_seen_loses_nothing(path: str) -> None:
    found = compared({"set": {path: None}})
    assert {found[subject]["lost_at"] for subject in ("client", "serving")} == {None}


def test_nothing_is_said_of_a_node_without_a_host() -> None:
    evidence = changed({})
    del evidence["nodes"][NODE]
    node = next(node for node in diagnose(evidence, ())["nodes"] if node["name"] == NODE)
    assert node["comparison"]["client"] == {
        "reference": None, "disk": None, "issued": None, "served": None, "agree": None, "lost_at": None, "lost": None,
    }  # fmt: skip
