# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Acts on the cluster: the RBAC objects of kubelets' certificates, and their requests."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import (
    CLIENT_SIGNER,
    KUBELET_SIGNERS,
    SERVING_SIGNER,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import CSR_ROLE, OBJECTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig, seconds_since
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import (
    Act,
    CannotAct,
    Case,
    Draft,
    command,
)

WAITED_FOR_SECONDS = 840
"""A kubelet waits for a request for 15 minutes, then makes another (``pkg/kubelet/certificate``: certificateWaitTimeout)."""
MAX_DELETED = 500
"""Requests that one step deletes."""

GRANTS = {
    "system:node-bootstrapper": "create_csr",
    f"{CSR_ROLE}:nodeclient": "nodeclient",
    f"{CSR_ROLE}:selfnodeclient": "selfnodeclient",
}
"""ClusterRole → what it grants, as ``rbac_info`` names it."""

_OF_RULE = {
    "csr-create-forbidden": "kubeadm:kubelet-bootstrap",
    "bootstrap-approval-binding-missing": "kubeadm:node-autoapprove-bootstrap",
    "auto-approval-binding-missing": "kubeadm:node-autoapprove-certificate-rotation",
}
_DISTRIBUTIONS = (None, "kubeadm", "kubespray")
_SUBJECTS_OF_RULE = {
    "csr-pending": (CLIENT_SIGNER,),
    "bootstrap-csr-needs-hand": (CLIENT_SIGNER,),
    "serving-csr-not-approved": (SERVING_SIGNER,),
    "serving-approver-missing": (SERVING_SIGNER,),
}


def _restore(case: Case) -> list[Draft]:
    binding = _OF_RULE.get(case.rule)
    if binding is None:
        raise CannotAct("no object is known that this finding misses")
    if dig(case.node, "distribution", "name") not in _DISTRIBUTIONS:
        raise CannotAct("the bindings that are known are kubeadm's, and this distribution has its own")
    bindings, roles = (dig(case.cluster, "rbac_info", part) for part in ("bindings", "roles"))
    if bindings is None or roles is None:
        raise CannotAct("the bindings and roles of the cluster were not seen")
    role, group = OBJECTS[binding]["roleRef"]["name"], OBJECTS[binding]["subjects"][0]["name"]
    found = {str(entry.get("name")): entry for entry in (*bindings, *roles)}
    wrong = [name for name in (role, binding) if not _as_meant(name, found.get(name), role, group)]
    if not wrong:
        raise CannotAct(f"{binding} and its role are as they should be")
    versions = {name: (found.get(name) or {}).get("resource_version") for name in wrong}
    if any(name in found and versions[name] is None for name in wrong):
        raise CannotAct("the evidence does not tell the resourceVersion of what is to be replaced; collect again")
    commands = {
        role: command("kubectl", "get", "clusterrole", role, "-o", "yaml"),
        binding: command(
            "kubectl", "create", "clusterrolebinding", binding, f"--clusterrole={role}", f"--group={group}"
        ),
    }
    return [
        Draft(
            key=binding,
            parameters={"objects": wrong},
            bound_to={"resource_versions": versions},
            commands=tuple(commands[name] for name in wrong),
            changes=tuple(
                f"{'replaces' if name in found else 'creates'} the {'ClusterRoleBinding' if name == binding else 'ClusterRole'} {name}"
                + (f": {group} → {role}" if name == binding else ", as Kubernetes ships it")
                for name in wrong
            ),
            verified_by="a SubjectAccessReview of the next collection allows it, and the nodes' requests are approved",
        )
    ]


def _as_meant(name: str, entry: Data | None, role: str, group: str) -> bool:
    if entry is None:
        return False
    if name == role:
        return GRANTS[role] in (entry.get("grants") or ())
    subjects = entry.get("subjects") or ()
    return entry.get("role") == role and any(s.get("kind") == "Group" and s.get("name") == group for s in subjects)


