# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Acts on the kubelet itself: a new identity, a restart."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import BOOTSTRAP_GROUP
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import (
    Act,
    CannotAct,
    Case,
    Draft,
    command,
)

BOOTSTRAP_BINDINGS = {
    "bootstrap_create_csr": ("kubeadm:kubelet-bootstrap", "ask for a certificate"),
    "bootstrap_nodeclient": ("kubeadm:node-autoapprove-bootstrap", "have its request approved"),
}
"""What a bootstrap token must be allowed for a new identity to come: review → the binding by which it is, and the words for it."""


def _rebootstrap(case: Case) -> list[Draft]:
    unseen = _unseen_permissions(case)
    bootstrap = case.probed("bootstrap_kubeconfig", "path")
    if not bootstrap:
        raise CannotAct("the kubelet is started without --bootstrap-kubeconfig, so it would not read one")
    if case.rotated():
        raise CannotAct(
            "a certificate of this node that is valid now lies in its directory; a new identity is not needed"
        )
    info = dig(case.cluster, "control_plane_info") or {}
    server = dig(info, "cluster_info", "server")
    if case.rule != "bootstrap-kubeconfig-stale":
        server = case.probed("kubeconfig", "server") or server
    ca_pem = dig(info, "cluster_ca", "pem")
    if not server or not ca_pem:
        raise CannotAct("the API server's address or the cluster's CA was not seen")
    unit = case.unit()
    kubeconfig = str(case.needed("the kubeconfig", "kubeconfig", "path"))
    parameters: Data = {
        "node": case.name,
        "unit": unit,
        "kubeconfig": kubeconfig,
        "pki_path": str(case.needed("the certificate directory", "pki", "path")),
        "bootstrap_kubeconfig": bootstrap,
        "server": server,
        "ca_pem": ca_pem,
    }
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters=parameters,
            bound_to=case.bound(kubeconfig, str(bootstrap)),
            needs=(*unseen, *case.not_bound(kubeconfig, str(bootstrap))),
            commands=(
                "kubeadm token create --ttl 15m",
                f"# on the node: {command(str(bootstrap))} with the token, the old kubelet-client files moved aside",
                command("systemctl", "restart", unit),
                "kubeadm token delete <id>",
            ),
            changes=(
                "a bootstrap token of at most 15 minutes is made, used and deleted",
                f"{bootstrap} is written with it and removed after",
                "the ended client certificate is moved aside, and a new one comes",
                f"{unit} is restarted",
            ),
            verified_by="a client certificate of another fingerprint and a later end lies on the node, and the token is gone",
        )
    ]


def _unseen_permissions(case: Case) -> tuple[str, ...]:
    """What has to be so, and was not seen to be. Raises CannotAct where it is seen that it is not so: the node would wait in vain, and be rolled back."""
    unseen = []
    for name, (binding, what) in BOOTSTRAP_BINDINGS.items():
        review = dig(case.cluster, "rbac_info", "reviews", name) or {}
        allowed = review.get("allowed") if BOOTSTRAP_GROUP in (review.get("groups") or ()) else None
        if binding in case.restored or allowed is True:
            continue
        if allowed is False:
            raise CannotAct(
                f"a bootstrap token does not let a node {what} here ({binding} or its like is missing, and may be so on purpose), so a new "
                "identity would not come by itself: restore it, or make the token and approve the node's request by hand"
            )
        unseen.append(f"that a bootstrap token lets a node {what}, which was not seen")
    return tuple(unseen)


def _restart(case: Case) -> list[Draft]:
    unit = case.unit()
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters={
                **case.places(),
                "unit": unit,
                "wait_for_new_certificate": case.needs_certificate,
            },
            bound_to=case.bound(),
            commands=(command("systemctl", "restart", unit),),
            changes=(f"{unit} is restarted; containers go on",),
            verified_by="a new client certificate comes"
            if case.needs_certificate
            else "the kubelet answers and stays up",
        )
    ]


REBOOTSTRAP = Act(
    "rebootstrap",
    "node_repair",
    "Give the node a new identity by a short-lived bootstrap token",
    "medium",
    (
        "root on the node",
        "create and delete on secrets in kube-system",
    ),
    "the files that were moved aside are put back; the token is deleted in any case",
    _rebootstrap,
)
RESTART_KUBELET = Act(
    "restart_kubelet",
    "node_repair",
    "Restart the kubelet",
    "low",
    ("root on the node",),
    "none: a start is not undone",
    _restart,
)
