# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import importlib
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.doc_fragments import k8s_auth
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import from_epoch, utc_now
from ansible_collections.kubecare.kubelet_certs.plugins.modules import csr_approval

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
EXPECTED = {"worker-7": {"addresses": ["10.0.0.7"]}}
OLD = from_epoch(1_700_000_000)


class Cluster:
    """An API server that holds requests, nodes and leases, and takes decisions."""

    def __init__(self, server: t.Any) -> None:
        self.server = server
        self.csrs: list[dict[str, t.Any]] = []
        self.nodes: list[dict[str, t.Any]] = []
        self.leases: list[dict[str, t.Any]] = []
        self.puts: list[t.Any] = []
        self.put_answer: t.Any = None
        server.serve_list(CSRS, self.csrs)
        server.serve_list(NODES, self.nodes)
        server.serve_list(LEASES, self.leases)

    def add(self, name: str, pem: bytes, **spec: t.Any) -> dict[str, t.Any]:
        csr: dict[str, t.Any] = {
            "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "5", "creationTimestamp": utc_now()},
            "spec": {
                "signerName": CLIENT,
                "username": "system:node:worker-7",
                "groups": ["system:nodes", "system:authenticated"],
                "usages": ["digital signature", "client auth"],
                "request": base64.b64encode(pem).decode(),
                **spec,
            },
        }
        self.csrs.append(csr)
        self.server.routes[f"{CSRS}/{name}"] = lambda asked: self.server.reply(200, csr)
        self.server.routes[f"{CSRS}/{name}/approval"] = lambda asked: self._decide(asked, csr)
        return csr

    def _decide(self, asked: t.Any, csr: dict[str, t.Any]) -> t.Any:
        assert asked.method == "PUT"
        self.puts.append(asked.body)
        if self.put_answer is not None:
            return self.put_answer
        csr["status"] = asked.body["status"]
        return self.server.reply(200, csr)


@pytest.fixture
def cluster(api_server: t.Any) -> Cluster:
    return Cluster(api_server)


@pytest.fixture
def approve(run_module: t.Any, cluster: Cluster) -> t.Callable[..., t.Any]:
    def run(**arguments: t.Any) -> t.Any:
        given = {"host": cluster.server.url, "api_key": "t0ken-of-tests", "expected_nodes": EXPECTED, **arguments}
        ended = run_module("csr_approval", **given)
        assert "t0ken-of-tests" not in ended.output
        return ended.result

    return run


def verdicts(result: t.Any) -> dict[str, tuple[str, str | None]]:
    return {one["name"]: (one["verdict"], one["reason"]) for one in result["decisions"]}


@pytest.fixture
def renewal(requests_of: t.Any) -> bytes:
    return t.cast("bytes", requests_of("system:node:worker-7"))


