# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""All signals of one node, by subject: the vocabulary of the rules."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.authority import (
    controller_manager_signals,
    rbac_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.certificate import (
    client_signals,
    serving_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.connection import (
    api_server_signals,
    connection_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.csr import csr_signals, stored_at
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.identity import identity_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.kubelet import (
    clock_signals,
    down_signals,
    kubelet_signals,
    timer_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.log import log_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.node import node_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.rotation import (
    bootstrap_signals,
    kubeconfig_signals,
    rotation_signals,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.storage import storage_signals
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Cluster, Data, View


def cluster_signals(cluster: Cluster, now: str) -> Data:
    """The subjects that are the same for every node; derived once."""
    return {
        "rbac": rbac_signals(cluster),
        "controller_manager": controller_manager_signals(cluster, now),
    }


def node_signals_of(view: View, shared: Data) -> Data:
    """Subject → signal → value. None is *unknown*; nothing here raises on absent or malformed evidence."""
    client, serving = client_signals(view), serving_signals(view)
    csr, log = csr_signals(view, client, serving), log_signals(view, stored_at(client))
    return {
        **shared,
        "node": node_signals(view),
        "kubelet": kubelet_signals(view),
        "clock": clock_signals(view),
        "down": down_signals(view, client),
        "identity": identity_signals(view, client),
        "timer": timer_signals(view, client),
        "rotation": {**rotation_signals(view), "failing": _failing(client, csr["client"], log["recent"])},
        "kubeconfig": kubeconfig_signals(view),
        "bootstrap": bootstrap_signals(view, client),
        "client_certificate": client,
        "serving_certificate": serving,
        "connection": connection_signals(view),
        "api_server": api_server_signals(view),
        "csr": csr,
        "storage": storage_signals(view),
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
