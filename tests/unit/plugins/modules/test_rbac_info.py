# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
GROUP = "certificates.k8s.io"
SELF = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
IDS = {
    "node_create_csr": ("create", "certificatesigningrequests", None, None),
    "node_list_csr": ("list", "certificatesigningrequests", None, None),
    "node_watch_csr": ("watch", "certificatesigningrequests", None, None),
    "node_selfnodeclient": ("create", "certificatesigningrequests", "selfnodeclient", None),
    "bootstrap_create_csr": ("create", "certificatesigningrequests", None, None),
    "bootstrap_nodeclient": ("create", "certificatesigningrequests", "nodeclient", None),
    "approver_update_approval": ("update", "certificatesigningrequests", "approval", None),
    "approver_approve_client": ("approve", "signers", None, "kubernetes.io/kube-apiserver-client-kubelet"),
    "approver_create_review": ("create", "subjectaccessreviews", None, None),
    "signer_update_status": ("update", "certificatesigningrequests", "status", None),
    "signer_sign_client": ("sign", "signers", None, "kubernetes.io/kube-apiserver-client-kubelet"),
    "signer_sign_serving": ("sign", "signers", None, "kubernetes.io/kubelet-serving"),
    "manager_approve_client": ("approve", "signers", None, "kubernetes.io/kube-apiserver-client-kubelet"),
    "manager_sign_client": ("sign", "signers", None, "kubernetes.io/kube-apiserver-client-kubelet"),
}


def rule(
    verb: str = "create", resource: str = "certificatesigningrequests/selfnodeclient", **more: t.Any
) -> dict[str, t.Any]:
    return {"verbs": [verb], "apiGroups": [GROUP], "resources": [resource], **more}


def role(name: str, *rules: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}, "rules": list(rules)}


def binding(name: str, role_name: str, *subjects: t.Any) -> dict[str, t.Any]:
    managed = [{"manager": "kubeadm", "operation": "Update", "time": "2026-02-02T00:00:00Z"}]
    metadata = {
        "name": name,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": managed,
        "labels": {"a": "b"},
    }
    return {"metadata": metadata, "roleRef": {"kind": "ClusterRole", "name": role_name}, "subjects": list(subjects)}


NODES_GROUP = {"kind": "Group", "name": "system:nodes"}


@pytest.fixture
def cluster(api_server: t.Any) -> t.Any:
    def review(asked: t.Any) -> t.Any:
        allowed = asked.body["spec"]["resourceAttributes"].get("subresource") == "selfnodeclient"
        return api_server.reply(201, {"status": {"allowed": allowed, "reason": "because" if allowed else ""}})

    api_server.routes[REVIEWS] = review
    api_server.serve_list(ROLES, [role(SELF, rule()), role("view", rule("list", "pods"))])
    api_server.serve_list(BINDINGS, [binding("auto", SELF, NODES_GROUP), binding("view", "view", NODES_GROUP)])
    api_server.serve_list("/api/v1/nodes", [{"metadata": {"name": "worker-7"}}])
    return api_server


def run(run_module: t.Any, cluster: t.Any, **arguments: t.Any) -> t.Any:
    return run_module("rbac_info", host=cluster.url, api_key="t0ken-of-tests", **arguments).result


def test_what_is_asked(run_module: t.Any, cluster: t.Any) -> None:
    """The attributes are Kubernetes' own: sarapprove.go, certauthorization.go."""
    result = run(run_module, cluster)
    assert list(result["reviews"]) and set(result["reviews"]) == set(IDS)
    for review_id, (verb, resource, subresource, name) in IDS.items():
        review = result["reviews"][review_id]
        assert (review["verb"], review["resource"], review["subresource"], review["name"]) == (
            verb,
            resource,
            subresource,
            name,
        )
        assert review["api_group"] == ("authorization.k8s.io" if resource == "subjectaccessreviews" else GROUP)
        assert review["allowed"] is (review_id == "node_selfnodeclient")
    bodies = [asked.body["spec"] for asked in cluster.asked if asked.path == REVIEWS]
    attributes = {
        "group": GROUP,
        "resource": "certificatesigningrequests",
        "subresource": "selfnodeclient",
        "verb": "create",
        "version": "*",
    }
    asked_for = {
        "user": "system:node:worker-7",
        "groups": ["system:nodes", "system:authenticated"],
        "resourceAttributes": attributes,
    }
    assert asked_for in bodies
    accounts = {body["user"]: body["groups"] for body in bodies}
    assert accounts == {
        "system:node:worker-7": ["system:nodes", "system:authenticated"],
        "system:bootstrap:kubecare": [
            "system:bootstrappers",
            "system:bootstrappers:kubeadm:default-node-token",
            "system:authenticated",
        ],
        "system:kube-controller-manager": ["system:authenticated"],
        "system:serviceaccount:kube-system:certificate-controller": [
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated",
        ],
    }
    assert result["reviews"]["node_selfnodeclient"]["reason"] == "because"
    assert result["reviews"]["node_selfnodeclient"]["granted_by"] == ["auto"]
    assert result["reviews"]["node_create_csr"]["granted_by"] == []


