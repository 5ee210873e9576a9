# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What explains what, the primary cause, verdicts, stages, and the time of the first failure."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import STAGES

from .evidence_builder import NODE, NOW, Data, ago, certificate, changed, csr, healthy

BINDING_MISSING = {"cluster/rbac_info/reviews/node_selfnodeclient/allowed": False}


def judge(evidence: Data, name: str = NODE) -> Data:
    node: Data = next(node for node in diagnose(evidence, built_in_rules())["nodes"] if node["name"] == name)
    return node


def test_a_healthy_cluster_stays_silent() -> None:
    diagnosis = diagnose(healthy(), built_in_rules())
    assert diagnosis["now"] == NOW
    assert diagnosis["fleet"]["verdicts"] == {"healthy": 2, "unknown": 0, "at_risk": 0, "failing": 0, "expired": 0}
    assert [node["findings"] for node in diagnosis["nodes"]] == [[], []]
    assert diagnosis["fleet"]["causes"] == []
    assert {stage["state"] for node in diagnosis["nodes"] for stage in node["stages"]} == {"ok"}
    assert diagnosis["nodes"][1]["summary"].startswith("next rotation between")


def test_noise_of_the_past_is_silent() -> None:
    """Denied requests before the certificate in use, error lines and a restart an hour ago."""
    case = {
        "client_used": 1,
        "csrs": [{"state": "denied", "age": 86400 * 5}, {"state": "pending", "age": 86400 * 5}],
        "log": {"create_failed": 3600, "store_failed": 7200, "unauthorized": 86400 * 6, "connection_refused": 3600},
        "set": {f"nodes/{NODE}/kubelet/started": ago(3600), f"nodes/{NODE}/kubelet/unit/restarts": 1},
    }
    node = judge(changed(case))
    assert (node["verdict"], node["findings"], node["first_failure"]) == ("healthy", [], None)


def test_stages_before_the_broken_one_are_judged_and_those_behind_it_wait() -> None:
    node = judge(changed({"client_used": 95, "csrs": [{"age": 60}], "set": BINDING_MISSING}))
    states = {stage["stage"]: stage["state"] for stage in node["stages"]}
    assert [stage["stage"] for stage in node["stages"]] == [stage.name for stage in STAGES]
    assert states["approval"] == "broken"
    assert states["schedule"] == "affected"
    assert states["kubelet"] == states["connection"] == "ok"
    assert states["signing"] == states["storage"] == states["use"] == "waiting"


def test_the_deepest_cause_comes_first_and_the_independent_one_is_not_lost() -> None:
    """Binding missing, and the certificate has ended since: the end is an effect. The full disk is a cause of its own."""
    case = {
        "client_used": 110,
        "csrs": [{"age": 60}],
        "log": {"bootstrap_kubeconfig_missing": 20, "start_failed": 20},
        "set": {**BINDING_MISSING, f"nodes/{NODE}/pki/filesystem/free_bytes": 0},
    }
    node = judge(changed(case))
    roles = {finding["rule"]: finding["role"] for finding in node["findings"]}
    assert node["primary"]["rule"] == "auto-approval-binding-missing"
    assert roles["pki-file-system-full"] == "contributing"
    assert roles["client-certificate-expired"] == roles["client-certificate-expired-no-bootstrap"] == "symptom"
    assert node["findings"][0] is node["primary"] or node["findings"][0]["role"] == "primary"


def test_a_warning_does_not_explain_what_is_critical() -> None:
    """The binding is missing, but the node has just renewed: the stopped kubelet is the cause of its state."""
    evidence = changed(
        {
            "set": {
                **BINDING_MISSING,
                f"nodes/{NODE}/kubelet/pid": None,
                f"nodes/{NODE}/kubelet/unit/active_state": "inactive",
                f"nodes/{NODE}/kubelet/unit/sub_state": "dead",
            }
        }
    )
    node = judge(evidence)
    assert node["primary"]["rule"] == "kubelet-stopped"
    assert {f["rule"]: f["role"] for f in node["findings"]}["auto-approval-binding-missing"] == "contributing"


