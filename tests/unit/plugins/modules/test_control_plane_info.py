# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import email.utils
import json
import time
import typing as t

import pytest

SYSTEM = "/api/v1/namespaces/kube-system"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
READY = b"[+]ping ok\n[+]etcd excluded: ok\n[+]poststarthook/rbac/bootstrap-roles ok\nreadyz check passed\n"
NOT_READY = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed"


def config_map(key: str, pem: bytes) -> dict[str, t.Any]:
    managed = [{"manager": "kube-apiserver", "operation": "Update", "time": "2026-05-05T00:00:00Z"}]
    return {"metadata": {"name": "c", "managedFields": managed}, "data": {key: pem.decode()}}


def pod(command: list[t.Any], labels: t.Any = None, **status: t.Any) -> dict[str, t.Any]:
    running = {"name": "kube-controller-manager", "ready": True, "restartCount": 4}
    running |= {"state": {"running": {"startedAt": "2026-11-23T20:00:00Z"}}} | status
    return {
        "metadata": {
            "name": "kube-controller-manager-cp1",
            "labels": labels or {"component": "kube-controller-manager"},
        },
        "spec": {"nodeName": "cp1", "containers": [{"name": "kube-controller-manager", "command": command}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "other"}, running]},
    }


POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"


def cluster_info(pem: bytes) -> dict[str, t.Any]:
    ca = base64.b64encode(pem).decode()
    kubeconfig = (
        f"clusters:\n- cluster:\n    certificate-authority-data: {ca}\n    server: https://api:6443\n  name: ''\n"
    )
    return {"data": {"kubeconfig": kubeconfig, "jws-kubeconfig-abcdef": "x..y", "jws-kubeconfig-12": "z"}}


@pytest.fixture
def cluster(api_server: t.Any, ca: t.Any) -> t.Any:
    reply = api_server.reply
    api_server.routes |= {
        "/version": reply(200, {"gitVersion": "v1.36.3", "major": "1"}),
        "/readyz": reply(200, READY),
        "/livez": reply(200, READY),
        f"{SYSTEM}/configmaps/extension-apiserver-authentication": reply(200, config_map("client-ca-file", ca.pem)),
        "/api/v1/namespaces/kube-public/configmaps/kube-root-ca.crt": reply(200, config_map("ca.crt", ca.pem + ca.pem)),
        INFO: reply(200, cluster_info(ca.pem)),
        POLICIES: reply(404, {"message": "no such resource"}),
        LEASE: reply(
            200, {"spec": {"holderIdentity": "cp1_x", "renewTime": "2026-11-23T20:05:00.1Z", "leaseTransitions": 3}}
        ),
    }
    api_server.serve_list(f"{SYSTEM}/pods", [pod(["kube-controller-manager", "--controllers=*"])])
    api_server.serve_list(CSRS, [])
    return api_server


def run(run_module: t.Any, cluster: t.Any, **arguments: t.Any) -> t.Any:
    return run_module("control_plane_info", host=cluster.url, api_key="t0ken-of-tests", **arguments).result


def reasons(result: t.Any) -> dict[str, str]:
    found = {entry["subject"]: entry["reason"] for entry in result["not_seen"]}
    assert found.pop("api_server.serving_certificates") == "unsupported"  # this server speaks no TLS
    return found


def test_all_of_it(run_module: t.Any, cluster: t.Any) -> None:
    result = run(run_module, cluster)
    assert reasons(result) == {}
    server = result["api_server"]
    assert server["url"] == cluster.url
    assert server["reachable"] is True
    assert server["error"] is None
    assert server["version"] == "v1.36.3"
    assert abs(server["time_offset_seconds"]) <= 1
    assert (
        server["readyz"]
        == server["livez"]
        == {
            "ok": True,
            "checks": [
                {"name": "ping", "ok": True, "message": ""},
                {"name": "etcd", "ok": True, "message": "excluded: ok"},
                {"name": "poststarthook/rbac/bootstrap-roles", "ok": True, "message": ""},
            ],
        }
    )
    assert [found["common_name"] for found in result["client_ca"]["certificates"]] == ["kubernetes"]
    assert result["client_ca"]["last_changed"] == "2026-05-05T00:00:00Z"
    assert len(result["cluster_ca"]["certificates"]) == 2
    assert (result["cluster_info"]["server"], result["cluster_info"]["tokens"]) == ("https://api:6443", ["abcdef"])
    assert [found["common_name"] for found in result["cluster_info"]["certificates"]] == ["kubernetes"]
    assert result["controller_manager"]["lease"] == {
        "holder": "cp1_x",
        "acquired": None,
        "renewed": "2026-11-23T20:05:00Z",
        "duration_seconds": None,
        "transitions": 3,
    }
    assert result["controller_manager"]["pods"] == [
        {
            "name": "kube-controller-manager-cp1",
            "node": "cp1",
            "phase": "Running",
            "ready": True,
            "restarts": 4,
            "started": "2026-11-23T20:00:00Z",
            "last_termination": None,
            "flags": {"controllers": "*"},
        }
    ]
    assert result["last_issued"] == {}


