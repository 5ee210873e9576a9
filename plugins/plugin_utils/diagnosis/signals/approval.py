# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals of the stage approval: who approves in this cluster (``approvers``, ``approvals``, ``csrs``, ``admission``), and ``replay``, what the
approver's own checks say of a request that waits or was denied.
"""

from __future__ import annotations

import re
from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.kubelet_rubber_stamp import (
    speaks_v1,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.replay import (
    replay_client,
    replay_serving,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.csr import (
    PATIENCE_SECONDS,
    SIGNERS,
    relevant_csrs,
    stored_at,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    earliest,
    latest,
    seconds_since,
)

FLOOD_PER_NODE = 10
FLOOD_LEAST = 100
"""More requests than both are a flood: a healthy node keeps about two for an hour."""

_MANAGED = (("EKS", re.compile(r"-eks-")), ("GKE", re.compile(r"-gke\.")))
_AKS_LABEL = "kubernetes.azure.com/cluster"

NOTE = (
    "no request of this node is listed, which proves little: Kubernetes deletes decided ones an hour after the decision and "
    "pending ones after a day"
)


def approval_cluster_signals(cluster: Cluster, now: str) -> Data:
    """The four subjects that are the same for every node; every value None where it was not seen."""
    csrs, nodes = dig(cluster.csr_info, "csrs"), dig(cluster.node_info, "nodes")
    admission = dig(cluster.control_plane_info, "admission")
    hour_ago = format_time(parse_time(now) - timedelta(hours=1))
    total, count = None if csrs is None else len(csrs), None if nodes is None else len(nodes)
    return {
        "approvers": _approvers(cluster),
        "approvals": {subject: _approvals(csrs, signer) for subject, signer in SIGNERS.items()},
        "csrs": {
            "total": total,
            "nodes": count,
            "unfinished": None if csrs is None else sum(1 for csr in csrs if csr.get("state") != "issued"),
            "pending_last_hour": None if csrs is None else _waiting_since(csrs, hour_ago),
            "flood": None if total is None or count is None else total > max(FLOOD_LEAST, FLOOD_PER_NODE * count),
            "oldest": None if csrs is None else earliest(csr.get("created") for csr in csrs),
        },
        "admission": {
            act: None if admission is None else [entry for entry in admission if act in (entry.get("acts") or ())]
            for act in ("create", "approve", "sign")
        },
    }


def _waiting_since(csrs: list[Data], moment: str) -> int:
    return sum(1 for csr in csrs if csr.get("state") in ("pending", "denied") and (csr.get("created") or "") >= moment)


def _approvers(cluster: Cluster) -> Data:
    """What is installed for serving certificates. ``ready`` counts pods; ``outdated`` are those that speak no API version of this cluster."""
    found = dig(cluster.control_plane_info, "approvers")
    version = dig(cluster.control_plane_info, "api_server", "version")
    known = [one.get("ready") for one in found or () if one.get("ready") is not None]
    return {
        "all": found,
        "installed": None if found is None else len(found),
        "ready": None if found is None or len(known) < len(found) else sum(known),
        "outdated": None
        if found is None
        else [
            one
            for one in found
            if one.get("approver") == "kubelet-rubber-stamp" and speaks_v1(one.get("image"), version)["passed"] is False
        ],
        "managed_by": _managed_by(cluster),
    }


def _managed_by(cluster: Cluster) -> str | None:
    """The provider that approves serving certificates out of sight: EKS, GKE, AKS; by its nodes' versions and labels."""
    for node in dig(cluster.node_info, "nodes") or ():
        version = str(node.get("kubelet_version") or "")
        name = next((name for name, pattern in _MANAGED if pattern.search(version)), None)
        if name or _AKS_LABEL in (node.get("labels") or {}):
            return name or "AKS"
    return None


def _approvals(csrs: list[Data] | None, signer: str) -> Data:
    """How the requests of a signer that are still listed were approved. ``manual``: all of them by kubectl."""
    if csrs is None:
        return dict.fromkeys(("count", "last", "last_reason", "last_csr", "manual"))
    approved = sorted(
        (
            str(entry.get("last_update") or csr.get("created") or ""),
            str(entry.get("reason") or ""),
            str(csr.get("name")),
        )
        for csr in csrs
        if csr.get("signer_name") == signer
        for entry in csr.get("conditions") or ()
        if entry.get("type") == "Approved"
    )
    last = approved[-1] if approved else (None, None, None)
    return {
        "count": len(approved),
        "last": last[0],
        "last_reason": last[1],
        "last_csr": last[2],
        "manual": bool(approved) and all(reason == "KubectlApprove" for _time, reason, _name in approved),
    }


