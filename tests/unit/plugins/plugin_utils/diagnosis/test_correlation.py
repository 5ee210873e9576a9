# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed before the first failure: seen from the evidence, ranked by mechanism and then by time."""

from __future__ import annotations

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.changes import KINDS, event
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.correlation import (
    OF_RULE,
    OF_STAGE,
    WINDOW_SECONDS,
    ranked,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import ORDER

from .evidence_builder import NODE, NOW, Data, ago, changed

SIGNING = {"rule": "signing-ca-expired", "stage": "signing"}
GONE = {
    "cluster/rbac_info/reviews/node_selfnodeclient": {
        "allowed": False,
        "granted_by": [],
        "user": "system:node:worker-1",
    }
}
HANGS = {"client_used": 95, "csrs": [{"age": 900}]}


def kinds(changes: list[Data], primary: Data | None = None) -> list[str]:
    return [change["kind"] for change in ranked(changes, NOW, primary or SIGNING)]


def test_a_mechanism_comes_before_nearness() -> None:
    near, far = event(ago(2), "kubelet", "kubelet started"), event(ago(3000), "manifest", "manifest changed")
    assert kinds([near, far]) == ["manifest", "kubelet"]
    first, last = ranked([near, far], NOW, SIGNING)
    assert (first["seconds_before"], last["seconds_before"]) == (3000, 2)
    assert first["mechanism"] and last["mechanism"] is None


def test_among_those_with_a_mechanism_the_nearest_comes_first() -> None:
    assert kinds([event(ago(60), "manifest", "m"), event(ago(50), "ca", "c"), event(ago(70), "rbac", "r")]) == [
        "ca",
        "manifest",
        "rbac",
    ]


def test_the_mechanism_of_a_rule_comes_before_the_one_of_its_stage() -> None:
    left_behind = {"rule": "ca-rotated-node-left-behind", "stage": "connection"}
    assert kinds([event(ago(5), "manifest", "m"), event(ago(500), "ca", "c")], left_behind) == ["ca", "manifest"]


def test_a_role_that_bears_on_another_stage_is_no_mechanism() -> None:
    change = {**event(ago(5), "rbac", "ClusterRoleBinding kubeadm:kubelet-bootstrap made"), "stages": ["request"]}
    (found,) = ranked([change], NOW, SIGNING)
    assert found["mechanism"] is None and "stages" not in found


@pytest.mark.parametrize(
    ("age", "listed"), [(0, True), (WINDOW_SECONDS, True), (WINDOW_SECONDS + 1, False), (-1, False)]
)
def test_the_window(age: int, listed: bool) -> None:
    assert bool(ranked([event(ago(age), "ca", "c")], NOW, SIGNING)) is listed


def test_without_a_failure_nothing_came_before_it() -> None:
    assert ranked([event(ago(1), "ca", "c")], None, SIGNING) == []


def test_without_a_primary_cause_nothing_has_a_mechanism() -> None:
    (found,) = ranked([event(ago(1), "ca", "c")], NOW, None)
    assert found["mechanism"] is None


def test_the_tables_name_kinds_stages_and_rules_that_exist() -> None:
    assert set(OF_STAGE) == set(ORDER)
    assert set(OF_RULE) <= {rule.id for rule in built_in_rules()}
    for table in (*OF_STAGE.values(), *OF_RULE.values()):
        assert table and set(table) <= set(KINDS)


def changes_of(case: Data) -> list[Data]:
    diagnosis = diagnose(changed(case), built_in_rules())
    return list(next(node for node in diagnosis["nodes"] if node["name"] == NODE)["changes_before_failure"])


def test_a_binding_that_is_gone_leaves_no_time_and_is_named_first() -> None:
    issued = {"kubernetes.io/kube-apiserver-client-kubelet": ago(5000)}
    first = changes_of({**HANGS, "set": {**GONE, "cluster/csr_info/last_issued": issued}})[0]
    assert (first["kind"], first["time"], first["seconds_before"]) == ("rbac", None, None)
    assert ago(5000) in first["text"] and first["mechanism"]


def test_what_each_part_of_the_evidence_tells_of() -> None:
    told = {
        "cluster/control_plane_info/cluster_ca": {"certificates": [{"subject": "CN=k"}], "last_changed": ago(1001)},
        "cluster/rbac_info/roles": [
            {"name": "r", "grants": ["sign_client"], "created": ago(9e6), "last_changed": ago(1002), "last_manager": "kubectl-edit"}
        ],
        "nodes/cp-1/control_plane/files/0/certificates": [{"is_ca": True}, {"is_ca": True}],
        "nodes/cp-1/control_plane/files/0/modified": ago(1003),
        "nodes/cp-1/control_plane/manager_kubeconfig": {"path": "/etc/kubernetes/controller-manager.conf", "modified": ago(1004)},
        "cluster/control_plane_info/api_server/pods": [{"name": "kube-apiserver-cp-1", "started": ago(1005)}],
        "nodes/worker-1/kubelet/started": ago(1006),
        "nodes/worker-1/kubelet/binary_changed": ago(1007),
        "nodes/worker-1/kubelet/version": "v1.36.4",
        "nodes/worker-1/kubeconfig/modified": ago(1008),
        "cluster/node_info/nodes/0/created": ago(1009),
    }  # fmt: skip
    found = {change["seconds_before"]: change for change in changes_of({**HANGS, "set": told})}
    expected = dict(
        zip(range(1001, 1010), "ca rbac ca manifest manifest kubelet version kubelet node".split(), strict=True)
    )
    assert {seconds + 900: change["kind"] for seconds, change in found.items() if seconds is not None} == expected
    texts = " ".join(str(change["text"]) for change in found.values())
    for part in (
        "ClusterRole r changed by kubectl-edit",
        "it holds 2 certificates",
        "it is v1.36.4 (the Node still says v1.36.3)",
    ):
        assert part in texts


def test_a_pod_that_follows_its_manifest_is_no_change_of_its_own() -> None:
    started = {
        "nodes/cp-1/control_plane/manifests/kube-controller-manager/modified": ago(1000),
        "cluster/control_plane_info/controller_manager/pods/0/started": ago(990),
        "cluster/control_plane_info/controller_manager/lease/acquired": ago(985),
    }
    assert [change["seconds_before"] for change in changes_of({**HANGS, "set": {**GONE, **started}})] == [None, 100]
    alone = {"cluster/control_plane_info/controller_manager/lease/acquired": ago(985)}
    texts = [change["text"] for change in changes_of({**HANGS, "set": {**GONE, **alone}})]
    assert texts[1:] == ["controller manager cp-1_x became leader"]


def test_the_last_renewal_of_a_lease_is_when_the_controller_manager_went() -> None:
    (first, *_others) = changes_of(
        {**HANGS, "set": {"cluster/control_plane_info/controller_manager/lease/renewed": ago(905)}}
    )
    assert (first["kind"], first["seconds_before"]) == ("manifest", 5)
