# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import OBJECTS, collection_path

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
ROTATION = "kubeadm:node-autoapprove-certificate-rotation"
ROLE = "system:node-bootstrapper"
SERVING = "kubernetes.io/kubelet-serving"


class Cluster:
    """An API server that keeps objects by their paths, and what was asked of it."""

    def __init__(self, server: t.Any) -> None:
        self.server = server
        self.objects: dict[str, dict[str, t.Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[t.Any] = []
        self.refused: dict[tuple[str, str], int] = {}
        self.creations: list[int] = []
        """The statuses of the next creations that are no dry run, 0 for one that is done."""
        for collection in {collection_path(name) for name in OBJECTS} | {CSRS, SECRETS}:
            server.routes[collection] = self._answer
        for name in OBJECTS:
            server.routes[self.path(name)] = self._answer

    @staticmethod
    def path(name: str) -> str:
        return f"{collection_path(name)}/{name}"

    def put(self, path: str, made: dict[str, t.Any], version: str = "7") -> dict[str, t.Any]:
        kept = copy.deepcopy(made)
        kept["metadata"] = {**kept["metadata"], "uid": f"uid-{kept['metadata']['name']}", "resourceVersion": version}
        self.objects[path] = kept
        self.server.routes[path] = self._answer
        return kept

    def csr(self, name: str, signer: str = SERVING, **status: t.Any) -> None:
        self.put(f"{CSRS}/{name}", {"metadata": {"name": name}, "spec": {"signerName": signer}, "status": status})

    def _answer(self, asked: t.Any) -> t.Any:
        path = asked.path.partition("?")[0]
        if asked.method != "GET":
            self.asked.append((asked.method, path))
            self.bodies.append(asked.body)
        status = self.refused.get((asked.method, path))
        if status:
            return self.server.reply(status, {"kind": "Status", "message": f"{asked.method} refused by the test"})
        if asked.method == "POST":
            name = asked.body["metadata"]["name"]
            if f"{path}/{name}" in self.objects:
                return self.server.reply(409, {"kind": "Status", "message": f"{name} already exists"})
            if status := self.creations.pop(0) if self.creations else 0:
                return self.server.reply(status, {"kind": "Status", "message": f"{status} by the test"})
            return self.server.reply(201, self.put(f"{path}/{name}", asked.body, "8"))
        if path not in self.objects:
            return self.server.reply(404, {"kind": "Status", "message": "not found"})
        if asked.method == "PUT":
            self.objects[path] = asked.body
        if asked.method == "DELETE":
            return self.server.reply(200, self.objects.pop(path))
        return self.server.reply(200, self.objects[path])


@pytest.fixture
def cluster(api_server: t.Any) -> Cluster:
    return Cluster(api_server)


@pytest.fixture
def repair(run_module: t.Any, cluster: Cluster) -> t.Callable[..., t.Any]:
    def run(act: str, parameters: dict[str, t.Any], **arguments: t.Any) -> t.Any:
        given = {"host": cluster.server.url, "api_key": "t0ken-of-tests", "act": act, "parameters": parameters}
        ended = run_module("cluster_repair", **given, **arguments)
        assert "t0ken-of-tests" not in ended.output
        return ended.result

    return run


def test_an_absent_binding_is_created_and_only_once(cluster: Cluster, repair: t.Any) -> None:
    bound_to = {"resource_versions": {ROTATION: None}}
    result = repair("restore_rbac", {"objects": [ROTATION]}, bound_to=bound_to, _ansible_diff=True)
    assert (result["status"], result["changed"]) == ("done", True)
    assert cluster.objects[cluster.path(ROTATION)]["roleRef"]["name"].endswith(":selfnodeclient")
    assert result["diff"]["before"][ROTATION] == {}
    assert result["diff"]["after"][ROTATION]["subjects"][0]["name"] == "system:nodes"
    again = repair("restore_rbac", {"objects": [ROTATION]}, bound_to=bound_to)
    assert (again["status"], again["changed"]) == ("nothing_to_do", False)
    assert len(cluster.asked) == 1


def test_check_mode_tells_and_writes_nothing(cluster: Cluster, repair: t.Any) -> None:
    result = repair("restore_rbac", {"objects": [ROTATION]}, check=True)
    assert (result["status"], result["changed"], cluster.asked) == ("done", True, [])


def test_what_a_binding_has_besides_is_kept(cluster: Cluster, repair: t.Any) -> None:
    theirs = {"kind": "Group", "name": "example:nodes", "apiGroup": "rbac.authorization.k8s.io"}
    cluster.put(cluster.path(ROTATION), {**OBJECTS[ROTATION], "subjects": [theirs]})
    result = repair("restore_rbac", {"objects": [ROTATION]}, bound_to={"resource_versions": {ROTATION: "7"}})
    assert result["status"] == "done"
    stored = cluster.objects[cluster.path(ROTATION)]
    assert [subject["name"] for subject in stored["subjects"]] == ["example:nodes", "system:nodes"]
    assert stored["metadata"]["resourceVersion"] == "7", "so that a change in between is refused by the server"


def test_a_role_that_lost_a_verb_gets_its_rule_back(cluster: Cluster, repair: t.Any) -> None:
    rule = {**OBJECTS[ROLE]["rules"][0], "verbs": ["get", "list", "watch"]}
    cluster.put(cluster.path(ROLE), {**OBJECTS[ROLE], "rules": [rule]})
    assert repair("restore_rbac", {"objects": [ROLE]})["changed"] is True
    assert cluster.objects[cluster.path(ROLE)]["rules"] == [rule, OBJECTS[ROLE]["rules"][0]]


def test_a_binding_to_another_role_is_replaced(cluster: Cluster, repair: t.Any) -> None:
    other = {**OBJECTS[ROTATION], "roleRef": {**OBJECTS[ROTATION]["roleRef"], "name": "view"}}
    cluster.put(cluster.path(ROTATION), other)
    assert repair("restore_rbac", {"objects": [ROTATION]})["status"] == "done"
    assert [method for method, _path in cluster.asked] == ["POST", "DELETE", "POST"]
    assert [asked.query for asked in cluster.server.asked if asked.method == "POST"] == [{"dryRun": "All"}, {}]
    assert cluster.bodies[1]["preconditions"] == {"uid": f"uid-{ROTATION}", "resourceVersion": "7"}


def to_another_role(cluster: Cluster) -> dict[str, t.Any]:
    other = {**OBJECTS[ROTATION], "roleRef": {**OBJECTS[ROTATION]["roleRef"], "name": "view"}}
    return cluster.put(cluster.path(ROTATION), other)


def test_a_binding_is_not_deleted_for_one_that_may_not_be_created(cluster: Cluster, repair: t.Any) -> None:
    to_another_role(cluster)
    cluster.refused[("POST", collection_path(ROTATION))] = 403
    result = repair("restore_rbac", {"objects": [ROTATION]})
    assert (result["failed"], result["status"], result["changed"]) == (True, "failed", False)
    assert f"ClusterRoleBinding {ROTATION}: HTTP 403" in result["message"]
    assert [method for method, _path in cluster.asked] == ["POST"]


def test_a_binding_that_was_not_replaced_is_put_back(cluster: Cluster, repair: t.Any) -> None:
    before = to_another_role(cluster)
    cluster.creations = [500]
    result = repair("restore_rbac", {"objects": [ROTATION]})
    assert (result["failed"], result["status"], result["changed"]) == (True, "rolled_back", False)
    assert "500 by the test" in result["message"]
    assert cluster.objects[cluster.path(ROTATION)]["roleRef"] == before["roleRef"]


def test_a_binding_that_is_lost_is_said_to_be(cluster: Cluster, repair: t.Any) -> None:
    before = to_another_role(cluster)
    cluster.creations = [500, 503]
    result = repair("restore_rbac", {"objects": [ROTATION]})
    assert (result["failed"], result["status"], result["changed"]) == (True, "failed", True)
    assert f"deleted ClusterRoleBinding {ROTATION}" in result["message"]
    assert result["before"][ROTATION]["roleRef"] == before["roleRef"]
    assert result["after"][ROTATION] == {}


def test_every_subject_of_a_long_binding_is_kept(cluster: Cluster, repair: t.Any) -> None:
    theirs = [{"kind": "User", "name": f"user-{number}"} for number in range(1000)]
    cluster.put(cluster.path(ROTATION), {**OBJECTS[ROTATION], "subjects": theirs})
    assert repair("restore_rbac", {"objects": [ROTATION]})["status"] == "done"
    assert cluster.objects[cluster.path(ROTATION)]["subjects"] == [*theirs, *OBJECTS[ROTATION]["subjects"]]
    cluster.put(cluster.path(ROTATION), {**OBJECTS[ROTATION], "subjects": [*theirs, *OBJECTS[ROTATION]["subjects"]]})
    assert repair("restore_rbac", {"objects": [ROTATION]})["status"] == "nothing_to_do"


@pytest.mark.parametrize("version", ["6", None])
def test_an_object_that_changed_since_the_plan_is_left_alone(cluster: Cluster, repair: t.Any, version: t.Any) -> None:
    cluster.put(cluster.path(ROTATION), {**OBJECTS[ROTATION], "subjects": []})
    result = repair("restore_rbac", {"objects": [ROTATION]}, bound_to={"resource_versions": {ROTATION: version}})
    assert (result["failed"], result["status"], result["changed"]) == (True, "moved", False)
    assert ROTATION in result["message"]
    assert cluster.asked == []


def test_what_was_done_before_a_refusal_is_told(cluster: Cluster, repair: t.Any) -> None:
    cluster.refused[("POST", collection_path(ROTATION))] = 403
    result = repair("restore_rbac", {"objects": [ROTATION, ROLE]})
    assert (result["failed"], result["status"], result["changed"]) == (True, "failed", True)
    assert f"created ClusterRole {ROLE}" in result["message"]
    assert "refused by the test" in result["message"]


def test_requests_are_deleted_by_their_uid(cluster: Cluster, repair: t.Any) -> None:
    cluster.csr("csr-1")
    uids = {"csr-1": "uid-csr-1", "csr-gone": "uid-2"}
    result = repair("delete_csrs", {"names": ["csr-1", "csr-gone"]}, bound_to={"uids": uids})
    assert (result["status"], list(result["before"])) == ("done", ["csr-1"])
    assert cluster.bodies[0]["preconditions"] == {"uid": "uid-csr-1", "resourceVersion": "7"}
    cluster.server.routes[f"{CSRS}/csr-gone"] = cluster._answer
    assert repair("delete_csrs", {"names": ["csr-1"]}, bound_to={"uids": uids})["status"] == "nothing_to_do"


@pytest.mark.parametrize(("answer", "status", "changed"), [(409, "moved", False), (404, "done", True)])
def test_a_request_that_is_decided_on_meanwhile_is_kept(
    cluster: Cluster, repair: t.Any, answer: int, status: str, changed: bool
) -> None:
    cluster.csr("csr-1")
    cluster.refused[("DELETE", f"{CSRS}/csr-1")] = answer
    result = repair("delete_csrs", {"names": ["csr-1"]}, bound_to={"uids": {"csr-1": "uid-csr-1"}})
    assert (result["status"], result["changed"]) == (status, changed)
    assert "csr-1" in result["message"]


@pytest.mark.parametrize(
    ("made", "uid", "status"),
    [
        ({}, "another", "moved"),
        ({"signer": "example.com/signer"}, "uid-csr-1", "failed"),
        ({"certificate": "bm9uZQ=="}, "uid-csr-1", "moved"),
        ({"conditions": [{"type": "Approved", "status": "True"}]}, "uid-csr-1", "moved"),
    ],
)
def test_requests_that_are_not_meant_are_kept(
    cluster: Cluster, repair: t.Any, made: dict[str, t.Any], uid: str, status: str
) -> None:
    cluster.csr("csr-1", **made)
    result = repair("delete_csrs", {"names": ["csr-1"]}, bound_to={"uids": {"csr-1": uid}})
    assert (result["failed"], result["status"], cluster.asked) == (True, status, [])


def test_a_token_is_made_for_minutes_and_only_ours_is_deleted(cluster: Cluster, repair: t.Any) -> None:
    made = repair("create_bootstrap_token", {"node": "worker-7", "ttl_seconds": 600})
    token_id, secret = made["bootstrap_token"].split(".")
    assert made["token_id"] == token_id
    assert secret not in str({key: value for key, value in made.items() if key != "bootstrap_token"})
    path = f"{SECRETS}/bootstrap-token-{token_id}"
    stored = cluster.objects[path]
    assert stored["stringData"]["token-secret"] == secret
    assert stored["stringData"]["auth-extra-groups"] == "system:bootstrappers:kubeadm:default-node-token"
    stored["data"] = {key: base64.b64encode(v.encode()).decode() for key, v in stored.pop("stringData").items()}
    described = stored["data"].pop("description")
    refused = repair("delete_bootstrap_token", {"token_id": token_id})
    assert (refused["failed"], refused["status"], path in cluster.objects) == (True, "failed", True)
    stored["data"]["description"] = described
    assert repair("delete_bootstrap_token", {"token_id": token_id})["status"] == "done"
    assert path not in cluster.objects
    assert repair("delete_bootstrap_token", {"token_id": token_id})["status"] == "nothing_to_do"


@pytest.mark.parametrize(
    ("act", "parameters", "word"),
    [
        ("restore_rbac", {"objects": ["cluster-admin"]}, "objects: cluster-admin is none of"),
        ("restore_rbac", {"objects": ROTATION}, "objects must be a list"),
        ("restore_rbac", {"objects": [ROTATION], "rules": []}, "takes objects, and nothing else"),
        ("delete_csrs", {"names": ["../../secrets/x"]}, "is no name of an object"),
        ("delete_csrs", {"names": ["csr-1"]}, "uids: has none of csr-1"),
        (
            "create_bootstrap_token",
            {"node": "worker-7", "ttl_seconds": 86400},
            "ttl_seconds must be between 60 and 900",
        ),
        (
            "create_bootstrap_token",
            {"node": "worker-7", "ttl_seconds": float("inf")},
            "ttl_seconds must be between 60 and 900",
        ),
        ("delete_bootstrap_token", {"token_id": "abc/..."}, "token_id must be six"),
    ],
)
def test_wrong_options_are_named(
    cluster: Cluster, repair: t.Any, act: str, parameters: dict[str, t.Any], word: str
) -> None:
    result = repair(act, parameters)
    assert result["failed"] is True
    assert word in result["msg"]
    assert cluster.asked == []


@pytest.mark.parametrize("versions", [{}, {ROTATION: 7}, {ROLE: "7"}, "7", None])
def test_a_plan_binds_every_object_or_none(cluster: Cluster, repair: t.Any, versions: t.Any) -> None:
    result = repair("restore_rbac", {"objects": [ROTATION]}, bound_to={"resource_versions": versions})
    assert (result["failed"], cluster.asked) == (True, [])
    assert f"resource_versions: has none of {ROTATION}" in result["msg"]
