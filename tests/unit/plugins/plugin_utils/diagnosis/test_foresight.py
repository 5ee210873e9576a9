# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a node's next rotation before it is due."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules

from .evidence_builder import NODE, Data, certificate, changed

BINDING = {"cluster/rbac_info/reviews/node_selfnodeclient/allowed": False}


def judged(case: Data, lifetime: int | None = None) -> Data:
    evidence = changed(case)
    if lifetime:
        entry = evidence["nodes"][NODE]["pki"]["files"][0]
        entry["certificates"] = [certificate(case["client_used"], lifetime)]
        entry["modified"] = entry["certificates"][0]["not_before"]
        evidence["nodes"][NODE]["kubelet"]["started"] = entry["modified"]
    nodes = diagnose(evidence, built_in_rules())["nodes"]
    return t.cast("Data", next(node for node in nodes if node["name"] == NODE))


def test_a_missing_binding_is_foretold_with_the_time_left() -> None:
    node = judged({"client_used": 30, "set": BINDING})
    year = 365 * 86400
    assert node["verdict"] == "at_risk"
    assert node["foresight"] == {
        "rotation_opens_in_seconds": year * 40 // 100,
        "rotation_closes_in_seconds": year * 60 // 100,
        "expires_in_seconds": year * 70 // 100,
        "blocked_by": ["auto-approval-binding-missing"],
    }


@pytest.mark.parametrize("lifetime", [3600, 86400, 365 * 86400])
def test_thresholds_are_parts_of_the_lifetime_whatever_it_is(lifetime: int) -> None:
    for used, verdict in ((30, "healthy"), (85, "healthy"), (89, "healthy"), (91, "failing")):
        node = judged({"client_used": used}, lifetime)
        assert node["verdict"] == verdict, used
        assert node["foresight"]["expires_in_seconds"] == pytest.approx(lifetime * (100 - used) / 100, abs=1)
        assert node["foresight"]["rotation_opens_in_seconds"] == pytest.approx(lifetime * (70 - used) / 100, abs=1)


def test_nothing_blocks_a_healthy_node() -> None:
    assert judged({"client_used": 30})["foresight"]["blocked_by"] == []


def test_what_concerns_another_certificate_or_only_a_reboot_blocks_no_rotation() -> None:
    node = judged({"set": {"nodes/worker-1/kubelet/unit/unit_file_state": "disabled"}, "csrs": [{"signer": "serving"}]})
    assert {finding["rule"] for finding in node["findings"]} == {
        "kubelet-not-enabled",
        "serving-approver-missing",
        "serving-csr-not-approved",
    }
    assert node["foresight"]["blocked_by"] == []


def test_symptoms_do_not_block() -> None:
    node = judged({"client_used": 95, "csrs": [{"age": 600}], "set": BINDING})
    assert node["foresight"]["blocked_by"] == ["auto-approval-binding-missing"]
    assert node["foresight"]["rotation_closes_in_seconds"] < 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"nodes/worker-1/pki/filesystem/free_bytes": 0}, "pki-file-system-full"),
        ({"nodes/worker-1/pki/writable": False}, "pki-directory-not-writable"),
        ({"nodes/worker-1/config/rotate_certificates": False}, "rotation-disabled"),
        ({"nodes/cp-1/control_plane/manifests/kube-controller-manager/flags": {"controllers": "*"}}, "signer-disabled"),
    ],
)
def test_every_obstacle_on_the_way_is_foretold(change: Data, rule: str) -> None:
    node = judged({"client_used": 30, "set": change})
    assert node["verdict"] == "at_risk"
    assert node["foresight"]["blocked_by"] == [rule]


def test_without_evidence_the_times_are_unknown() -> None:
    foresight = judged({"set": {"nodes/worker-1/pki": None}})["foresight"]
    assert foresight["expires_in_seconds"] is None
    assert foresight["rotation_opens_in_seconds"] is None
