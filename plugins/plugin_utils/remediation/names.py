# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The names of the acts, in the order in which a plan takes them."""

from __future__ import annotations

CLUSTER_ACTS = ("restore_rbac", "delete_csrs", "approve_csr")
NODE_ACTS = (
    "repair_modes",
    "free_space",
    "repair_link",
    "enable_rotation",
    "use_rotating_kubeconfig",
    "refresh_ca",
    "rebootstrap",
    "restart_kubelet",
)
ACTS = (*CLUSTER_ACTS, *NODE_ACTS)
ORDER = {name: index for index, name in enumerate(ACTS)}
RISKS = ("low", "medium", "high")
