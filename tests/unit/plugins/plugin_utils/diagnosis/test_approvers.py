# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each approver's checks, one by one, as its own code has them; and who is held responsible."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import (
    built_in,
    kubelet_csr_approver,
    kubelet_rubber_stamp,
    kubelet_serving_cert_approver,
    machine_approver,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import Case, same_name
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.replay import (
    replay_client,
    replay_serving,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules

from .evidence_builder import NODE, Data, changed, csr


def passed(checks: list[Data]) -> dict[str, bool | None]:
    return {entry["name"]: entry["passed"] for entry in checks}


def client(**changes: t.Any) -> Case:
    known: Data = {"selfnodeclient": True, "nodeclient": False}
    known |= {key: changes.pop(key) for key in list(changes) if key in known}
    return Case(csr=csr(**changes), **known)


def serving(settings: Data | None = None, **changes: t.Any) -> Case:
    known: Data = {"node_addresses": (NODE, "10.0.0.1"), "create": True, "nodes": 2, "pending": 1}
    known |= {
        key: changes.pop(key)
        for key in list(changes)
        if key in (*known, "image", "cluster_version", "serving_certificate")
    }
    return Case(csr=csr(signer="serving", **changes), settings=settings or {}, **known)


@pytest.mark.parametrize(
    ("case", "failing", "approves"),
    [
        (client(), [], True),
        (client(usages=["digital signature", "key encipherment", "client auth"]), [], True),
        (client(requestor="system:bootstrap:abcdef", nodeclient=True), [], True),
        (client(requestor="system:bootstrap:abcdef", nodeclient=None), ["username", "selfnodeclient"], None),
        (client(requestor="admin"), ["username", "selfnodeclient", "nodeclient"], False),
        (client(selfnodeclient=False), ["selfnodeclient", "nodeclient"], False),
        (client(selfnodeclient=None), ["nodeclient"], None),
        (client(request={"organizations": ["system:nodes", "other"]}), ["organizations"], False),
        (client(request={"dns_names": ["a"]}), ["no DNS names"], False),
        (client(request={"emails": ["a@b"]}), ["no mail addresses"], False),
        (client(request={"ip_addresses": ["10.0.0.1"]}), ["no addresses"], False),
        (client(request={"uris": ["spiffe://a"]}), ["no URIs"], False),
        (client(request={"common_name": "worker-1"}), ["common name"], False),
        (client(usages=["client auth"]), ["usages"], False),
        (client(usages=["digital signature", "client auth", "server auth"]), ["usages"], False),
    ],
)
def test_the_controller_manager(case: Case, failing: list[str], approves: bool | None) -> None:
    _checks, found, decision = built_in.replay(case)
    assert (found, decision) == (failing, approves)


@pytest.mark.parametrize(
    ("case", "check", "expected"),
    [
        (serving(), "provider-regex", True),
        (serving({"provider-regex": "^node-"}), "provider-regex", False),
        (serving({"provider-regex": None}), "provider-regex", None),
        (serving({"provider-regex": "("}), "provider-regex", None),
        (serving(), "number of DNS names", True),
        (serving(request={"dns_names": [NODE, "b"]}), "number of DNS names", False),
        (serving({"allowed-dns-names": "2"}, request={"dns_names": [NODE, "b"]}), "number of DNS names", True),
        (serving(request={"dns_names": ["other"]}), "DNS names begin with the node's", False),
        (
            serving({"bypass-hostname-check": "true"}, request={"dns_names": ["other"]}),
            "DNS names begin with the node's",
            True,
        ),
        (serving(), "DNS resolves to the addresses", None),
        (serving({"bypass-dns-resolution": "T"}), "DNS resolves to the addresses", True),
        (serving(request={"dns_names": []}), "DNS resolves to the addresses", True),
        (
            serving(
                conditions=[
                    {"type": "Denied", "message": "Reason: The SAN DNS Name could not be resolved, denying the CSR"}
                ]
            ),
            "DNS resolves to the addresses",
            False,
        ),
        (serving(), "provider-ip-prefixes", True),
        (serving({"provider-ip-prefixes": "192.168.0.0/16,fc00::/7"}), "provider-ip-prefixes", False),
        (serving({"provider-ip-prefixes": "10.0.0.0/8"}), "provider-ip-prefixes", True),
        (serving({"provider-ip-prefixes": "many"}), "provider-ip-prefixes", None),
        (serving(requested_duration_seconds=86400), "max-expiration-sec", True),
        (serving({"max-expiration-sec": "3600"}, requested_duration_seconds=86400), "max-expiration-sec", False),
        (serving(requestor="admin"), "signed-in node", False),
        (serving(request={"dns_names": [], "ip_addresses": []}), "names", False),
    ],
)
def test_kubelet_csr_approver(case: Case, check: str, expected: bool | None) -> None:
    assert passed(kubelet_csr_approver.replay(case))[check] is expected


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", ".*.*.*.*x", "(?P<n>a)(?(n)b|c)", "(a|a)*$", "x{1,9999}{1,9999}{1,9999}{1,9999}"]
)
def test_a_hostile_pattern_costs_no_time(pattern: str) -> None:
    case = serving({"provider-regex": pattern}, request={"dns_names": ["a" * 250 + "!"]})
    started = time.monotonic()
    assert passed(kubelet_csr_approver.replay(case))["provider-regex"] is None
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("case", "failing"),
    [
        (serving(), []),
        (serving(usages=["server auth", "digital signature", "key encipherment"]), []),
        (serving(usages=["client auth"]), ["usages"]),
        (serving(request={"uris": ["a"]}), ["no mail addresses or URIs"]),
        (serving(create=False), ["may create requests"]),
        (serving(requestor="system:node:other"), ["username"]),
    ],
)
def test_kubelet_serving_cert_approver(case: Case, failing: list[str]) -> None:
    checks = passed(kubelet_serving_cert_approver.replay(case))
    assert [name for name, value in checks.items() if value is False] == failing