def test_only_policies_that_name_nodes_are_told(run_module: t.Any, cluster: t.Any) -> None:
    assert run(run_module, cluster)["admission_policies"] == []

    def policy(name: str, **spec: t.Any) -> dict[str, t.Any]:
        return {"metadata": {"name": name}, "spec": spec}

    named = {"expression": "request.userInfo.username != 'system:node:worker-7'"}
    items = [
        policy("a", validations=[named], failurePolicy="Fail"),
        policy("b", matchConditions=[named, None, {"expression": 7}], variables=[{"expression": "'system:node:b.c.'"}]),
        policy("c", validations=[{"expression": "size('system:nodes') > 0"}]),
        policy("d", validations="junk"),
    ]
    cluster.serve_list(POLICIES, items)
    assert run(run_module, cluster)["admission_policies"] == [
        {"name": "a", "failure_policy": "Fail", "nodes": ["worker-7"]},
        {"name": "b", "failure_policy": None, "nodes": ["b.c", "worker-7"]},
    ]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"message": "no"}, {}),
        (403, {"message": "no"}, {"cluster_info": "forbidden"}),
        (200, {"data": {"kubeconfig": "server: [no"}}, {}),
        (200, {"data": None}, {}),
    ],
)
def test_cluster_info_that_tells_nothing(
    run_module: t.Any, cluster: t.Any, status: int, body: t.Any, expected: dict[str, str]
) -> None:
    cluster.routes[INFO] = cluster.reply(status, body)
    result = run(run_module, cluster)
    assert reasons(result) == expected
    assert result["cluster_info"] in (None, {"server": None, "certificates": [], "tokens": []})


def test_not_ready_is_read_though_it_is_http_500(run_module: t.Any, cluster: t.Any) -> None:
    cluster.routes["/readyz"] = cluster.reply(500, NOT_READY)
    result = run(run_module, cluster)
    assert result["api_server"]["readyz"]["ok"] is False
    assert result["api_server"]["readyz"]["checks"][1] == {
        "name": "etcd",
        "ok": False,
        "message": "failed: reason withheld",
    }
    assert reasons(result) == {}


@pytest.mark.parametrize(("status", "reason"), [(403, "forbidden"), (404, "not_found"), (500, "error"), (503, "error")])
def test_health_that_cannot_be_read(run_module: t.Any, cluster: t.Any, status: int, reason: str) -> None:
    cluster.routes["/readyz"] = cluster.reply(status, {"message": "no"})
    result = run(run_module, cluster)
    assert result["api_server"]["readyz"] is None
    assert reasons(result) == {"api_server.readyz": reason}


@pytest.mark.parametrize(("offset", "expected"), [(0, 0), (3600, 3600), (-86400, -86400)])
def test_the_clocks(
    run_module: t.Any, cluster: t.Any, monkeypatch: pytest.MonkeyPatch, offset: int, expected: int
) -> None:
    import http.server

    def shifted(self: t.Any, timestamp: t.Any = None) -> str:
        return email.utils.formatdate(time.time() + offset, usegmt=True)

    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "date_time_string", shifted)
    found = run(run_module, cluster)["api_server"]
    assert abs(found["time_offset_seconds"] - expected) <= 1


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 20261 99:99:99 GMT", "Mon, 01 Jan 99999 00:00:00 GMT"])
def test_a_date_that_is_none(run_module: t.Any, cluster: t.Any, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    import http.server

    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "date_time_string", lambda self, timestamp=None: date)
    found = run(run_module, cluster)["api_server"]
    assert (found["time"], found["time_offset_seconds"]) == (None, None)
    assert found["version"] == "v1.36.3"


