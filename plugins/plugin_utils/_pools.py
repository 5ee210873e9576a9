# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The pool that a node belongs to, by the labels that providers and installers give it."""

from __future__ import annotations

import typing as t

POOL_LABELS = (
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "kops.k8s.io/instancegroup",
    "hypershift.openshift.io/nodePool",
    "worker.gardener.cloud/pool",
    "doks.digitalocean.com/node-pool",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "k8s.scaleway.com/pool-name",
)
"""Of these the first that a node has names its pool."""
_ROLE = "node-role.kubernetes.io/"
CONTROL_PLANE = "control-plane"
WORKER = "worker"


def pool_of(labels: t.Any, label: str | None = None) -> str | None:
    """The name of a node's pool.

    Args:
        labels: those of its Node object; anything but a mapping: they were not seen.
        label: a label of the user's own that goes before ``POOL_LABELS``.

    Returns: its value; without any such label ``control-plane``, the first of the node's roles, or ``worker``. None: the labels were not seen.
    """
    if not isinstance(labels, dict):
        return None
    for name in (label, *POOL_LABELS):
        if name and labels.get(name):
            return str(labels[name])
    roles = sorted(str(name).removeprefix(_ROLE) for name in labels if str(name).startswith(_ROLE))
    if CONTROL_PLANE in roles or "master" in roles:
        return CONTROL_PLANE
    return next((role for role in roles if role), WORKER)
