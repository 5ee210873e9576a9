# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``skew``: the kubelet's version beside the API server's. A kubelet may be older, by three minor versions, and never newer."""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig


def minor(version: str | None) -> tuple[int, int] | None:
    """``v1.36.3-eks-1`` as ``(1, 36)``; None when it is no version."""
    found = re.match(r"v?(\d{1,3})\.(\d{1,4})(?:\D|$)", version or "")
    return (int(found[1]), int(found[2])) if found else None


def skew_signals(view: View) -> Data:
    """``kubelet``: of the process, else what the Node object says. ``replaced``: the process is of another version than the Node says."""
    running, told = dig(view.probe, "kubelet", "version"), dig(view.node, "kubelet_version")
    server = dig(view.cluster.control_plane_info, "api_server", "version")
    mine, theirs = minor(running or told), minor(server)
    return {
        "kubelet": running or told,
        "api_server": server,
        "kubelet_newer": None if mine is None or theirs is None else mine > theirs,
        "node_says": told,
    }
