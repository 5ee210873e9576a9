# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Who may create, approve and sign kubelets' requests, as ``docs/evidence.md`` (*cluster/rbac_info.json*) has it.

The attributes of each review are those that Kubernetes asks itself: the approver in
``pkg/controller/certificates/approver/sarapprove.go``, the admission of approvals and signatures in ``pkg/certauthorization``
(the signer by name, else by ``<domain>/*``), the controller's account in ``bootstrappolicy/controller_policy.go``.
Rules are matched as ``pkg/apis/rbac/v1/evaluation_helpers.go`` does.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import CLIENT_SIGNER, SERVING_SIGNER
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    labels,
    last_change,
    mapping,
    moment,
    safe_text,
    text,
    truth,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all

CERTIFICATES = "certificates.k8s.io"
AUTHORIZATION = "authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"

WELL_KNOWN_ROLES = frozenset(
    {
        "system:node",
        "system:node-bootstrapper",
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "system:controller:certificate-controller",
        "system:kube-controller-manager",
    }
)
"""Bindings of these are told even when the role is gone or grants nothing: a role of that name was meant to."""

WELL_KNOWN_BINDINGS = frozenset(
    {
        "kubeadm:kubelet-bootstrap",
        "kubeadm:node-autoapprove-bootstrap",
        "kubeadm:node-autoapprove-certificate-rotation",
    }
)
"""Told whatever role they name: who restores one has to know that there is another of its name."""

MAX_SUBJECTS = 64


@dataclasses.dataclass(frozen=True)
class Identity:
    """A user as the API server knows it after authentication."""

    kind: str
    user: str
    groups: tuple[str, ...]

    def is_subject(self, subject: Data) -> bool:
        """Whether a binding's subject means this identity (``plugin/pkg/auth/authorizer/rbac/rbac.go``: appliesToUser)."""
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User":
            return name == self.user
        if kind == "Group":
            return name in self.groups
        return kind == "ServiceAccount" and self.user == f"system:serviceaccount:{subject.get('namespace')}:{name}"


@dataclasses.dataclass(frozen=True)
class Access:
    """What a review asks for. ``names``: any of them suffices; empty where no name matters."""

    verb: str
    resource: str
    subresource: str | None = None
    names: tuple[str, ...] = ()
    group: str = CERTIFICATES

    def granted_by(self, rule: Data) -> bool:
        """Whether a rule of a role grants it."""
        combined = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        resources = {"*", combined} | ({f"*/{self.subresource}"} if self.subresource else set())
        restricted = _strings(rule.get("resourceNames"))
        return (
            not {"*", self.verb}.isdisjoint(_strings(rule.get("verbs")))
            and not {"*", self.group}.isdisjoint(_strings(rule.get("apiGroups")))
            and not resources.isdisjoint(_strings(rule.get("resources")))
            and (not restricted or not restricted.isdisjoint(self.names))
        )


def _strings(value: t.Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _signer(verb: str, name: str) -> Access:
    return Access(verb, "signers", names=(name, f"{name.partition('/')[0]}/*"))


_CSR = "certificatesigningrequests"
REVIEW_IDS: dict[str, tuple[str, Access]] = {
    "node_create_csr": ("node", Access("create", _CSR)),
    "node_list_csr": ("node", Access("list", _CSR)),
    "node_watch_csr": ("node", Access("watch", _CSR)),
    "node_selfnodeclient": ("node", Access("create", _CSR, "selfnodeclient")),
    "bootstrap_create_csr": ("bootstrap", Access("create", _CSR)),
    "bootstrap_nodeclient": ("bootstrap", Access("create", _CSR, "nodeclient")),
    "approver_update_approval": ("approver", Access("update", _CSR, "approval")),
    "approver_approve_client": ("approver", _signer("approve", CLIENT_SIGNER)),
    "approver_create_review": ("approver", Access("create", "subjectaccessreviews", group=AUTHORIZATION)),
    "signer_update_status": ("signer", Access("update", _CSR, "status")),
    "signer_sign_client": ("signer", _signer("sign", CLIENT_SIGNER)),
    "signer_sign_serving": ("signer", _signer("sign", SERVING_SIGNER)),
    "manager_approve_client": ("manager", _signer("approve", CLIENT_SIGNER)),
    "manager_sign_client": ("manager", _signer("sign", CLIENT_SIGNER)),
}
"""Review id → (kind of identity, what it asks for)."""


def identities(node_name: str, bootstrap_user: str, bootstrap_groups: t.Sequence[str]) -> dict[str, Identity]:
    """The identities by kind. Approver and signer are one account, the certificate controller's, where the controller manager uses service
    account credentials; where it does not, it acts as itself (``manager``)."""
    account = "system:serviceaccount:kube-system:certificate-controller"
    account_groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
    return {
        "node": Identity("node", f"system:node:{node_name}", ("system:nodes", "system:authenticated")),
        "bootstrap": Identity("bootstrap", bootstrap_user, tuple(bootstrap_groups)),
        "approver": Identity("approver", account, account_groups),
        "signer": Identity("signer", account, account_groups),
        "manager": Identity("manager", "system:kube-controller-manager", ("system:authenticated",)),
    }


def rbac_evidence(api: Api, known: t.Mapping[str, Identity], page_size: int) -> Data:
    """``{reviews, bindings, roles, not_seen}``. ``reviews`` is null only when the server could not be asked at all."""
    not_seen: list[Data] = []
    roles = _listed(api, ROLES, page_size, "roles", not_seen)
    bindings = _listed(api, BINDINGS, page_size, "bindings", not_seen)
    granting = None if roles is None else {_name(role): grants_of(role) for role in roles}
    reviews: dict[str, Data] | None
    reviews = {review_id: _review(review_id, known, bindings, granting) for review_id in REVIEW_IDS}
    _ask(api, reviews, not_seen)
    if api.failure and all(review["allowed"] is None for review in reviews.values()):
        reviews = None
    return {
        "reviews": reviews,
        "bindings": None if bindings is None else binding_records(bindings, granting, known),
        "roles": None if roles is None or granting is None else role_records(roles, granting),
        "not_seen": not_seen,
    }


def grants_of(role: Data) -> frozenset[str]:
    """The review ids whose access to requests and signers a ClusterRole grants to whom it is bound."""
    rules = _mappings(role.get("rules"))
    return frozenset(
        review_id
        for review_id, (_kind, wanted) in REVIEW_IDS.items()
        if wanted.group == CERTIFICATES and any(wanted.granted_by(rule) for rule in rules)
    )


def binding_records(
    bindings: t.Iterable[Data], granting: t.Mapping[str, frozenset[str]] | None, known: t.Mapping[str, Identity]
) -> list[Data]:
    """The bindings whose role grants something asked for; ``grants`` are the reviews for whose identity they do (null: roles not seen)."""
    found = []
    for binding in bindings:
        metadata, role = mapping(binding.get("metadata")), _role_of(binding)
        known_name = metadata.get("name") in WELL_KNOWN_BINDINGS
        if role not in WELL_KNOWN_ROLES and not known_name and not (granting or {}).get(role):
            continue
        changed, manager = last_change(metadata)
        found.append(
            {
                "name": text(metadata.get("name")),
                "role": text(role),
                "subjects": [
                    {key: text(subject.get(key)) for key in ("kind", "name", "namespace")}
                    for subject in _subjects(binding)[:MAX_SUBJECTS]
                ],
                "grants": None
                if granting is None
                else [
                    review_id
                    for review_id, (kind, _access) in REVIEW_IDS.items()
                    if review_id in granting.get(role, ()) and any(map(known[kind].is_subject, _subjects(binding)))
                ],
                "resource_version": text(metadata.get("resourceVersion")),
                "created": moment(metadata.get("creationTimestamp")),
                "last_changed": changed,
                "last_manager": manager,
                "labels": labels(metadata.get("labels")),
            }
        )
    return sorted(found, key=lambda entry: entry["name"] or "")


def role_records(roles: t.Iterable[Data], granting: t.Mapping[str, frozenset[str]]) -> list[Data]:
    """The roles that grant something asked for, and the well-known ones; ``grants`` without the identity (``create_csr``)."""
    found = []
    for role in roles:
        name, metadata = _name(role), mapping(role.get("metadata"))
        if not granting[name] and name not in WELL_KNOWN_ROLES:
            continue
        changed, manager = last_change(metadata)
        found.append(
            {
                "name": text(name),
                "grants": sorted({review_id.partition("_")[2] for review_id in granting[name]}),
                "resource_version": text(metadata.get("resourceVersion")),
                "created": moment(metadata.get("creationTimestamp")),
                "last_changed": changed,
                "last_manager": manager,
            }
        )
    return sorted(found, key=lambda entry: entry["name"] or "")


def _review(
    review_id: str,
    known: t.Mapping[str, Identity],
    bindings: list[Data] | None,
    granting: t.Mapping[str, frozenset[str]] | None,
) -> Data:
    kind, wanted = REVIEW_IDS[review_id]
    identity = known[kind]
    granted_by = None
    if bindings is not None and granting is not None:
        granted_by = sorted(
            _name(binding)
            for binding in bindings
            if review_id in granting.get(_role_of(binding), ()) and any(map(identity.is_subject, _subjects(binding)))
        )
    return {
        "identity": kind,
        "user": identity.user,
        "groups": list(identity.groups),
        "verb": wanted.verb,
        "api_group": wanted.group,
        "resource": wanted.resource,
        "subresource": wanted.subresource,
        "name": wanted.names[0] if wanted.names else None,
        "allowed": None,
        "reason": None,
        "granted_by": granted_by,
    }


def _ask(api: Api, reviews: t.Mapping[str, Data], not_seen: list[Data]) -> None:
    """Fills ``allowed`` and ``reason``. Who may not make one review may make none, so a 403 ends the asking."""
    for review_id, review in reviews.items():
        try:
            for name in REVIEW_IDS[review_id][1].names or (None,):
                review["allowed"], review["reason"] = _decision(api.post_json(REVIEWS, _body(review, name)))
                if review["allowed"]:
                    break
        except ApiError as error:
            review["allowed"] = review["reason"] = None
            if error.status == 403 or api.failure:
                not_seen.append(error.not_seen("reviews"))  # for this one and those after it
                return
            not_seen.append(error.not_seen(f"reviews.{review_id}"))


def _body(review: Data, name: str | None) -> Data:
    attributes = {"group": review["api_group"], "resource": review["resource"], "verb": review["verb"], "version": "*"}
    attributes |= {"subresource": review["subresource"]} if review["subresource"] else {}
    attributes |= {"name": name} if name else {}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": review["user"], "groups": review["groups"], "resourceAttributes": attributes},
    }


def _decision(answer: Data) -> tuple[bool, str | None]:
    status = mapping(answer.get("status"))
    allowed = truth(status.get("allowed"))
    if allowed is None:
        raise ApiError("malformed", "the answer to a SubjectAccessReview tells no decision")
    return allowed, safe_text(status.get("reason")) or safe_text(status.get("evaluationError")) or None


def _listed(api: Api, path: str, page_size: int, subject: str, not_seen: list[Data]) -> list[Data] | None:
    try:
        return list_all(api, path, page_size, dict)
    except ApiError as error:
        not_seen.append(error.not_seen(subject))
        return None


def _name(item: Data) -> str:
    return str(mapping(item.get("metadata")).get("name") or "")


def _role_of(binding: Data) -> str:
    return str(mapping(binding.get("roleRef")).get("name") or "")


def _subjects(binding: Data) -> list[Data]:
    return _mappings(binding.get("subjects"))


def _mappings(value: t.Any) -> list[Data]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