def test_an_empty_list_of_requests_is_not_taken_for_a_healthy_one() -> None:
    evidence = healthy()
    evidence["cluster"]["csr_info"] = {
        "collected_at": NOW,
        "csrs": None,
        "not_seen": [{"subject": "csrs", "reason": "forbidden", "message": "m"}],
    }
    diagnosis = diagnose(evidence, built_in_rules())
    node = next(node for node in diagnosis["nodes"] if node["name"] == NODE)
    assert "csr-pending" in {entry["rule"] for entry in node["skipped"]}
    assert diagnosis["cluster"]["not_seen"] == [{"subject": "csr_info.csrs", "reason": "forbidden", "message": "m"}]


def test_a_node_that_did_not_answer_is_unknown_and_says_why() -> None:
    evidence = healthy()
    gap = {"subject": "node", "reason": "unreachable", "message": "Connection timed out"}
    evidence["nodes"][NODE] = {"collected_at": NOW, "inventory_hostname": NODE, "reachable": False, "not_seen": [gap]}
    node = judge(evidence)
    assert (node["verdict"], node["host"], node["matched_by"], node["missing"]) == ("unknown", NODE, "hostname", [gap])
    assert {stage["state"] for stage in node["stages"] if stage["stage"] in ("kubelet", "storage")} == {"unknown"}


def test_a_node_without_a_host_is_unknown() -> None:
    evidence = healthy()
    del evidence["nodes"][NODE]
    diagnosis = diagnose(evidence, built_in_rules())
    node = next(node for node in diagnosis["nodes"] if node["name"] == NODE)
    assert (node["verdict"], node["host"], node["missing"][0]["reason"]) == ("unknown", None, "disabled")
    assert diagnosis["fleet"]["nodes_without_host"] == [NODE]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"client_used": 95, "csrs": [{"age": 900}, {"age": 60}], "set": BINDING_MISSING}, ago(900)),
        ({"client_used": 95, "log": {"create_failed": 700, "admission_refused": 700}}, ago(700)),
        ({"client_used": 101, "csrs": [{"age": 60}], "set": BINDING_MISSING}, certificate(101)["not_after"]),
        ({"set": {"nodes/worker-1/network/connect": "refused", "cluster/node_info/nodes/0/conditions/0/status": "Unknown",
                  "cluster/node_info/nodes/0/conditions/0/last_transition": ago(45)}}, ago(45)),
    ],
)  # fmt: skip
def test_first_failure(case: Data, expected: str) -> None:
    node = judge(changed(case))
    assert node["first_failure"] == expected
    assert [event["time"] for event in node["timeline"] if event["first_failure"]] == [expected]


def test_the_timeline_is_sorted_capped_and_keeps_the_first_failure() -> None:
    evidence = changed({"client_used": 95, "csrs": [{"age": 900}], "set": BINDING_MISSING})
    evidence["cluster"]["node_info"]["nodes"][0]["events"] = [
        {"reason": "R", "message": f"m{i}", "count": 2, "first_seen": ago(10000 - i), "last_seen": ago(9000 - i)}
        for i in range(500)
    ]
    node = judge(evidence)
    times = [event["time"] for event in node["timeline"]]
    assert len(times) == 60 and times == sorted(times)
    assert any(event["first_failure"] for event in node["timeline"])


