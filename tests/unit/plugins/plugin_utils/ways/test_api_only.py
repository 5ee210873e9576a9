# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way through the API alone, against a server that answers as the node proxy of an API server does."""

from __future__ import annotations

import datetime
import email.utils
import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import access
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import from_epoch, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways import by_api
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.api_only import api_only

Data = dict[str, t.Any]
NODE = "worker-7"
PROXY = f"/api/v1/nodes/{NODE}/proxy"
CONFIG: Data = {
    "kind": "KubeletConfiguration",
    "rotateCertificates": True,
    "serverTLSBootstrap": True,
    "authentication": {"x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"}},
    "featureGates": {"RotateKubeletServerCertificate": True, "Odd": "no"},
    "enableServer": True,
    "enableSystemLogHandler": True,
}
METRICS = b"""# TYPE kubelet_certificate_manager_client_ttl_seconds gauge
kubelet_certificate_manager_client_ttl_seconds 3.1536e+07
kubelet_certificate_manager_client_expiration_renew_errors 3
kubelet_certificate_manager_server_ttl_seconds +Inf
kubelet_server_expiration_renew_errors 0
process_start_time_seconds 1.7640e+09
rest_client_exec_plugin_call_total{call_status="no_error",code="0"} 2
rest_client_exec_plugin_call_total{call_status="plugin_execution_error",code="1"} 1
rest_client_exec_plugin_ttl_seconds +Inf
kubernetes_build_info{build_date="x",git_version="v1.36.3",major="1"} 1
kubelet_certificate_manager_client_ttl_seconds_of_another 5
"""
LOG = """\
Nov 23 20:01:02.123456 worker-7 systemd[1]: Started kubelet.service - kubelet.
Nov 23 20:01:03.000001 worker-7 kubelet[812]: E1123 20:01:03.000000     812 certificate_manager.go:1] "Certificate request was not signed" token: hunter2pwd
Nov 23 20:01:04.000001 worker-7 kubelet[812]: I1123 20:01:04.000000     812 prober.go:1] Probe failed: certificate
no line of a journal
"""


