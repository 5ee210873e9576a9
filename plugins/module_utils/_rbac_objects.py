# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The RBAC objects by which kubelets ask for certificates and have them approved: what they hold, and how to compare. Pure.

The roles are Kubernetes' own (``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go``), the bindings kubeadm's
(``cmd/kubeadm/app/phases/bootstraptoken/node/tlsbootstrap.go``). Nothing else is ever written.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping, sequence

GROUP = "rbac.authorization.k8s.io"
BOOTSTRAP_GROUP = "system:bootstrappers:kubeadm:default-node-token"
CSR_ROLE = "system:certificates.k8s.io:certificatesigningrequests"
PLURALS = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}


def _role(name: str, resource: str, *verbs: str) -> Data:
    rule = {"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": list(verbs)}
    metadata = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    return {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": [rule]}


def _binding(name: str, role: str, group: str) -> Data:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
    }


OBJECTS: t.Final[dict[str, Data]] = {
    made["metadata"]["name"]: made
    for made in (
        _role("system:node-bootstrapper", "certificatesigningrequests", "create", "get", "list", "watch"),
        _role(f"{CSR_ROLE}:nodeclient", "certificatesigningrequests/nodeclient", "create"),
        _role(f"{CSR_ROLE}:selfnodeclient", "certificatesigningrequests/selfnodeclient", "create"),
        _binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", BOOTSTRAP_GROUP),
        _binding("kubeadm:node-autoapprove-bootstrap", f"{CSR_ROLE}:nodeclient", BOOTSTRAP_GROUP),
        _binding("kubeadm:node-autoapprove-certificate-rotation", f"{CSR_ROLE}:selfnodeclient", "system:nodes"),
    )
}
"""Name → the object as it is created. Roles come first, so that a binding is never made before its role."""


def collection_path(name: str) -> str:
    """Where an object of that name is created."""
    return f"/apis/{GROUP}/v1/{PLURALS[OBJECTS[name]['kind']]}"


def mended(found: Data, name: str) -> Data | None:
    """The object with what it lacks added, nothing of it taken away; None when it lacks nothing.

    A binding to another role cannot be mended, as its ``roleRef`` never changes: see ``names_another_role``.
    """
    wanted = OBJECTS[name]
    part, same = ("rules", _covers) if wanted["kind"] == "ClusterRole" else ("subjects", _same_subject)
    kept = found.get(part) or []  # whole, however long: it is written back
    lacking = [entry for entry in wanted[part] if not any(same(mapping(one), entry) for one in kept)]
    return {**found, part: [*kept, *lacking]} if lacking else None


def names_another_role(found: Data, name: str) -> bool:
    """Whether a binding of that name is to another role than the one meant."""
    wanted = OBJECTS[name]
    if wanted["kind"] != "ClusterRoleBinding":
        return False
    role = mapping(found.get("roleRef"))
    return (role.get("kind"), role.get("name")) != (wanted["roleRef"]["kind"], wanted["roleRef"]["name"])


def shown(found: Data | None) -> Data:
    """What of an object goes into a result and a diff; empty where there is no object."""
    if found is None:
        return {}
    parts = ("roleRef", "subjects") if found.get("kind") == "ClusterRoleBinding" else ("rules",)
    return {"kind": found.get("kind"), **{part: found.get(part) for part in parts}}


def _covers(rule: Data, wanted: Data) -> bool:
    return all(
        {"*", value} & set(map(str, sequence(rule.get(part)))) for part in wanted for value in wanted[part]
    ) and not rule.get("resourceNames")


def _same_subject(one: Data, other: Data) -> bool:
    return (one.get("kind"), one.get("name")) == (other["kind"], other["name"])
