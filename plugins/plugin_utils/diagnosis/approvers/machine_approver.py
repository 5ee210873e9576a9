# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""OpenShift's machine-approver (cluster-machine-approver), for both certificates. It never denies: what fails stays pending.

Source: ``pkg/controller/csr_check.go`` (authorizeCSR, authorizeNodeClientCSR, validateCSRContents, authorizeServingRenewal) and
``controller.go`` (reconcileLimits). Machine objects are not collected: what only they tell is unknown here. A serving request passes
when its names are those of the certificate that is served now, or of the node's Machine; the Node's addresses stand for the Machine's.
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import (
    Case,
    check,
    shown,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = "https://github.com/openshift/cluster-machine-approver/blob/main/pkg/controller/csr_check.go"
BOOTSTRAPPER = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"

_MORE_THAN_NODES = 100


def replay_client(case: Case) -> list[Data]:
    """A joining node's request. Renewals (of system:node users) are the controller manager's."""
    node = case.common_name.removeprefix(checks.NODE_PREFIX)
    return [
        _limit(case),
        check(
            "node-bootstrapper",
            case.requestor == BOOTSTRAPPER,
            f"{case.requestor or 'unknown'}; wanted: {BOOTSTRAPPER}",
        ),
        check(
            "no such Node yet",
            None if case.node_registered is None else not case.node_registered,
            f"Node {node or 'unknown'} {'exists' if case.node_registered else 'does not exist' if case.node_registered is False else 'was not seen'}",
        ),
        check(
            "a Machine without a Node", None, "Machines are not collected: one whose internal DNS name is the node's"
        ),
        check("within 2 hours of its Machine", None, f"created {case.csr.get('created')}"),
    ]


def replay_serving(case: Case) -> list[Data]:
    """A serving request."""
    groups = [str(group) for group in case.csr.get("groups") or ()]
    asked = case.names("dns_names", "ip_addresses")
    now = [
        str(name) for kind in ("dns_names", "ip_addresses") for name in (case.serving_certificate or {}).get(kind) or ()
    ]
    renewal = sorted(asked) == sorted(now) if case.serving_certificate else None
    own = checks.of_the_node(case)
    return [
        _limit(case),
        check(
            "groups",
            {checks.NODES, "system:authenticated"} <= set(groups),
            f"{shown(groups)}; wanted: {checks.NODES}, system:authenticated",
        ),
        checks.usages(case, "digital signature", "server auth"),
        checks.is_requestor(case),
        check(
            "names are those served now, or the Machine's",
            True if renewal else own["passed"],
            f"asked: {shown(asked)}; served now: {shown(now) if case.serving_certificate else 'nothing'}; {own['compared']}",
        ),
    ]


def _limit(case: Case) -> Data:
    known = case.pending is not None and case.nodes is not None
    most = (case.nodes or 0) + _MORE_THAN_NODES
    return check(
        "not too many pending",
        case.pending <= most if known and case.pending is not None else None,
        f"{case.pending if known else 'unknown'} of the last hour; it stops above {most if known else 'nodes + 100'}",
    )