def _approve(case: Case) -> list[Draft]:
    drafts = [
        Draft(
            key=str(csr.get("name")),
            node=case.name,
            parameters={"name": csr.get("name"), "node": case.name, "signer_name": csr.get("signer_name")},
            bound_to={"uid": csr.get("uid"), "request_sha256": csr.get("request_sha256")},
            commands=(command("kubectl", "certificate", "approve", str(csr.get("name"))),),
            changes=(
                f"approves the request {csr.get('name')} of {case.name} for {csr.get('signer_name')}, where it passes every check",
            ),
            verified_by="the signer issues a certificate, and the kubelet stores it",
        )
        for csr in waiting(case)
    ]
    if not drafts:
        raise CannotAct(
            "no request of this node waits that is younger than the 15 minutes that its kubelet waits for it"
        )
    return drafts


def waiting(case: Case) -> list[Data]:
    """The newest request of each kind of this node, where it waits and its content is known; the kubelet waits for that one alone."""
    found = []
    for signer in _SUBJECTS_OF_RULE.get(case.rule, KUBELET_SIGNERS):
        own = [c for c in _requests(case) if c.get("node") == case.name and c.get("signer_name") == signer]
        newest = max(own, key=lambda c: (str(c.get("created")), str(c.get("name"))), default=None)
        age = seconds_since((newest or {}).get("created"), case.now)
        if (
            newest
            and newest.get("state") == "pending"
            and age is not None
            and age < WAITED_FOR_SECONDS
            and _bindable(newest)
        ):
            found.append(newest)
    return found


def _bindable(csr: Data) -> bool:
    return bool(csr.get("uid") and csr.get("request_sha256"))


def _requests(case: Case) -> list[Data]:
    return [csr for csr in dig(case.cluster, "csr_info", "csrs") or () if isinstance(csr, dict)]


def _delete(case: Case) -> list[Draft]:
    """Pending, denied and failed ones that a newer one of the same requestor, node and signer has replaced."""
    newest: dict[tuple[t.Any, ...], Data] = {}
    requests = sorted(_requests(case), key=lambda c: (str(c.get("created")), str(c.get("name"))))
    for csr in requests:
        newest[_of(csr)] = csr
    stale = [
        csr
        for csr in requests
        if csr.get("state") in ("pending", "denied", "failed")
        and csr is not newest[_of(csr)]
        and csr.get("uid")
        and csr.get("name")
    ][:MAX_DELETED]
    if not stale:
        raise CannotAct("no request was replaced by a newer one, so none is stale")
    uids = {str(csr["name"]): csr["uid"] for csr in stale}
    return [
        Draft(
            key="",
            parameters={"names": list(uids)},
            bound_to={"uids": uids},
            commands=(f"kubectl delete csr {' '.join(list(uids)[:3])}{' …' if len(uids) > 3 else ''}",),
            changes=(f"deletes {len(uids)} requests that a newer one of the same node replaced",),
            verified_by="the next collection counts fewer requests; what makes them has to be mended besides",
        )
    ]


def _of(csr: Data) -> tuple[t.Any, ...]:
    return csr.get("requestor"), csr.get("node"), csr.get("signer_name")


RESTORE_RBAC = Act(
    name="restore_rbac",
    module="cluster_repair",
    title="Restore the RBAC objects by which nodes ask for certificates and have them approved",
    risk="low",
    needs=("get, create, update, delete, bind and escalate on the known ClusterRoles and ClusterRoleBindings",),
    undo="delete the object, or write back what the step's result says was there before",
    drafts=_restore,
)
DELETE_CSRS = Act(
    name="delete_csrs",
    module="cluster_repair",
    title="Delete stale certificate requests",
    risk="low",
    needs=("get and delete on certificatesigningrequests",),
    undo="none is needed: a kubelet that still wants one asks again",
    drafts=_delete,
)
APPROVE_CSR = Act(
    name="approve_csr",
    module="csr_approval",
    title="Approve the node's waiting request, after all checks",
    risk="medium",
    needs=(
        "get and list on certificatesigningrequests, update on their approval, approve on the signer",
        "list on nodes, and on leases in kube-node-lease",
    ),
    undo="a certificate cannot be taken back: it ends by itself",
    drafts=_approve,
)