@pytest.mark.parametrize(
    ("image", "version", "expected"),
    [
        ("kontena/kubelet-rubber-stamp-amd64:v0.3.1", "v1.36.3", False),
        ("kontena/kubelet-rubber-stamp:0.2", "v1.22.0", False),
        ("kontena/kubelet-rubber-stamp-amd64:v0.3.1", "v1.21.9", True),
        ("kontena/kubelet-rubber-stamp-amd64:latest", "v1.36.3", None),
        ("kontena/kubelet-rubber-stamp-amd64:v0.3.1", None, None),
    ],
)
def test_kubelet_rubber_stamp(image: str, version: str | None, expected: bool | None) -> None:
    assert passed(kubelet_rubber_stamp.replay(serving(image=image, cluster_version=version)))["API version"] is expected


def test_machine_approver_of_a_joining_node() -> None:
    joining = csr(requestor=machine_approver.BOOTSTRAPPER)
    checks = passed(machine_approver.replay_client(Case(csr=joining, node_registered=True, nodes=3, pending=104)))
    assert checks["node-bootstrapper"] is True
    assert checks["no such Node yet"] is False
    assert checks["not too many pending"] is False
    assert checks["a Machine without a Node"] is None
    assert passed(machine_approver.replay_client(Case(csr=joining)))["no such Node yet"] is None


def test_machine_approver_of_a_serving_request() -> None:
    name = "names are those served now, or the Machine's"
    groups = ["system:nodes", "system:authenticated"]
    foreign: Data = {"dns_names": ["old-name"], "ip_addresses": ["10.0.0.1"]}
    assert passed(machine_approver.replay_serving(serving(groups=groups)))[name] is True
    assert passed(machine_approver.replay_serving(serving(groups=groups, request=foreign)))[name] is False
    served = serving(groups=groups, request=foreign, serving_certificate=foreign)
    assert passed(machine_approver.replay_serving(served))[name] is True


def test_names_are_compared_as_what_they_are() -> None:
    assert same_name("Node-1.example.com.", "node-1.EXAMPLE.com")
    assert same_name("fd00::1", "fd00:0:0::1")
    assert not same_name("10.0.0.1", "10.0.0.10")
    assert not same_name("10.0.0.1", "node-1")


def test_who_is_responsible() -> None:
    installed: list[Data] = [
        {"approver": "kubelet-rubber-stamp", "namespace": "a", "name": "x", "ready": 0},
        {"approver": "kubelet-csr-approver", "namespace": "b", "name": "y", "ready": 1},
    ]
    assert replay_serving(serving(), installed, None)["approver"]["workload"] == "b/y"
    assert replay_serving(serving(), [], None)["approver"]["name"] == "nobody"
    assert replay_serving(serving(), None, None)["approver"]["name"] is None
    assert replay_serving(serving(), [], "EKS")["approver"]["name"] == "EKS"
    assert replay_client(client(), installed)["approver"]["name"] == "kube-controller-manager"
    openshift: list[Data] = [{"approver": "machine-approver", "ready": 1}]
    assert (
        replay_client(client(requestor=machine_approver.BOOTSTRAPPER), openshift)["approver"]["name"]
        == "machine-approver"
    )
    assert replay_client(client(), openshift)["approver"]["name"] == "kube-controller-manager"


def test_the_diagnosis_names_the_check_that_fails() -> None:
    evidence = changed(
        {"csrs": [{"state": "pending", "signer": "serving", "age": 60, "request": {"dns_names": ["www.example.com"]}}]}
    )
    node = next(entry for entry in diagnose(evidence, built_in_rules())["nodes"] if entry["name"] == NODE)
    [approval] = node["approval"]
    assert (approval["subject"], approval["csr"], approval["state"]) == ("serving", "csr-pending-60", "pending")
    assert approval["failing"] == ["names are the node's"]
    [failed] = [entry for entry in approval["checks"] if entry["passed"] is False]
    assert "www.example.com" in failed["compared"] and "10.0.0.1" in failed["compared"]


def test_an_empty_list_of_requests_is_said_to_prove_nothing() -> None:
    node = next(entry for entry in diagnose(changed({}), built_in_rules())["nodes"] if entry["name"] == NODE)
    facts = next(stage for stage in node["stages"] if stage["stage"] == "approval")["facts"]
    assert any("proves little" in fact for fact in facts)
    assert node["approval"] == []