@pytest.mark.parametrize("refused", [1, 2])
def test_the_cluster_ca_is_looked_for_in_turn(run_module: t.Any, cluster: t.Any, ca: t.Any, refused: int) -> None:
    namespaces = ("kube-public", "kube-system", "default")
    for number, namespace in enumerate(namespaces):
        path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"
        answers = [cluster.reply(403, {"message": "no"}), cluster.reply(404, {"message": "no"})]
        cluster.routes[path] = (
            answers[number % 2] if number < refused else cluster.reply(200, config_map("ca.crt", ca.pem))
        )
    result = run(run_module, cluster)
    assert len(result["cluster_ca"]["certificates"]) == 1
    assert reasons(result) == {}


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        (f"{SYSTEM}/configmaps/extension-apiserver-authentication", "client_ca"),
        ("/api/v1/namespaces/kube-public/configmaps/kube-root-ca.crt", "cluster_ca"),
    ],
)
def test_a_ca_that_is_not_there(run_module: t.Any, cluster: t.Any, path: str, subject: str) -> None:
    cluster.routes[path] = cluster.reply(200, {"metadata": {}, "data": {"other": "x"}})
    result = run(run_module, cluster)
    assert result[subject] is None
    assert reasons(result) == {subject: "not_found"}


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            ["kube-controller-manager", "--cluster-signing-cert-file=/c", "--cluster-signing-key-file", "/k", "--v=2"],
            None,
        ),
        (
            [
                "kube-controller-manager",
                "-cluster-signing-cert-file=/c",
                "--cluster-signing-key-file=/old",
                "--cluster-signing-key-file=/k",
                "--v",
                "2",
            ],
            None,
        ),
        (
            [
                "/bin/sh",
                "-c",
                "exec kube-controller-manager --cluster-signing-cert-file=/c --cluster-signing-key-file='/k' --v=2 >> /log 2>&1",
            ],
            None,
        ),
        (
            ["kube-controller-manager", "--use-service-account-credentials", "--cloud-config=/secret"],
            {"use-service-account-credentials": "true"},
        ),
        (["kube-controller-manager", "--leader-elect", "--secret-token=abc"], {"leader-elect": "true"}),
        (["kube-controller-manager --v=1 'unclosed"], {"v": "1"}),
        ([7, None, "--controllers="], {"controllers": ""}),
        ([], {}),
    ],
)
def test_flags(run_module: t.Any, cluster: t.Any, command: list[t.Any], flags: t.Any) -> None:
    cluster.serve_list(f"{SYSTEM}/pods", [pod(command)])
    expected = (
        {"cluster-signing-cert-file": "/c", "cluster-signing-key-file": "/k", "v": "2"} if flags is None else flags
    )
    assert run(run_module, cluster)["controller_manager"]["pods"][0]["flags"] == expected


@pytest.mark.parametrize("label", ["component", "k8s-app", "app"])
def test_pods_by_whatever_label(run_module: t.Any, cluster: t.Any, label: str) -> None:
    cluster.serve_list(f"{SYSTEM}/pods", [pod([], {label: "kube-controller-manager"})])
    assert len(run(run_module, cluster)["controller_manager"]["pods"]) == 1


def test_no_pods(run_module: t.Any, cluster: t.Any) -> None:
    cluster.serve_list(f"{SYSTEM}/pods", [])
    result = run(run_module, cluster)
    assert result["controller_manager"]["pods"] == []
    assert reasons(result) == {}


def test_why_it_ended_last_without_secrets(run_module: t.Any, cluster: t.Any) -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"
    message = (
        f"Authorization: Bearer {jwt}\n--token=verysecret12 password: hunter2hunter\nabcdef.0123456789abcdef\n"
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\nhttp://u:pw@proxy:3128 \x1b[31mpanic: no CA\n"
        + "x"
        * 5000
    )
    ended = {"reason": "Error", "message": message, "exitCode": 255, "finishedAt": "2026-11-23T19:00:00Z"}
    cluster.serve_list(f"{SYSTEM}/pods", [pod([], lastState={"terminated": ended})])
    result = run(run_module, cluster)
    found = result["controller_manager"]["pods"][0]["last_termination"]
    assert (found["reason"], found["exit_code"], found["finished"]) == ("Error", 255, "2026-11-23T19:00:00Z")
    assert "panic: no CA" in found["message"]
    assert len(found["message"]) == 500
    for secret in (jwt, "verysecret12", "hunter2hunter", "0123456789abcdef", "MHcCAQEE", "u:pw", "\x1b"):
        assert secret not in json.dumps(result)


def test_last_issued_may_be_left_out(run_module: t.Any, cluster: t.Any) -> None:
    result = run(run_module, cluster, last_issued=False)
    assert result["last_issued"] is None
    assert reasons(result) == {"last_issued": "disabled"}
    assert CSRS not in [asked.path for asked in cluster.asked]


def test_last_issued(run_module: t.Any, cluster: t.Any) -> None:
    signer = "kubernetes.io/kubelet-serving"
    approved = {"type": "Approved", "status": "True", "lastUpdateTime": "2026-11-23T20:01:00Z"}
    issued = {
        "metadata": {"name": "a"},
        "spec": {"signerName": signer},
        "status": {"certificate": "eA==", "conditions": [approved]},
    }
    cluster.serve_list(CSRS, [issued, {"metadata": {"name": "b"}, "spec": {"signerName": signer}}])
    assert run(run_module, cluster)["last_issued"] == {signer: "2026-11-23T20:01:00Z"}


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'{"gitVersion": "' + b"x" * 500 + b'"}'])
def test_a_version_that_is_none(run_module: t.Any, cluster: t.Any, body: bytes) -> None:
    cluster.routes["/version"] = cluster.reply(200, body)
    result = run(run_module, cluster)
    assert result["api_server"]["version"] is None
    assert reasons(result) == {"api_server.version": "malformed"}
    assert result["client_ca"] is not None
