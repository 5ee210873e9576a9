# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``node``: the Node object as the API server holds it."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)


def node_signals(view: View) -> Data:
    """``registered`` is None where nodes could not be listed; ``ready`` is the condition's status (True, False, Unknown)."""
    listed = dig(view.cluster.node_info, "nodes") is not None
    ready = next((c for c in dig(view.node, "conditions") or () if c.get("type") == "Ready"), None)
    renewed = dig(view.node, "lease", "renewed")
    return {
        "name": view.name,
        "registered": view.node is not None if listed else None,
        "ready": dig(ready, "status"),
        "ready_reason": dig(ready, "reason"),
        "ready_message": dig(ready, "message"),
        "ready_since": dig(ready, "last_transition"),
        "not_ready": None if ready is None else ready.get("status") != "True",
        "lease_renewed": renewed,
        "lease_age_seconds": seconds_since(renewed, view.now),
        "kubelet_version": dig(view.node, "kubelet_version"),
        "addresses": [entry.get("address") for entry in dig(view.node, "addresses") or ()],
        "host": view.host,
        "probed": view.probe is not None,
        "as_root": dig(view.probe, "root"),
    }