def node(address: str = "127.0.0.1", port: int = 1) -> Data:
    return {
        "metadata": {"name": NODE},
        "status": {
            "addresses": [{"type": "Hostname", "address": NODE}, {"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


@pytest.fixture
def kubelet(api_server: t.Any) -> t.Any:
    """An API server with one node whose kubelet answers; tests change its routes."""
    api_server.serve_list("/api/v1/nodes", [node()])
    date = {"Date": email.utils.formatdate(time.time(), usegmt=True)}
    api_server.routes[f"{PROXY}/configz"] = api_server.reply(200, {"kubeletconfig": dict(CONFIG)}, headers=date)
    api_server.routes[f"{PROXY}/metrics"] = api_server.reply(200, METRICS, headers=date)
    api_server.routes[f"{PROXY}/healthz"] = api_server.reply(200, b"ok", headers=date)
    return api_server


@pytest.fixture
def look(alone: None, api_server: t.Any, tmp_path: t.Any) -> t.Callable[..., Data]:
    def run(**options: t.Any) -> Data:
        api = Api(access({"host": api_server.url, "api_key": "token"}, str(tmp_path)), 5, max_bytes=1_000_000)
        given = {"node": NODE, "host": "host-7", "log_since_seconds": 86400, "log_lines": 40, "unit": "kubelet"}
        return api_only(api, **{**given, **options})

    return run


def reasons(evidence: Data) -> dict[str, str]:
    return {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}


def test_what_is_seen_and_what_is_not(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    evidence = look()
    assert evidence["reachable"] is True
    assert evidence["hostname"] == NODE
    assert evidence["addresses"] == ["127.0.0.1"]
    assert evidence["config"] == {
        "source": "configz",
        "exists": True,
        "drop_ins": [],
        "rotate_certificates": True,
        "server_tls_bootstrap": True,
        "tls_cert_file": None,
        "tls_private_key_file": None,
        "enable_server": True,
        "client_ca_file": "/etc/kubernetes/pki/ca.crt",
        "unset": ["tls_cert_file", "tls_private_key_file"],
        "feature_gates": {"RotateKubeletServerCertificate": True},
    }
    metrics = evidence["metrics"]
    ends = parse_time(metrics.pop("client_not_after"))
    wanted = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=365)
    assert abs((ends - wanted).total_seconds()) < 5
    assert metrics == {
        "started": from_epoch(1_764_000_000),
        "client_renew_errors": 3,
        "serving_not_after": None,
        "serving_renew_errors": 0,
        "version": "v1.36.3",
        "exec_plugin_calls": 3,
    }
    assert evidence["healthz"] == {"address": "127.0.0.1", "port": 1, "answer": "answered", "http_status": 200}
    assert abs(evidence["clock"]["offset_seconds"]) <= 1
    null = {key for key, value in evidence.items() if value is None}
    assert null == set(reasons(evidence))
    assert reasons(evidence)["log"] == "disabled"
    assert reasons(evidence)["serving"] == "unreachable"
    assert reasons(evidence)["pki"] == "unsupported"


def test_a_switch_that_is_left_out_is_off(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    config = {key: value for key, value in CONFIG.items() if key not in ("rotateCertificates", "serverTLSBootstrap")}
    own = {"tlsCertFile": "/var/lib/kubelet/pki/kubelet.crt", "tlsPrivateKeyFile": "/var/lib/kubelet/pki/kubelet.key"}
    kubelet.routes[f"{PROXY}/configz"] = kubelet.reply(200, {"kubeletconfig": {**config, **own}})
    found = look()["config"]
    assert found["rotate_certificates"] is False
    assert found["server_tls_bootstrap"] is False
    assert found["tls_cert_file"] is None


def test_the_certificate_served(kubelet: t.Any, look: t.Callable[..., Data], tls_server: t.Any, pairs: t.Any) -> None:
    other = tls_server(pairs("system:node:worker-7", pairs("kubernetes")))
    kubelet.serve_list("/api/v1/nodes", [node(port=other.port)])
    serving = look()["serving"]
    assert serving["connect"] == "ok"
    assert serving["certificates"][0]["common_name"] == "system:node:worker-7"
    assert other.asked == []


def test_the_log_query(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    kubelet.routes[f"{PROXY}/configz"] = kubelet.reply(200, {"kubeletconfig": {**CONFIG, "enableSystemLogQuery": True}})
    kubelet.routes[f"{PROXY}/logs/"] = kubelet.reply(200, LOG.encode())
    evidence = look(unit="kubelet.service")
    asked = kubelet.asked[-1]
    assert (asked.query["query"], asked.query["tailLines"]) == ("kubelet", "20000")
    found = evidence["log"]
    assert (found["source"], found["lines"]) == ("journal", 3)
    assert found["counts"]["not_signed"]["count"] == 1
    assert found["entries"][0]["time"].endswith("-11-23T20:01:03Z")
    assert "hunter2pwd" not in str(evidence)
    assert all("prober" not in entry["message"] for entry in found["entries"])


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        ((403, {"kind": "Status", "message": 'nodes "worker-7" is forbidden'}), "forbidden", "is forbidden"),
        (
            (503, {"kind": "Status", "message": "dial tcp 10.0.0.7:10250: connect: connection refused"}),
            "unreachable",
            "refused",
        ),
        ((401, b"Unauthorized"), "unauthorized", "401"),
        ((500, b"Authorization error (user=kube-apiserver-kubelet-client, verb=get)"), "error", "Authorization error"),
        ((200, b"x" * 1_000_001), "too_large", "1000000"),
    ],
)
def test_a_kubelet_that_does_not_answer(
    kubelet: t.Any, look: t.Callable[..., Data], reply: tuple[int, t.Any], reason: str, words: str
) -> None:
    for part in ("configz", "metrics", "healthz"):
        kubelet.routes[f"{PROXY}/{part}"] = kubelet.reply(*reply)
    evidence = look()
    assert evidence["reachable"] is False
    (entry,) = evidence["not_seen"]
    assert (entry["subject"], entry["reason"]) == ("node", reason)
    assert words in entry["message"]


def test_a_kubelet_whose_certificate_has_ended_says_so_in_few_words(
    kubelet: t.Any, alone: None, tmp_path: t.Any
) -> None:
    words = b"Authorization error (user=kube-apiserver-kubelet-client, verb=get, resource=nodes, subresource=proxy)"
    for part in ("configz", "metrics", "healthz"):
        kubelet.routes[f"{PROXY}/{part}"] = kubelet.reply(500, words)
    options = {"node_name": NODE, "kubelet_unit": None, "log_since_seconds": 60, "log_lines": 1, "request_timeout": 5}
    with by_api.connected({**options, "host": kubelet.url, "api_key": "token"}, str(tmp_path)) as api:
        (entry,) = by_api.evidence_by_api(api, "host-7", options)["not_seen"]
    assert "has its own client certificate ended?" in entry["message"]


def test_no_such_node(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    evidence = look(node="worker-8")
    assert reasons(evidence) == {"node": "not_found"}
    assert "option node" in evidence["not_seen"][0]["message"]


@pytest.mark.parametrize("garbage", [b"", b"null", b"[1]", b"{", b'{"kubeletconfig": 7}', b"[" * 100_000])
def test_garbage(kubelet: t.Any, look: t.Callable[..., Data], garbage: bytes) -> None:
    kubelet.routes[f"{PROXY}/configz"] = kubelet.reply(200, garbage)
    kubelet.routes[f"{PROXY}/metrics"] = kubelet.reply(200, b"\xff" + METRICS.replace(b"3.1536e+07", b"9e999"))
    evidence = look()
    assert reasons(evidence)["config"] == "malformed"
    assert evidence["metrics"]["client_not_after"] is None


def test_an_unhealthy_kubelet_has_answered(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    kubelet.routes[f"{PROXY}/healthz"] = kubelet.reply(
        500, b"[+]ping ok\n[-]syncloop failed", headers={"Content-Type": "text/plain"}
    )
    assert look()["healthz"]["http_status"] == 500


def judged(evidence: Data, csrs: list[Data]) -> Data:
    node_info = {"collected_at": evidence["collected_at"], "nodes": [{"name": NODE, "conditions": []}], "not_seen": []}
    csr_info = {"collected_at": evidence["collected_at"], "csrs": csrs, "not_seen": []}
    whole = {"cluster": {"node_info": node_info, "csr_info": csr_info}, "nodes": {"host-7": {**evidence, "way": "api"}}}
    (found,) = diagnose(whole, built_in_rules())["nodes"]
    return found


def test_the_end_of_a_certificate_alone_is_not_health(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    evidence = look()
    found = judged(evidence, [])
    assert (found["host"], found["way"], found["verdict"]) == ("host-7", "api", "unknown")
    assert found["certificates"]["client"]["not_after"] == evidence["metrics"]["client_not_after"]
    assert found["certificates"]["client"]["used_percent"] is None
    assert next(stage for stage in found["stages"] if stage["stage"] == "configuration")["facts"]


def test_an_issued_certificate_of_that_end_tells_the_rest(kubelet: t.Any, look: t.Callable[..., Data]) -> None:
    evidence = look()
    ends = parse_time(evidence["metrics"]["client_not_after"])
    certificate = {
        "not_before": from_epoch(ends.timestamp() - 366 * 86400),
        "not_after": from_epoch(ends.timestamp() + 1),
        "serial": "ab",
    }
    csr = {
        "name": "csr-1",
        "node": NODE,
        "created": certificate["not_before"],
        "signer_name": "kubernetes.io/kube-apiserver-client-kubelet",
        "state": "issued",
        "state_since": certificate["not_before"],
        "certificate": certificate,
    }
    found = judged(evidence, [csr])
    assert found["certificates"]["client"]["used_percent"] == 0.3
    assert "csr-1" in found["certificates"]["client"]["source"].lower()
    assert found["verdict"] == "healthy"


@pytest.mark.parametrize(
    ("line", "verdict"), [(b"rest_client_exec_plugin_ttl_seconds +Inf\n", "at_risk"), (b"", "unknown")]
)
def test_rotation_that_is_off(kubelet: t.Any, look: t.Callable[..., Data], line: bytes, verdict: str) -> None:
    """Without the metric that counts a credential plugin's calls it is not known that there is a certificate to rotate."""
    kubelet.routes[f"{PROXY}/configz"] = kubelet.reply(200, {"kubeletconfig": {"kind": "KubeletConfiguration"}})
    kubelet.routes[f"{PROXY}/metrics"] = kubelet.reply(200, line)
    found = judged(look(), [])
    assert found["verdict"] == verdict
    stage = next(stage for stage in found["stages"] if stage["stage"] == "configuration")
    assert "rotateCertificates: false as the running kubelet says" in stage["facts"]
    rules = {entry["rule"] for entry in (found["findings"] if line else found["skipped"])}
    assert "rotation-disabled" in rules