def test_what_changed_just_before_the_first_failure_is_listed() -> None:
    evidence = changed({"client_used": 95, "csrs": [{"age": 900}], "set": BINDING_MISSING})
    evidence["cluster"]["rbac_info"]["bindings"] = [
        {"name": "b", "grants": ["node_selfnodeclient"], "last_changed": ago(1200), "last_manager": "kubectl"},
        {"name": "of somebody else", "grants": [], "last_changed": ago(1100), "last_manager": "kubectl"},
    ]
    evidence["nodes"]["cp-1"]["control_plane"]["manifests"]["kube-controller-manager"]["modified"] = ago(1500)
    evidence["nodes"][NODE]["kubelet"]["started"] = ago(600)
    texts = [event["text"] for event in judge(evidence)["changes_before_failure"]]
    assert texts == ["ClusterRoleBinding b changed by kubectl", "manifest of kube-controller-manager changed"]


def test_causes_are_clustered_over_the_fleet() -> None:
    evidence = changed({"client_used": 95, "csrs": [{"age": 60}], "set": BINDING_MISSING})
    diagnosis = diagnose(evidence, built_in_rules())
    (cause,) = diagnosis["fleet"]["causes"]
    assert (cause["rule"], cause["severity"], cause["count"], cause["of"]) == (
        "auto-approval-binding-missing",
        "critical",
        2,
        2,
    )
    assert sorted(cause["nodes"]) == ["cp-1", NODE]
    assert [node["verdict"] for node in diagnosis["nodes"]] == ["failing", "at_risk"]
    assert (
        cause["least_seconds_left"]
        == next(n for n in diagnosis["nodes"] if n["name"] == NODE)["certificates"]["client"]["seconds_left"]
    )


def test_the_same_evidence_gives_the_same_diagnosis() -> None:
    case = {"client_used": 95, "csrs": [{"age": 60}], "set": BINDING_MISSING}
    assert diagnose(changed(case), built_in_rules()) == diagnose(changed(case), built_in_rules())


def test_judging_later_is_a_matter_of_the_argument() -> None:
    late = diagnose(healthy(), built_in_rules(), now="2028-01-01T00:00:00Z")
    assert late["fleet"]["verdicts"]["expired"] == 2


def test_without_any_time_there_is_no_judgement() -> None:
    with pytest.raises(ValueError, match="no time of collection"):
        diagnose({"cluster": {}, "nodes": {}}, built_in_rules())


def test_requests_of_other_nodes_do_not_count() -> None:
    evidence = healthy()
    evidence["cluster"]["csr_info"]["csrs"] = [csr("denied", age=60, node="worker-9", requestor="system:node:worker-9")]
    assert judge(evidence)["verdict"] == "healthy"


@pytest.mark.parametrize("off", [-400 * 86400, 3600, 400 * 86400])
def test_the_clock_of_the_control_node_does_not_matter(off: int) -> None:
    """The same cluster, read by a machine whose clock is ``off`` seconds behind."""
    right, wrong = healthy(), healthy()
    for part in (*wrong["nodes"].values(), *wrong["cluster"].values()):
        part["collected_at"] = format_time(parse_time(part["collected_at"]) - timedelta(seconds=off))
    for probe in wrong["nodes"].values():
        probe["clock"]["offset_seconds"] += off + 2
    wrong["cluster"]["control_plane_info"]["api_server"]["time_offset_seconds"] += off
    expected, found = (diagnose(evidence, built_in_rules()) for evidence in (right, wrong))
    assert found["now"] == expected["now"]
    assert found["fleet"] == expected["fleet"]
    assert [node["findings"] for node in found["nodes"]] == [[], []]
    (gap,) = found["cluster"]["not_seen"]
    assert gap["subject"] == "control_plane_info.collected_at"
    assert f"{abs(off)} s {'behind' if off > 0 else 'ahead of'}" in gap["message"]


def test_a_clock_that_only_the_control_plane_shares_is_not_corrected() -> None:
    evidence = healthy()
    evidence["cluster"]["control_plane_info"]["api_server"]["time_offset_seconds"] = 3600
    diagnosis = diagnose(evidence, built_in_rules())
    assert diagnosis["now"] == NOW
    assert diagnosis["cluster"]["not_seen"] == []
