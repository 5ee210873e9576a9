# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The acts by name. What an act does is said where it is made; here they are only gathered."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import Act
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.cluster_acts import (
    APPROVE_CSR,
    DELETE_CSRS,
    RESTORE_RBAC,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.config_acts import (
    ENABLE_ROTATION,
    REFRESH_CA,
    USE_ROTATING_KUBECONFIG,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.kubelet_acts import (
    REBOOTSTRAP,
    RESTART_KUBELET,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.store_acts import (
    FREE_SPACE,
    REPAIR_LINK,
    REPAIR_MODES,
)

REGISTRY: dict[str, Act] = {
    act.name: act
    for act in (
        RESTORE_RBAC,
        DELETE_CSRS,
        APPROVE_CSR,
        REPAIR_MODES,
        FREE_SPACE,
        REPAIR_LINK,
        ENABLE_ROTATION,
        USE_ROTATING_KUBECONFIG,
        REFRESH_CA,
        REBOOTSTRAP,
        RESTART_KUBELET,
    )
}
NEED_RESTART = frozenset(("repair_link", "enable_rotation", "use_rotating_kubeconfig", "refresh_ca"))
"""The kubelet reads what these change at its start only."""