def test_a_signer_may_be_allowed_by_its_domain(run_module: t.Any, cluster: t.Any) -> None:
    def review(asked: t.Any) -> t.Any:
        name = asked.body["spec"]["resourceAttributes"].get("name")
        return cluster.reply(201, {"status": {"allowed": name == "kubernetes.io/*"}})

    cluster.routes[REVIEWS] = review
    reviews = run(run_module, cluster)["reviews"]
    assert {review_id for review_id, review in reviews.items() if review["allowed"]} == {
        "approver_approve_client",
        "signer_sign_client",
        "signer_sign_serving",
        "manager_approve_client",
        "manager_sign_client",
    }


def test_bindings_and_roles(run_module: t.Any, cluster: t.Any) -> None:
    result = run(run_module, cluster)
    assert result["bindings"] == [
        {
            "name": "auto",
            "role": SELF,
            "subjects": [{"kind": "Group", "name": "system:nodes", "namespace": None}],
            "grants": ["node_selfnodeclient"],
            "resource_version": None,
            "created": "2026-01-01T00:00:00Z",
            "last_changed": "2026-02-02T00:00:00Z",
            "last_manager": "kubeadm",
            "labels": {"a": "b"},
        }
    ]
    assert result["roles"] == [
        {
            "name": SELF,
            "grants": ["selfnodeclient"],
            "resource_version": None,
            "created": "2026-01-01T00:00:00Z",
            "last_changed": "2026-01-01T00:00:00Z",
            "last_manager": None,
        }
    ]


@pytest.mark.parametrize(
    ("rules", "granted"),
    [
        ([rule()], True),
        ([rule("*")], True),
        ([rule(resource="*")], True),
        ([rule(resource="*/selfnodeclient")], True),
        ([{"verbs": ["create"], "apiGroups": ["*"], "resources": ["certificatesigningrequests/selfnodeclient"]}], True),
        ([rule("get"), rule()], True),
        ([rule(resource="certificatesigningrequests")], False),
        ([rule(resource="certificatesigningrequests/*")], False),
        ([rule(resource="certificatesigningrequests/nodeclient")], False),
        ([rule(apiGroups=[""])], False),
        ([rule(apiGroups=[])], False),
        ([rule("update")], False),
        ([rule(resourceNames=["csr-1"])], False),
        ([], False),
        (None, False),
        ([7, {"verbs": 7}, {"verbs": [{}], "apiGroups": "x"}], False),
        ([*[rule("get", "pods")] * 300, rule()], True),
    ],
)
def test_rules(run_module: t.Any, cluster: t.Any, rules: t.Any, granted: bool) -> None:
    cluster.serve_list(ROLES, [{"metadata": {"name": "r"}, "rules": rules}])
    cluster.serve_list(BINDINGS, [binding("b", "r", NODES_GROUP)])
    result = run(run_module, cluster)
    assert result["reviews"]["node_selfnodeclient"]["granted_by"] == (["b"] if granted else [])
    assert any("node_selfnodeclient" in found["grants"] for found in result["bindings"]) is granted


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ([], {"signer_sign_client", "signer_sign_serving"}),
        (["kubernetes.io/kubelet-serving"], {"signer_sign_serving"}),
        (["kubernetes.io/*"], {"signer_sign_client", "signer_sign_serving"}),
        (["*"], set()),
    ],
)
def test_rules_for_signers(run_module: t.Any, cluster: t.Any, names: list[str], ids: set[str]) -> None:
    account = {"kind": "ServiceAccount", "name": "certificate-controller", "namespace": "kube-system"}
    cluster.serve_list(ROLES, [role("r", rule("sign", "signers", resourceNames=names))])
    cluster.serve_list(BINDINGS, [binding("b", "r", account)])
    reviews = run(run_module, cluster)["reviews"]
    assert {review_id for review_id, review in reviews.items() if review["granted_by"]} == ids


