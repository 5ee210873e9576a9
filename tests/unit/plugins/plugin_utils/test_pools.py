# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._pools import pool_of

ROLE = "node-role.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "label", "pool"),
    [
        ({"cloud.google.com/gke-nodepool": "default-pool", f"{ROLE}worker": ""}, None, "default-pool"),
        ({"eks.amazonaws.com/nodegroup": "spot", "team": "a"}, "team", "a"),
        ({"eks.amazonaws.com/nodegroup": "spot", "team": ""}, "team", "spot"),
        ({f"{ROLE}control-plane": "", f"{ROLE}etcd": ""}, None, "control-plane"),
        ({f"{ROLE}master": ""}, None, "control-plane"),
        ({f"{ROLE}infra": ""}, None, "infra"),
        ({ROLE: ""}, None, "worker"),
        ({}, None, "worker"),
        (None, None, None),
        ("x", "x", None),
    ],
)
def test_a_pool_is_that_of_the_users_label_then_the_providers_then_the_role(
    labels: t.Any, label: str | None, pool: str | None
) -> None:
    assert pool_of(labels, label) == pool
