# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``control_plane_info`` makes of workloads, webhooks and policies."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._admission import acts_of, nodes_named
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._approvers import approver_record, settings_of

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def workload(
    name: str = "w", image: str = "i", labels: t.Any = None, status: t.Any = None, **container: t.Any
) -> t.Any:
    template = {
        "spec": {
            "containers": [{"name": "kube-rbac-proxy", "image": "x:1"}, {"name": "c", "image": image, **container}]
        }
    }
    return {
        "metadata": {"name": name, "namespace": "ns", "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"replicas": 2, "template": template},
        "status": {"readyReplicas": 1} if status is None else status,
    }


@pytest.mark.parametrize(
    ("item", "approver"),
    [
        (workload(image="ghcr.io:443/postfinance/kubelet-csr-approver:v1.2.0@sha256:00"), "kubelet-csr-approver"),
        (workload(name="kubelet-serving-cert-approver"), "kubelet-serving-cert-approver"),
        (workload(labels={"app.kubernetes.io/name": "kubelet-csr-approver"}), "kubelet-csr-approver"),
        (workload(image="quay.io/kontena/kubelet-rubber-stamp-amd64:v0.3.1"), "kubelet-rubber-stamp"),
        (workload(labels={"app": "machine-approver"}), "machine-approver"),
        (workload(name="not-a-kubelet-csr-approver"), None),
        ({"metadata": None, "spec": [], "status": "x"}, None),
        ({}, None),
    ],
)
def test_how_an_approver_is_recognised(item: t.Any, approver: str | None) -> None:
    record = approver_record("Deployment", item)
    assert (record and record["approver"]) == approver


def test_what_is_told_of_it() -> None:
    image = "postfinance/kubelet-csr-approver:v1"
    record = approver_record("Deployment", workload(image=image, env=[{"name": "PROVIDER_REGEX", "value": "^a"}]))
    assert record == {
        "approver": "kubelet-csr-approver",
        "kind": "Deployment",
        "name": "w",
        "namespace": "ns",
        "image": image,
        "desired": 2,
        "ready": 1,
        "created": "2026-01-01T00:00:00Z",
        "settings": {"provider-regex": "^a"},
    }


@pytest.mark.parametrize(("status", "ready"), [({"replicas": 1}, 0), ({}, None), ({"readyReplicas": 3}, 3)])
def test_no_ready_replicas_is_none_of_them(status: t.Any, ready: int | None) -> None:
    """Go leaves a zero out; a status that nobody has written yet says nothing."""
    record = approver_record("Deployment", workload(name="kubelet-csr-approver", status=status))
    assert record and record["ready"] == ready


def test_a_daemon_set_counts_otherwise() -> None:
    item = workload(name="kubelet-csr-approver", status={"desiredNumberScheduled": 3, "numberReady": 2})
    record = approver_record("DaemonSet", item)
    assert record and (record["desired"], record["ready"]) == (3, 2)


def test_only_known_settings_are_told_and_a_flag_beats_the_environment() -> None:
    container = {
        "args": ["-provider-ip-prefixes=10.0.0.0/8", "--bypass-dns-resolution", "-level", "5"],
        "env": [
            {"name": "PROVIDER_IP_PREFIXES", "value": "0.0.0.0/0"},
            {"name": "MAX_EXPIRATION_SEC", "valueFrom": {"configMapKeyRef": {}}},
            {"name": "API_TOKEN", "value": "s3cret"},
        ],
    }
    assert settings_of(container) == {
        "provider-ip-prefixes": "10.0.0.0/8",
        "max-expiration-sec": None,
        "bypass-dns-resolution": "true",
    }


def rule(
    operations: list[str], *resources: str, group: str = "certificates.k8s.io", version: str = "v1"
) -> dict[str, t.Any]:
    return {"apiGroups": [group], "apiVersions": [version], "operations": operations, "resources": list(resources)}


@pytest.mark.parametrize(
    ("found", "acts"),
    [
        (rule(["CREATE"], "certificatesigningrequests"), ["create"]),
        (rule(["UPDATE"], "certificatesigningrequests"), []),
        (rule(["UPDATE"], "certificatesigningrequests/approval"), ["approve"]),
        (rule(["*"], "certificatesigningrequests/*"), ["create", "approve", "sign"]),
        (rule(["*"], "*", group="*", version="*"), ["create"]),
        (rule(["*"], "*/*", group="*", version="*"), ["create", "approve", "sign"]),
        (rule(["UPDATE"], "*/status"), ["sign"]),
        (rule(["*"], "*/*", group="apps"), []),
        (rule(["*"], "*/*", version="v1beta1"), []),
        (None, []),
    ],
)
def test_what_a_rule_sees(found: t.Any, acts: list[str]) -> None:
    assert acts_of([found]) == acts


def test_of_a_policys_expressions_only_the_nodes_they_name_are_told() -> None:
    named = {"expression": "request.userInfo.username != 'system:node:worker-7'"}
    assert nodes_named({"validations": [named]}) == ["worker-7"]
    spec = {"matchConditions": [named, None, {"expression": 7}], "variables": [{"expression": "'system:node:b.c.'"}]}
    assert nodes_named(spec) == ["b.c", "worker-7"]
    assert nodes_named({"validations": [{"expression": "size('system:nodes') > 0"}]}) == []
    assert nodes_named({"validations": "junk"}) == []


def test_an_api_server_without_policies_has_none_that_refuse(run_module: t.Any, api_server: t.Any) -> None:
    for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        api_server.serve_list(f"{REGISTRATION}/{kind}", [])
    result = run_module("control_plane_info", host=api_server.url, api_key="t0ken-of-tests").result
    assert result["admission"] == []


def test_the_module_tells_both(run_module: t.Any, api_server: t.Any) -> None:
    approval = rule(["UPDATE"], "certificatesigningrequests/approval")
    policy = {"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [approval]}}}
    unbound = {"metadata": {"name": "unbound"}, "spec": policy["spec"]}
    webhook = {
        "metadata": {"name": "hooks"},
        "webhooks": [{"name": "h", "rules": [approval]}, {"name": "pods", "rules": []}],
    }
    api_server.serve_list("/apis/apps/v1/deployments", [workload(), workload(name="kubelet-csr-approver")])
    api_server.serve_list("/apis/apps/v1/daemonsets", [])
    api_server.serve_list(f"{REGISTRATION}/validatingwebhookconfigurations", [webhook])
    api_server.serve_list(f"{REGISTRATION}/mutatingwebhookconfigurations", [])
    api_server.serve_list(f"{REGISTRATION}/validatingadmissionpolicies", [policy, unbound])
    api_server.serve_list(
        f"{REGISTRATION}/validatingadmissionpolicybindings",
        [
            {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
            {"spec": {"policyName": "unbound", "validationActions": ["Audit"]}},
        ],
    )
    result = run_module("control_plane_info", host=api_server.url, api_key="t0ken-of-tests").result
    assert [one["name"] for one in result["approvers"]] == ["kubelet-csr-approver"]
    assert [(one["kind"], one["name"], one["webhook"], one["acts"]) for one in result["admission"]] == [
        ("ValidatingAdmissionPolicy", "p", None, ["approve"]),
        ("ValidatingWebhookConfiguration", "hooks", "h", ["approve"]),
    ]


def test_what_may_not_be_listed_is_not_seen(run_module: t.Any, api_server: t.Any) -> None:
    api_server.routes["/apis/apps/v1/deployments"] = api_server.reply(403, {"kind": "Status", "message": "forbidden"})
    result = run_module("control_plane_info", host=api_server.url, api_key="t0ken-of-tests").result
    assert result["approvers"] is None
    assert {"approvers": "forbidden", "admission": "not_found"}.items() <= {
        entry["subject"]: entry["reason"] for entry in result["not_seen"]
    }.items()