@pytest.mark.parametrize(
    ("subject", "granted"),
    [
        (NODES_GROUP, True),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "User", "name": "system:node:worker-7"}, True),
        ({"kind": "User", "name": "system:nodes"}, False),
        ({"kind": "Group", "name": "system:node:worker-7"}, False),
        ({"kind": "ServiceAccount", "name": "x", "namespace": "y"}, False),
        ({"kind": "Group"}, False),
    ],
)
def test_subjects(run_module: t.Any, cluster: t.Any, subject: t.Any, granted: bool) -> None:
    cluster.serve_list(BINDINGS, [binding("b", SELF, subject)])
    result = run(run_module, cluster)
    assert result["reviews"]["node_selfnodeclient"]["granted_by"] == (["b"] if granted else [])
    assert [found["name"] for found in result["bindings"]] == ["b"]  # a wrong subject is what the reader looks for


def test_a_binding_whose_role_is_gone_is_told(run_module: t.Any, cluster: t.Any) -> None:
    cluster.serve_list(ROLES, [])
    result = run(run_module, cluster)
    assert [(found["name"], found["grants"]) for found in result["bindings"]] == [("auto", [])]
    assert result["roles"] == []


def test_reviews_forbidden_are_asked_once(run_module: t.Any, cluster: t.Any) -> None:
    message = 'subjectaccessreviews.authorization.k8s.io is forbidden: User "audit" cannot create resource'
    cluster.routes[REVIEWS] = cluster.reply(403, {"message": message})
    result = run(run_module, cluster)
    assert [(entry["subject"], entry["reason"]) for entry in result["not_seen"]] == [("reviews", "forbidden")]
    assert message in result["not_seen"][0]["message"]
    assert {review["allowed"] for review in result["reviews"].values()} == {None}
    assert result["reviews"]["node_selfnodeclient"]["granted_by"] == ["auto"]
    assert len([asked for asked in cluster.asked if asked.path == REVIEWS]) == 1


@pytest.mark.parametrize("answer", [{}, {"status": {}}, {"status": {"allowed": "yes"}}, {"status": 7}])
def test_an_answer_without_a_decision_is_unknown(run_module: t.Any, cluster: t.Any, answer: t.Any) -> None:
    cluster.routes[REVIEWS] = cluster.reply(201, answer)
    result = run(run_module, cluster)
    assert {review["allowed"] for review in result["reviews"].values()} == {None}
    assert {entry["subject"] for entry in result["not_seen"]} == {f"reviews.{review_id}" for review_id in IDS}


@pytest.mark.parametrize(("path", "subject"), [(BINDINGS, "bindings"), (ROLES, "roles")])
def test_lists_forbidden(run_module: t.Any, cluster: t.Any, path: str, subject: str) -> None:
    cluster.routes[path] = cluster.reply(403, {"message": "no"})
    result = run(run_module, cluster)
    assert result[subject] is None
    assert result["reviews"]["node_selfnodeclient"]["allowed"] is True
    assert result["reviews"]["node_selfnodeclient"]["granted_by"] is None
    assert [entry["subject"] for entry in result["not_seen"]] == [subject]
    if subject == "roles":
        assert [found["grants"] for found in result["bindings"]] == [None]


@pytest.mark.parametrize(
    ("arguments", "user"),
    [
        ({"node_name": "n9"}, "system:node:n9"),
        ({"bootstrap_user": "system:bootstrap:abcdef", "bootstrap_groups": ["g"]}, "system:bootstrap:abcdef"),
    ],
)
def test_other_identities(run_module: t.Any, cluster: t.Any, arguments: t.Any, user: str) -> None:
    reviews = run(run_module, cluster, **arguments)["reviews"]
    assert user in {review["user"] for review in reviews.values()}


def test_no_node_to_ask_for(run_module: t.Any, cluster: t.Any) -> None:
    cluster.serve_list("/api/v1/nodes", [])
    assert run(run_module, cluster)["reviews"]["node_create_csr"]["user"] == "system:node:kubelet-certs-audit"