def replay_signals(view: View, shared: Data, client: Data, serving: Data) -> Data:
    """``{client, serving}``: the replay of the newest request that waits or was denied; None where there is none."""
    installed, managed_by = dig(shared, "approvers", "all"), dig(shared, "approvers", "managed_by")
    found: Data = {}
    for subject, certificate in (("client", client), ("serving", serving)):
        csr = _in_question(view, subject, stored_at(certificate))
        if csr is None:
            found[subject] = None
            continue
        case = _case(view, shared, csr, installed)
        is_client = subject == "client"
        record = replay_client(case, installed or []) if is_client else replay_serving(case, installed, managed_by)
        since = _granted_since(view.cluster, case)
        denial = next((entry for entry in csr.get("conditions") or () if entry.get("type") == "Denied"), None)
        created = csr.get("created")
        found[subject] = {
            "csr": csr.get("name"),
            "state": csr.get("state"),
            "created": created,
            "reason": dig(denial, "reason"),
            "message": dig(denial, "message"),
            "decided": dig(denial, "last_update"),
            **record,
            "failed": [entry for entry in record["checks"] if entry["name"] in record["failing"]],
            "requestor_differs": case.requestor != case.common_name,
            "granted_since": since,
            "granted_after_request": None if since is None or not created else since > created,
        }
    return found


def approval_of(signals: Data) -> list[Data]:
    """The part ``approval`` of a node's diagnosis, see ``docs/diagnosis.md``."""
    keys = ("csr", "state", "created", "approver", "decision", "failing", "checks", "source")
    return [
        {"subject": subject, **{key: replay[key] for key in keys}}
        for subject in SIGNERS
        if (replay := dig(signals, "csr", subject, "replay"))
    ]


def _in_question(view: View, subject: str, since: str | None) -> Data | None:
    relevant = relevant_csrs(view, subject, since)
    newest = relevant[-1] if relevant else None
    if newest is None or newest.get("state") == "issued":
        return None
    pending = [csr for csr in relevant if csr.get("state") == "pending"]
    denied = [csr for csr in relevant if csr.get("state") == "denied"]
    if pending and (not denied or (seconds_since(pending[-1].get("created"), view.now) or 0) >= PATIENCE_SECONDS):
        return pending[-1]
    return denied[-1] if denied else None


def _case(view: View, shared: Data, csr: Data, installed: list[Data] | None) -> checks.Case:
    ordered = sorted(installed or (), key=lambda one: not one.get("ready"))
    approver = ordered[0] if ordered else {}
    names = [entry.get("address") for entry in dig(view.node, "addresses") or ()]
    presented = (dig(view.probe, "serving", "certificates") or [None])[0]
    listed = dig(view.cluster.node_info, "nodes") is not None
    user, groups = str(csr.get("requestor") or ""), [str(group) for group in csr.get("groups") or ()]
    return checks.Case(
        csr=csr,
        node_registered=view.node is not None if listed else None,
        node_addresses=None if view.node is None else (view.name, *(str(name) for name in names if name)),
        serving_certificate=presented if isinstance(presented, dict) and not presented.get("error") else None,
        settings=approver.get("settings") or {},
        image=approver.get("image"),
        cluster_version=dig(view.cluster.control_plane_info, "api_server", "version"),
        nodes=dig(shared, "csrs", "nodes"),
        pending=dig(shared, "csrs", "pending_last_hour"),
        **{access: _may(view.cluster, user, groups, access) for access in ("selfnodeclient", "nodeclient")},
        create=_may(view.cluster, user, groups, "create_csr"),
    )


_REVIEWS = {
    ("node", "selfnodeclient"): "node_selfnodeclient",
    ("node", "create_csr"): "node_create_csr",
    ("bootstrap", "nodeclient"): "bootstrap_nodeclient",
    ("bootstrap", "create_csr"): "bootstrap_create_csr",
}


def _may(cluster: Cluster, user: str, groups: list[str], access: str) -> bool | None:
    """Whether a requestor may: by the review made for its kind, else by RBAC's own bindings.

    The review was made for one identity of the kind, whose groups a bootstrap token may differ from: then the bindings say more.
    """
    kind = "node" if user.startswith("system:node:") else "bootstrap" if user.startswith("system:bootstrap:") else None
    review = dig(cluster.rbac_info, "reviews", _REVIEWS.get((str(kind), access), ""), "allowed")
    if review is not None and kind == "node":
        return bool(review)
    bound = _granting(cluster, user, groups, access)
    if bound:
        return True
    return review if review is not None else None if bound is None else False


def _granting(cluster: Cluster, user: str, groups: list[str], access: str) -> list[Data] | None:
    """The bindings that grant an access to a user or its groups; None when roles or bindings were not listed."""
    bindings, roles = dig(cluster.rbac_info, "bindings"), dig(cluster.rbac_info, "roles")
    if bindings is None or roles is None:
        return None
    granting = {role.get("name"): role for role in roles if access in (role.get("grants") or ())}
    return [
        {**binding, "role_changed": granting[binding.get("role")].get("last_changed")}
        for binding in bindings
        if binding.get("role") in granting
        and any(_is(subject, user, groups) for subject in binding.get("subjects") or ())
    ]


def _is(subject: Data, user: str, groups: list[str]) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "Group":
        return name in groups
    return name == user if kind == "User" else user == f"system:serviceaccount:{subject.get('namespace')}:{name}"


def _granted_since(cluster: Cluster, case: checks.Case) -> str | None:
    """Since when RBAC grants the approval, by the last change of the binding and its role; of several the earliest."""
    groups = [str(group) for group in case.csr.get("groups") or ()]
    accesses = ("selfnodeclient", "nodeclient") if case.requestor == case.common_name else ("nodeclient",)
    since = [
        latest((binding.get("last_changed"), binding.get("role_changed")))
        for access in accesses
        for binding in _granting(cluster, case.requestor, groups, access) or ()
    ]
    return earliest(since)
