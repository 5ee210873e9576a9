# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replay of approvers against what the real ones did, as it was recorded from the lab."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import built_in, by_hand
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import Case

Data = dict[str, t.Any]

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
RUNS: list[Data] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("*.json"))]


def requests(signer: str, reason: str) -> list[Data]:
    """Every request of that signer, of all recordings, that was approved with that reason, and not refused by the signer after it."""
    return [
        csr
        for run in RUNS
        for csr in (run["cluster"].get("csr_info") or {}).get("csrs") or ()
        if csr["signer_name"] == signer
        and csr["state"] in ("issued", "approved_not_signed")
        and csr["conditions"][0]["reason"] == reason
    ]


def test_what_the_controller_manager_approved_passes_its_checks() -> None:
    approved = requests("kubernetes.io/kube-apiserver-client-kubelet", "AutoApproved")
    assert len(approved) > 20
    for csr in approved:
        message = csr["conditions"][0]["message"]
        _checks, failing, approves = built_in.replay(Case(csr=csr, selfnodeclient=True, nodeclient=True))
        assert (failing, approves) == ([], True), csr["name"]
        own = next(check for check in _checks if check["name"] == "username")
        assert own["passed"] is message.startswith("Auto approving self "), "the message tells renewal from bootstrap"


def test_what_the_signer_signed_for_serving_passes_the_checks_of_a_person() -> None:
    approved = requests("kubernetes.io/kubelet-serving", "ServingNamesMatch")
    assert len(approved) > 20
    for csr in approved:
        names = (*csr["request"]["dns_names"], *csr["request"]["ip_addresses"])
        failing = [
            check["name"] for check in by_hand.replay(Case(csr=csr, node_addresses=names)) if not check["passed"]
        ]
        assert failing == [], csr["name"]


@pytest.mark.parametrize(
    ("fault", "subject", "approver", "decision", "failing"),
    [
        (
            "auto-approval-binding-missing",
            "client",
            "kube-controller-manager",
            "refuses",
            ["selfnodeclient", "nodeclient"],
        ),
        ("controller-manager-stopped", "client", "kube-controller-manager", "approves", []),
        ("csr-denied", "client", "kube-controller-manager", "approves", []),
        ("serving-csr-not-approved", "serving", "nobody", "approves", []),
        (
            "bootstrap-approval-binding-missing",
            "client",
            "kube-controller-manager",
            "refuses",
            ["username", "selfnodeclient", "nodeclient"],
        ),
    ],
)
def test_what_was_not_approved(
    fault: str, subject: str, approver: str | None, decision: str, failing: list[str]
) -> None:
    run = next(run for run in RUNS if fault in run["placed"])
    diagnosis = diagnose_filter({part: run[part] for part in ("manifest", "cluster", "nodes")})
    node = next(entry for entry in diagnosis["nodes"] if entry["name"] == run["placed"][fault])
    replay = next(entry for entry in node["approval"] if entry["subject"] == subject)
    assert replay["approver"]["name"] == approver
    assert replay["decision"] == decision, replay["checks"]
    assert replay["failing"] == failing