def test_dry_by_default(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    cluster.add("a", renewal)
    result = approve()
    assert verdicts(result) == {"a": ("would_approve", None)}
    assert (result["changed"], result["status"], cluster.puts) == (False, "done", [])
    result = approve(check=True)
    assert (result["changed"], cluster.puts) == (False, [])
    result = approve(check=True, dry_run=False)
    assert (result["changed"], cluster.puts) == (True, [])


def test_approves_once(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    cluster.add("a", renewal)
    result = approve(dry_run=False)
    assert verdicts(result) == {"a": ("approved", None)}
    assert (result["changed"], result["status"], result["counts"]) == (True, "done", {"approved": 1})
    (put,) = cluster.puts
    assert put["metadata"]["resourceVersion"] == "5"
    (condition,) = put["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("Approved", "True")
    assert condition["reason"] == "KubecareChecksPassed"
    assert "signature" in condition["message"]
    assert all(entry["passed"] for entry in result["decisions"][0]["checks"])
    for names in (None, ["a"]):
        result = approve(dry_run=False, names=names)
        assert (result["changed"], result["status"], len(cluster.puts)) == (False, "nothing_to_do", 1)
    assert verdicts(result) == {"a": ("skipped", "already_approved")}


def test_refused_is_left_alone_or_denied(approve: t.Any, cluster: Cluster, requests_of: t.Any) -> None:
    cluster.add("a", requests_of("system:node:worker-7", organizations=["system:nodes", "system:masters"]))
    result = approve(dry_run=False)
    assert verdicts(result) == {"a": ("refused", "organization")}
    assert (result["changed"], result["status"], cluster.puts) == (False, "refused", [])
    assert approve(dry_run=False, fail_on_refused=True)["failed"]
    result = approve(deny_refused=True)
    assert (verdicts(result), result["changed"]) == ({"a": ("would_deny", "organization")}, False)
    result = approve(dry_run=False, deny_refused=True)
    assert verdicts(result) == {"a": ("denied", "organization")}
    assert cluster.puts[0]["status"]["conditions"][0]["reason"] == "KubecareCheckFailed"
    assert not approve(dry_run=False, deny_refused=True)["changed"]


def test_denies_by_hand(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    cluster.add("a", renewal)
    cluster.add("b", renewal)
    assert "needs names" in approve(decision="deny")["msg"]
    result = approve(decision="deny", names=["a"], dry_run=False)
    assert verdicts(result) == {"a": ("denied", None)}
    assert [put["metadata"]["name"] for put in cluster.puts] == ["a"]


def test_other_signers_are_never_touched(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    cluster.add("a", renewal, signerName="kubernetes.io/kube-apiserver-client")
    assert approve(dry_run=False)["decisions"] == []
    for more in ({"decision": "deny"}, {"deny_refused": True}):
        result = approve(dry_run=False, names=["a", "gone"], **more)
        assert verdicts(result) == {"a": ("skipped", "other_signer"), "gone": ("skipped", "not_found")}
    assert cluster.puts == []


def test_bound_to_what_a_plan_saw(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    cluster.add("a", renewal)
    right = {"uid": "uid-a", "request_sha256": hashlib.sha256(renewal).hexdigest()}
    for wrong in ({**right, "uid": "x"}, {**right, "request_sha256": "00"}):
        result = approve(dry_run=False, names=["a"], bound_to={"a": wrong})
        assert (result["failed"], result["status"], result["changed"]) == (True, "moved", False)
    result = approve(dry_run=False, names=["gone"], bound_to={"gone": right})
    assert (result["failed"], result["status"]) == (True, "moved")
    assert "bound_to" in approve(bound_to={"a": {"uid": 7}})["msg"]
    assert verdicts(approve(dry_run=False, bound_to={"b": right})) == {"a": ("refused", "bound")}
    assert cluster.puts == []
    assert verdicts(approve(dry_run=False, names=["a"], bound_to={"a": right})) == {"a": ("approved", None)}
    result = approve(dry_run=False, names=["a"], bound_to={"a": right})
    assert (result["status"], result["changed"]) == ("nothing_to_do", False)


def test_it_moves_between_the_check_and_the_act(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    csr = cluster.add("a", renewal)
    server = cluster.server
    path = f"{CSRS}/a"
    for answer in (
        server.reply(404, {"message": "gone"}),
        server.reply(200, {**csr, "metadata": {**csr["metadata"], "uid": "other"}}),
        server.reply(200, {**csr, "spec": {**csr["spec"], "request": base64.b64encode(b"other").decode()}}),
        server.reply(200, {**csr, "status": {"conditions": [{"type": "Denied", "status": "True"}]}}),
    ):
        server.routes[path] = answer
        result = approve(dry_run=False)
        assert (result["failed"], result["status"], result["changed"]) == (True, "moved", False)
    assert cluster.puts == []
    server.routes[path] = server.reply(200, csr)
    cluster.put_answer = server.reply(409, {"message": "the object has been modified"})
    assert approve(dry_run=False)["status"] == "moved"
    cluster.put_answer = server.reply(403, {"message": "no"})
    result = approve(dry_run=False)
    assert (result["failed"], result["status"]) == (True, "failed")
    assert verdicts(result) == {"a": ("failed", "forbidden")}


def test_flood_touches_nothing(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    for index in range(4):
        cluster.add(f"csr-{index}", renewal)
    for more in ({}, {"deny_refused": True}, {"names": ["csr-0"], "decision": "deny"}):
        result = approve(dry_run=False, flood_margin=2, **more)
        assert (result["status"], result["changed"], cluster.puts) == ("flood", False, [])
        assert result["flood"] == {"stopped": True, "pending": 4, "nodes": 1, "limit": 3}
    assert approve(dry_run=False, flood_margin=2, fail_on_refused=True)["failed"]
    cluster.csrs[0]["metadata"]["creationTimestamp"] = OLD
    result = approve(dry_run=False, flood_margin=2)
    assert result["counts"] == {"refused": 1, "approved": 3}


def test_at_most_so_many_the_oldest_first(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    for name in ("b", "a", "c"):
        cluster.add(name, renewal)
    result = approve(dry_run=False, max_approvals=2)
    assert verdicts(result) == {
        "a": ("approved", None),
        "b": ("approved", None),
        "c": ("skipped", "max_approvals"),
    }


def bootstrap(cluster: Cluster, requests_of: t.Any) -> None:
    groups = ["system:bootstrappers", "system:authenticated"]
    pem = requests_of("system:node:worker-7")
    cluster.add("a", pem, username="system:bootstrap:abc123", groups=groups)


@pytest.mark.parametrize(
    ("ready", "renewed", "verdict"),
    [
        (None, None, "would_approve"),
        ("True", OLD, "refused"),
        ("Unknown", OLD, "would_approve"),
        ("False", "now", "refused"),
        ("Unknown", None, "would_approve"),
    ],
)
def test_a_node_that_lives_does_not_join(
    approve: t.Any, cluster: Cluster, requests_of: t.Any, ready: t.Any, renewed: t.Any, verdict: str
) -> None:
    bootstrap(cluster, requests_of)
    if ready:
        conditions = [{"type": "Ready", "status": ready}]
        cluster.nodes.append({"metadata": {"name": "worker-7"}, "status": {"conditions": conditions}})
    if renewed:
        time = utc_now() if renewed == "now" else renewed
        cluster.leases.append({"metadata": {"name": "worker-7"}, "spec": {"renewTime": time}})
    assert verdicts(approve())["a"][0] == verdict


@pytest.mark.parametrize("path", [NODES, LEASES])
def test_unknown_refuses(approve: t.Any, cluster: Cluster, requests_of: t.Any, path: str) -> None:
    bootstrap(cluster, requests_of)
    cluster.nodes.append(
        {"metadata": {"name": "worker-7"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    )
    cluster.server.routes[path] = cluster.server.reply(403, {"message": "no"})
    result = approve(dry_run=False, deny_refused=True)
    assert verdicts(result) == {"a": ("refused", "not_alive")}
    assert result["decisions"][0]["checks"][-5]["passed"] is None


def test_ages_are_by_the_clock_of_the_api_server(approve: t.Any, cluster: Cluster, renewal: bytes) -> None:
    csr = cluster.add("a", renewal)
    csr["metadata"]["creationTimestamp"] = OLD
    assert verdicts(approve()) == {"a": ("refused", "fresh")}
    assert verdicts(approve(max_age=10**9)) == {"a": ("would_approve", None)}
    assert verdicts(approve(max_age=10**9, created_after=utc_now())) == {"a": ("refused", "made_after")}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expected_nodes": {"UPPER": {}}}, "option expected_nodes"),
        ({"created_after": "yesterday"}, "option created_after"),
        ({"max_age": 0}, "option max_age"),
        ({"max_approvals": 0}, "option max_approvals"),
        ({"flood_margin": -1}, "option flood_margin"),
    ],
)
def test_mistakes(approve: t.Any, options: t.Any, said: str) -> None:
    assert said in approve(**options)["msg"]


def test_requests_that_cannot_be_listed(approve: t.Any, cluster: Cluster) -> None:
    cluster.server.routes[CSRS] = cluster.server.reply(403, {"message": "not these"})
    result = approve()
    assert result["failed"]
    assert "not these" in result["msg"]
    assert result["reason"] == "forbidden"


def test_documented_as_it_is() -> None:
    module = importlib.import_module(csr_approval.__name__)
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = documentation["options"] | yaml.safe_load(k8s_auth.ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(options) == set(module.ARGUMENTS)
    for name, specification in module.ARGUMENTS.items():
        for key, default in (("type", "str"), ("default", None), ("choices", None), ("elements", None)):
            assert options[name].get(key, default) == specification.get(key, default), (name, key)
    runtime = pathlib.Path(str(module.__file__)).parents[2] / "meta" / "runtime.yml"
    assert "csr_approval" in yaml.safe_load(runtime.read_text(encoding="utf-8"))["action_groups"]["kubelet_certs"]
    yaml.safe_load(module.EXAMPLES)
    yaml.safe_load(module.RETURN)
