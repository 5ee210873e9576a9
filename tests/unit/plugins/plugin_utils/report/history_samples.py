# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds ``history.json`` as the module audit_compare writes it, for the tests of what shows it."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import history
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples

Record = dict[str, t.Any]


def change(node: str, title: str = "The kubelet is stopped", role: str = "primary", **more: t.Any) -> Record:
    rule = title.lower().replace(" ", "-")
    return {
        "node": node,
        "rule": rule,
        "title": title,
        "stage": "kubelet",
        "severity": "critical",
        "role": role,
        **more,
    }


def pool(name: str, *percents: float | None, **more: t.Any) -> Record:
    first = parse_time(samples.at(days=-len(percents) + 1))
    points = [
        {"time": format_time(first + timedelta(days=day)), "least_percent": share, "median_percent": share}
        for day, share in enumerate(percents)
    ]
    known = percents[-1] is not None
    left = int(percents[-1] * 36000) if percents[-1] is not None else None
    return {
        "pool": name,
        "cluster": "c",
        "nodes": 3,
        "known": 3 * known,
        "least_seconds": left,
        "least_node": "n1",
        "points": points,
        **more,
    }


def value(**more: t.Any) -> Record:
    changes = {key: [] for key in ("new", "resolved", "worse", "unseen", "joined", "gone")}
    return {
        "schema": history.SCHEMA,
        "time": samples.at(),
        "since": samples.at(days=-1),
        "complete": True,
        "verdicts": {"healthy": 3},
        "nodes": 3,
        "gaps": 0,
        "trend": [pool("workers", 80, 60)],
        "passed_over": [],
        **more,
        "changes": {**changes, **more.get("changes", {})},
    }


def hostile() -> Record:
    """Hostile texts in every place."""
    worst = samples.HOSTILE
    return value(
        since="x",
        changes={
            "new": [change(one, one) for one in worst],
            "worse": [{"node": one, "before": one, "after": one} for one in worst],
            "unseen": [{"node": one, "why": one, "standing": 1} for one in worst],
            "joined": [{"node": one} for one in worst],
            "gone": [{"node": one} for one in worst],
        },
        trend=[pool(one, 50, 40, cluster=one, least_node=one) for one in worst],
        passed_over=[{"audit": one, "why": one} for one in worst],
    )
