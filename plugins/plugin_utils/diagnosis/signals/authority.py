# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``rbac`` and ``controller_manager``: who may approve and sign, and is the one who should alive and able."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    dig,
    seconds_since,
)

SIGNING_FLAGS = ("cluster-signing-cert-file", "cluster-signing-key-file")
CLIENT_SIGNING_FLAGS = ("cluster-signing-kubelet-client-cert-file", "cluster-signing-kubelet-client-key-file")


def rbac_signals(cluster: Cluster) -> Data:
    """Each review's ``allowed``, ``user``, ``reason`` and ``granted_by``; an absent review is a mapping of nothing."""
    reviews = dig(cluster.rbac_info, "reviews") or {}
    signals: Data = {name: review for name, review in reviews.items() if isinstance(review, dict)}
    signals["roles"] = dig(cluster.rbac_info, "roles")
    signals["auto_approval"] = dig(signals, "node_selfnodeclient", "allowed")
    return signals


def controller_manager_signals(cluster: Cluster, now: str) -> Data:
    """``alive`` by its lease; ``signer_on``, ``approver_on`` by its flags; ``signing_key_matches`` by its files on the control plane.

    The lease is renewed every 2 seconds and lasts 15 by default (``component-base/config``: LeaderElection), so one that is older than
    three durations has no holder at work. Without flags of a pod or a manifest, whether it signs is unknown.
    """
    info = cluster.control_plane_info
    lease = dig(info, "controller_manager", "lease")
    age = seconds_since(dig(lease, "renewed"), dig(info, "collected_at") or now)
    duration = dig(lease, "duration_seconds") or 15
    flags, source = _flags(cluster)
    pods = dig(info, "controller_manager", "pods")
    return {
        "alive": None if age is None else age <= 3 * duration,
        "holder": dig(lease, "holder"),
        "renewed": dig(lease, "renewed"),
        "lease_age_seconds": age,
        "pods": None if pods is None else len(pods),
        "pods_ready": None if pods is None else sum(1 for pod in pods if pod.get("ready")),
        "restarts": max((pod.get("restarts") or 0 for pod in pods), default=None) if pods else None,
        "flags_source": source,
        "signer_on": None if flags is None else _signer_on(flags),
        "approver_on": None if flags is None else _controller_on(flags, _APPROVERS),
        "controllers": None if flags is None else flags.get("controllers") or "*",
        "signing_cert_file": dig(flags, "cluster-signing-kubelet-client-cert-file")
        or dig(flags, "cluster-signing-cert-file"),
        "signing_key_file": dig(flags, "cluster-signing-kubelet-client-key-file")
        or dig(flags, "cluster-signing-key-file"),
        "signing_key_matches": _signing_key_matches(cluster, flags),
    }


_APPROVERS = ("certificatesigningrequest-approving-controller", "csrapproving")


def manager_flags(cluster: Cluster) -> Data | None:
    """The controller manager's flags in force; None when they were not seen."""
    return _flags(cluster)[0]


def _flags(cluster: Cluster) -> tuple[Data | None, str | None]:
    """The flags in force: of a running pod, else of the manifest on a control-plane node."""
    for host in cluster.control_plane_hosts:
        manifest = dig(host, "manifests", "kube-controller-manager")
        if isinstance(dig(manifest, "flags"), dict):
            return manifest["flags"], manifest.get("path")
    for pod in dig(cluster.control_plane_info, "controller_manager", "pods") or ():
        if isinstance(pod.get("flags"), dict) and pod["flags"]:
            return pod["flags"], f"pod {pod.get('name')}"
    return None, None


def _signer_on(flags: Data) -> bool:
    """``Skipping CSR signer controller because no csr cert/key was specified`` is what an absent pair leads to."""
    general = all(flags.get(name) for name in SIGNING_FLAGS)
    specific = all(flags.get(name) for name in CLIENT_SIGNING_FLAGS)
    return (general or specific) and _controller_on(
        flags, ("certificatesigningrequest-signing-controller", "csrsigning")
    )


def _controller_on(flags: Data, names: tuple[str, ...]) -> bool:
    chosen = [item.strip() for item in str(flags.get("controllers") or "*").split(",")]
    if any(f"-{name}" in chosen for name in names):
        return False
    return "*" in chosen or any(name in chosen for name in names)


def _signing_key_matches(cluster: Cluster, flags: Data | None) -> bool | None:
    """Whether the CA file the flags name and its key are a pair, compared on a control-plane node."""
    wanted = dig(flags, "cluster-signing-kubelet-client-cert-file") or dig(flags, "cluster-signing-cert-file")
    matches = [
        entry.get("key_matches")
        for host in cluster.control_plane_hosts
        for entry in dig(host, "files") or ()
        if wanted and entry.get("path") == wanted
    ]
    known = [match for match in matches if match is not None]
    return all(known) if known else None
