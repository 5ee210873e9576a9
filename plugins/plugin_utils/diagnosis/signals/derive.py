# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""All signals of one node, by subject: the vocabulary of the rules."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.approval import (
    NOTE,
    approval_cluster_signals,
    replay_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.authority import (
    controller_manager_signals,
    manager_flags,
    rbac_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.ca import (
    ca_signals,
    client_ca_certificates,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.certificate import (
    client_signals,
    serving_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.compare import comparison_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.connection import (
    api_server_signals,
    connection_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.csr import csr_signals, stored_at
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.distribution import (
    distribution_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.identity import identity_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.kubelet import (
    clock_signals,
    down_signals,
    kubelet_signals,
    timer_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.kubelet_api import (
    kubelet_api_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.log import log_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.manager import (
    control_plane_certificates,
    effective_reviews,
    manager_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.node import node_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.renewal import (
    of_another_rotator,
    renewal_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.rotation import (
    bootstrap_signals,
    kubeconfig_signals,
    rotation_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.signing import signing_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.skew import skew_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.storage import storage_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.store import store_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Cluster, Data, View, dig


def cluster_signals(cluster: Cluster, now: str) -> Data:
    """The subjects that are the same for every node; derived once."""
    flags, manager = manager_flags(cluster), controller_manager_signals(cluster, now)
    manager |= manager_signals(cluster, flags, manager["alive"], now)
    return {
        "rbac": {
            **effective_reviews(rbac_signals(cluster), manager["own_identity"]),
            "roles": dig(cluster.rbac_info, "roles"),
        },
        "controller_manager": manager,
        "signing": {**signing_signals(cluster, flags, now), "client_ca": client_ca_certificates(cluster)},
        "control_plane_certificates": control_plane_certificates(cluster, now),
        **approval_cluster_signals(cluster, now),
    }


def node_signals_of(view: View, shared: Data) -> Data:
    """Subject → signal → value. None is *unknown*; nothing here raises on absent or malformed evidence."""
    rotation, client, serving = rotation_signals(view), client_signals(view), serving_signals(view)
    distribution, kubelet = distribution_signals(view, rotation["client"]), kubelet_signals(view)
    renewal = renewal_signals(distribution, client, kubelet, view.now)
    bootstrap = bootstrap_signals(view, client)
    if not distribution["by_kubelet"]:
        of_another_rotator(rotation, client, bootstrap)
    csr, log = csr_signals(view, client, serving), log_signals(view, stored_at(client))
    for subject, replay in replay_signals(view, shared, client, serving).items():
        csr[subject]["replay"] = replay
    csr["note"] = NOTE if csr["client"]["total"] == 0 and csr["serving"]["total"] == 0 else None
    stores = {
        "client": store_signals(view, "client", client["rotated"]["lifetime_seconds"]),
        "serving": store_signals(view, "serving", serving["lifetime_seconds"]),
    }
    return {
        **shared,
        "node": node_signals(view),
        "distribution": distribution,
        "kubelet": kubelet,
        "kubelet_api": kubelet_api_signals(view, serving, kubelet["running"]),
        "clock": clock_signals(view),
        "rotation": {**rotation, "failing": _failing(client, csr["client"], log["recent"])},
        "renewal": renewal,
        "down": down_signals(view, client),
        "identity": identity_signals(view, client),
        "timer": timer_signals(view, client),
        "kubeconfig": kubeconfig_signals(view),
        "bootstrap": bootstrap,
        "client_certificate": client,
        "serving_certificate": serving,
        "connection": connection_signals(view),
        "api_server": api_server_signals(view),
        "csr": csr,
        "ca": ca_signals(view, shared["signing"], client),
        "control_plane_ending": _ending_first(shared["control_plane_certificates"], client),
        "skew": skew_signals(view),
        "storage": {**storage_signals(view), **stores},
        "comparison": comparison_signals(view, stores, log),
        "log": log,
    }


_FAILURES = ("create_failed", "not_signed", "store_failed", "backoff", "no_valid_certificate")


def _failing(client: Data, csr: Data, recent: Data) -> bool | None:
    """Whether a rotation is overdue, or tried without success. None when none of what would show it could be seen."""
    shows = [
        client["overdue"],
        None if client["present"] is None else not client["present"],
        *(
            None if csr[state] is None else csr[state] > 0
            for state in ("pending", "approved_not_signed", "denied", "failed")
        ),
        *(recent.get(category) for category in _FAILURES),
    ]
    known = [shown for shown in shows if shown is not None]
    return any(known) if known else None


def _ending_first(certificates: list[Data] | None, client: Data) -> list[Data] | None:
    """Certificates of the control plane that are due, not renewed, and end before this node's rotation window closes."""
    if certificates is None or not client["rotation_until"]:
        return None
    return [
        entry
        for entry in certificates
        if entry["due"] and not entry["expired"] and str(entry["not_after"]) < client["rotation_until"]
    ]
