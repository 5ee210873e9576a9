# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

import pytest

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"


def condition(kind: str, when: str | None = "2026-11-23T20:01:00Z", status: str | None = "True") -> dict[str, t.Any]:
    found = {"type": kind, "reason": "r", "message": "m", "lastUpdateTime": when, "lastTransitionTime": when}
    return found | ({"status": status} if status else {})


def csr(name: str = "csr-1", signer: str = CLIENT, request: bytes = b"", **status: t.Any) -> dict[str, t.Any]:
    return {
        "metadata": {"name": name, "uid": "u", "creationTimestamp": "2026-11-23T20:00:00Z"},
        "spec": {
            "signerName": signer,
            "username": "system:node:worker-7",
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "client auth"],
            "request": base64.b64encode(request).decode(),
        },
        "status": status,
    }


def run_with(run_module: t.Any, api_server: t.Any, *csrs: t.Any, **arguments: t.Any) -> t.Any:
    api_server.serve_list(CSRS, list(csrs))
    return run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests", **arguments).result


def test_a_request_as_the_contract_has_it(run_module: t.Any, api_server: t.Any, requests_of: t.Any) -> None:
    pem = requests_of("system:node:worker-7", names=["worker-7", "10.0.0.7"])
    result = run_with(run_module, api_server, csr(request=pem))
    (found,) = result["csrs"]
    assert found["node"] == "worker-7"
    assert found["requestor"] == "system:node:worker-7"
    assert found["groups"] == ["system:nodes", "system:authenticated"]
    assert found["usages"] == ["digital signature", "client auth"]
    assert found["requested_duration_seconds"] is None
    assert (found["state"], found["state_since"]) == ("pending", "2026-11-23T20:00:00Z")
    assert found["error"] is None
    assert found["certificate"] is None
    request = found["request"]
    assert request["common_name"] == "system:node:worker-7"
    assert request["organizations"] == ["system:nodes"]
    assert (request["dns_names"], request["ip_addresses"]) == (["worker-7"], ["10.0.0.7"])
    assert request["public_key"] == "ECDSA P-256"
    assert request["signature_valid"] is True
    assert result["last_issued"] == {}


