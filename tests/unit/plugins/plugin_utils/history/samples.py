# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small diagnoses, as the filter makes them, for the tests of the history."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.diff import compare
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import SCHEMA, judged, read_nodes

Data = dict[str, t.Any]
NOW = datetime(2026, 11, 25, 2, 0, tzinfo=timezone.utc)


def at(**delta: float) -> str:
    return format_time(NOW + timedelta(**delta))


def finding(rule: str, severity: str = "critical", role: str = "primary") -> Data:
    return {"rule": rule, "title": f"title of {rule}", "stage": "approval", "severity": severity, "role": role}


def node(name: str, verdict: str = "healthy", *findings: Data, **more: t.Any) -> Data:
    """``skipped``: ids of rules, ``gone``: why it was not seen, ``left``: days left of a client certificate of 100 days."""
    left = more.pop("left", 50)
    gap = more.pop("gone", None)
    return {
        "name": name,
        "pool": "workers",
        "verdict": verdict,
        "findings": list(findings),
        "skipped": [{"rule": rule} for rule in more.pop("skipped", ())],
        "missing": [{"subject": "node", "reason": gap}] if gap else [],
        "certificates": {
            "client": {"not_before": at(days=left - 100), "not_after": at(days=left)} if left is not None else None
        },
        **more,
    }


def diagnosis(*nodes: Data, now: str | None = None, **more: t.Any) -> Data:
    cluster = {"api_url": "https://user@api:6443/", "not_seen": [], **more.pop("cluster", {})}
    return {
        "schema": "kubecare.kubelet_certs/diagnosis/1",
        "now": now or at(),
        "cluster": cluster,
        "fleet": {},
        "nodes": list(nodes),
        **more,
    }


def audits(*diagnoses: Data) -> tuple[list[Data], dict[str, list[Data]]]:
    """The nodes and the changes of the last of some audits in a row, each read back as from its file."""
    nodes: list[Data] = []
    changes: dict[str, list[Data]] = {}
    for one in diagnoses:
        earlier = read_nodes({"schema": SCHEMA, "time": at(), "nodes": nodes})
        nodes, changes = compare(judged(one), earlier)
    return nodes, changes
