# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What changed, and when: CAs, roles and bindings, manifests, versions, the kubelet and its files, the Node object.

An object tells of its own last write only (``managedFields``), and one that was deleted tells nothing: of a binding that is gone it can be
said that it is gone, and until when it still worked.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    seconds_since,
)

KINDS = ("ca", "kubelet", "manifest", "node", "rbac", "version")


def event(moment: str | None, kind: str, text: str, end: str | None = None, first_failure: bool = False) -> Data:
    """An event as ``docs/diagnosis.md`` has it. A change may have ``stages`` besides: those that it can bear upon, where that is known."""
    return {"time": moment, "end": end, "kind": kind, "text": text[:200], "first_failure": first_failure}


def cluster_changes(cluster: Cluster) -> list[Data]:
    """What changed of the cluster as a whole; in no order. The time of what is gone is None."""
    changes = [*_ca(cluster), *_rbac(cluster), *_control_plane(cluster)]
    return [change for change in changes if change["time"] or change["kind"] == "rbac"]


def node_changes(view: View, signals: Data) -> list[Data]:
    """What changed of one node; in no order."""
    probe = view.probe
    changes = [
        event(dig(probe, part, "modified"), "kubelet", f"{dig(probe, part, 'path')} changed")
        for part in ("kubeconfig", "config", "bootstrap_kubeconfig")
    ]
    changes += [
        event(signals["kubelet"]["started"], "kubelet", "kubelet started"),
        event(signals["clock"]["boot_time"], "kubelet", "machine booted"),
        event(dig(view.node, "created"), "node", "Node registered"),
    ]
    running, told = dig(probe, "kubelet", "version"), dig(view.node, "kubelet_version")
    text = f"the kubelet's binary was replaced, it is {running or told}"
    if running and told and running != told:
        text += f" (the Node still says {told})"
    changes.append(event(dig(probe, "kubelet", "binary_changed"), "version", text))
    if signals["kubelet"]["stopped"]:
        changes.append(event(signals["kubelet"]["inactive_since"], "kubelet", "kubelet stopped"))
    return [change for change in changes if change["time"]]


def _ca(cluster: Cluster) -> t.Iterator[Data]:
    info = cluster.control_plane_info
    for name, subject in (("client_ca", "client CA"), ("cluster_ca", "cluster CA")):
        certificates = dig(info, name, "certificates") or ()
        for certificate in certificates:
            yield event(certificate.get("not_before"), "ca", f"{subject} {certificate.get('subject')} becomes valid")
        held = f"{len(certificates)} certificate{'s' if len(certificates) != 1 else ''}"
        yield event(dig(info, name, "last_changed"), "ca", f"the ConfigMap of the {subject} changed, it holds {held}")
    for host in cluster.control_plane_hosts:
        for entry in dig(host, "files") or ():
            certificates = entry.get("certificates") or ()
            if any(certificate.get("is_ca") for certificate in certificates):
                held = f"{len(certificates)} certificate{'s' if len(certificates) != 1 else ''}"
                yield event(entry.get("modified"), "ca", f"{entry.get('path')} changed, it holds {held}")


_GONE = {
    "node_selfnodeclient": ("client", "that lets renewals be approved"),
    "bootstrap_nodeclient": ("client", "that lets joining nodes be approved"),
    "bootstrap_create_csr": ("client", "that lets joining nodes ask"),
}


def _rbac(cluster: Cluster) -> t.Iterator[Data]:
    for binding in dig(cluster.rbac_info, "bindings") or ():
        made, changed = binding.get("created"), binding.get("last_changed")
        if not binding.get("grants") and (not made or not changed or changed <= made):
            continue
        yield _written("ClusterRoleBinding", binding)
    for role in dig(cluster.rbac_info, "roles") or ():
        if role.get("last_changed"):
            yield _written("ClusterRole", role)
    reviews = dig(cluster.rbac_info, "reviews") or {}
    issued = dig(cluster.csr_info, "last_issued", "kubernetes.io/kube-apiserver-client-kubelet")
    for review_id, (_signer, what) in _GONE.items():
        if dig(reviews, review_id, "allowed") is False and dig(reviews, review_id, "granted_by") == []:
            until = f"; the last client certificate was issued {issued}" if issued else ""
            yield event(None, "rbac", f"no binding is there {what}: what was deleted leaves no time{until}")


_STAGES = {
    "request": ("create_csr", "get_csr"),
    "approval": ("selfnodeclient", "nodeclient", "update_approval", "approve_client"),
    "signing": ("update_status", "sign_client", "sign_serving"),
}


def _written(kind: str, record: Data) -> Data:
    """The last write of a role or binding. ``stages`` are those that what it grants is of; what grants nothing now may have granted any."""
    moment = record.get("last_changed") or record.get("created")
    verb = "made" if moment and moment == record.get("created") else "changed"
    change = event(moment, "rbac", f"{kind} {record.get('name')} {verb} by {record.get('last_manager')}")
    grants = [str(grant) for grant in record.get("grants") or ()]
    if grants and "certificate-controller" not in str(record.get("name")):
        change["stages"] = [
            stage for stage, ends in _STAGES.items() if any(grant.endswith(end) for grant in grants for end in ends)
        ]
    return change


AFTER_SECONDS = 120
"""A static pod that starts so soon after its manifest changed started because of it: the manifest is the change."""


def _control_plane(cluster: Cluster) -> t.Iterator[Data]:
    info = cluster.control_plane_info
    written: dict[str, list[str | None]] = {}
    for host in cluster.control_plane_hosts:
        for name, manifest in (dig(host, "manifests") or {}).items():
            moment = dig(manifest, "modified")
            written.setdefault(name, []).append(moment)
            yield event(moment, "manifest", f"manifest of {name} changed")
        modified = dig(host, "manager_kubeconfig", "modified")
        yield event(modified, "manifest", f"{dig(host, 'manager_kubeconfig', 'path')} changed")

    def follows(moment: str | None, component: str) -> bool:
        ages = [seconds_since(change, moment) for change in written.get(component, ()) if change and moment]
        return any(age is not None and 0 <= age <= AFTER_SECONDS for age in ages)

    for part, component in (("controller_manager", "kube-controller-manager"), ("api_server", "kube-apiserver")):
        for pod in dig(info, part, "pods") or ():
            if not follows(pod.get("started"), component):
                yield event(pod.get("started"), "manifest", f"pod {pod.get('name')} started")
    lease = dig(info, "controller_manager", "lease")
    if not follows(dig(lease, "acquired"), "kube-controller-manager"):
        yield event(dig(lease, "acquired"), "manifest", f"controller manager {dig(lease, 'holder')} became leader")
    silent = seconds_since(dig(lease, "renewed"), dig(info, "collected_at") or "")
    if silent is not None and silent > 3 * (dig(lease, "duration_seconds") or 15):
        text = f"controller manager {lease['holder']} renewed its lease for the last time"
        yield event(lease["renewed"], "manifest", text)