@pytest.mark.parametrize(
    ("extra", "presented"),
    [
        ({"authentication.kubernetes.io/credential-id": ["X509SHA256=" + "ab" * 32]}, "ab" * 32),
        ({"authentication.kubernetes.io/credential-id": ["JTI=" + "ab" * 32]}, None),
        ({"authentication.kubernetes.io/credential-id": ["X509SHA256=<script>"]}, None),
        ({"authentication.kubernetes.io/credential-id": "junk"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_certificate_that_it_came_with(
    run_module: t.Any, api_server: t.Any, extra: t.Any, presented: t.Any
) -> None:
    request = csr()
    request["spec"]["extra"] = extra
    (found,) = run_with(run_module, api_server, request)["csrs"]
    assert found["presented_sha256"] == presented


@pytest.mark.parametrize(
    ("conditions", "state", "since"),
    [
        ([], "pending", "2026-11-23T20:00:00Z"),
        ([condition("Approved")], "approved_not_signed", "2026-11-23T20:01:00Z"),
        ([condition("Approved", status=None)], "approved_not_signed", "2026-11-23T20:01:00Z"),
        ([condition("Approved", status="False")], "pending", "2026-11-23T20:00:00Z"),
        ([condition("Denied")], "denied", "2026-11-23T20:01:00Z"),
        ([condition("Approved"), condition("Failed", "2026-11-23T20:02:00Z")], "failed", "2026-11-23T20:02:00Z"),
        ([condition("Denied"), condition("Failed", "2026-11-23T20:02:00Z")], "failed", "2026-11-23T20:02:00Z"),
        ([condition("Denied", None)], "denied", None),
        ([condition("SomethingElse")], "pending", "2026-11-23T20:00:00Z"),
    ],
)
def test_states(run_module: t.Any, api_server: t.Any, conditions: list[t.Any], state: str, since: str | None) -> None:
    (found,) = run_with(run_module, api_server, csr(conditions=conditions))["csrs"]
    assert (found["state"], found["state_since"]) == (state, since)
    assert [entry["type"] for entry in found["conditions"]] == [entry["type"] for entry in conditions]


def test_issued(run_module: t.Any, api_server: t.Any, ca: t.Any, pairs: t.Any) -> None:
    leaf = pairs("system:node:worker-7", ca, organizations=["system:nodes"])
    chain = base64.b64encode(leaf.pem + ca.pem).decode()
    conditions = [condition("Approved"), condition("Failed")]
    signed = csr("signed", conditions=conditions, certificate=chain)
    fields = {"f:status": {"f:certificate": {}}}
    signed["metadata"]["managedFields"] = [
        {
            "manager": "kube-controller-manager",
            "subresource": "status",
            "time": "2026-11-23T20:01:05Z",
            "fieldsV1": fields,
        },
        {"manager": "kubectl", "time": "2026-11-23T23:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    unrecorded = csr("unrecorded", SERVING, conditions=[condition("Approved")], certificate=chain)
    result = run_with(run_module, api_server, signed, unrecorded)
    found = {entry["name"]: entry for entry in result["csrs"]}
    assert (found["signed"]["state"], found["signed"]["state_since"]) == ("issued", "2026-11-23T20:01:05Z")
    assert found["signed"]["certificate"]["common_name"] == "system:node:worker-7"
    assert found["unrecorded"]["state_since"] == "2026-11-23T20:01:00Z"
    assert result["last_issued"] == {CLIENT: "2026-11-23T20:01:05Z", SERVING: "2026-11-23T20:01:00Z"}


@pytest.mark.parametrize(
    "request_field",
    ["", "!!!", base64.b64encode(b"no PEM").decode(), base64.b64encode(b"\x00" * 200_000).decode(), 7, None],
)
@pytest.mark.parametrize("certificate", ["!!!", base64.b64encode(b"no PEM").decode(), "A" * 1_000_000, 7])
def test_what_cannot_be_decoded(run_module: t.Any, api_server: t.Any, request_field: t.Any, certificate: t.Any) -> None:
    bad = csr(certificate=certificate)
    bad["spec"]["request"] = request_field
    (found,) = run_with(run_module, api_server, bad)["csrs"]
    assert found["request"] is None
    assert found["node"] is None
    assert "cannot be decoded" in found["error"]
    assert "cannot be decoded" in found["certificate"]["error"]


@pytest.mark.parametrize("common_name", ["system:node:", "worker-7", "system:serviceaccount:a:b"])
def test_common_names_of_no_node(run_module: t.Any, api_server: t.Any, requests_of: t.Any, common_name: str) -> None:
    (found,) = run_with(run_module, api_server, csr(request=requests_of(common_name)))["csrs"]
    assert found["request"]["common_name"] == common_name
    assert found["node"] is None


def test_signers_are_asked_for_one_by_one(run_module: t.Any, api_server: t.Any) -> None:
    other = csr("other", "example.com/x")
    result = run_with(run_module, api_server, csr("b", SERVING), csr("a"), other)
    assert [entry["name"] for entry in result["csrs"]] == ["a", "b"]
    assert [asked.query["fieldSelector"] for asked in api_server.asked] == [
        f"spec.signerName={CLIENT}",
        f"spec.signerName={SERVING}",
    ]
    result = run_with(run_module, api_server, other, signer_names=["example.com/x"])
    assert [entry["name"] for entry in result["csrs"]] == ["other"]


def test_half_a_list_is_no_list(run_module: t.Any, api_server: t.Any) -> None:
    api_server.serve_list(CSRS, [csr()])
    whole = api_server.routes[CSRS]
    refused = api_server.reply(403, {"message": "not these"})
    api_server.routes[CSRS] = lambda asked: refused if SERVING in asked.query["fieldSelector"] else whole(asked)
    result = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests").result
    assert result["csrs"] is None
    assert result["last_issued"] is None
    assert result["not_seen"][0]["reason"] == "forbidden"
