# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What was left of the certificates of each node pool, audit by audit."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import Data

AUDITS = 120
"""The newest audits that a trend shows."""


def trend_of(audits: t.Iterable[Data], now: Data) -> list[Data]:
    """The pools of this audit, the one with the least left first, each with its points in the order of time.

    Args:
        audits: earlier ones (``record.read_audit``), in any order.
        now: this one (``record.audit_of``).

    Returns: ``{cluster, pool, nodes, known, least_seconds, least_node, points: [{time, least_percent, median_percent}]}``. A share is of the
    lifetime of a client certificate; null where none was seen, as in an audit that did not ask this pool.
    """
    earlier = sorted(audits, key=lambda audit: str(audit["time"]))[-AUDITS + 1 :]
    shown = [*earlier, now]
    points: dict[tuple[str, str | None], dict[int, Data]] = {}
    for index, audit in enumerate(shown):
        for pool in audit["pools"]:
            points.setdefault((pool["cluster"], pool["pool"]), {})[index] = pool
    result = []
    for pool in now["pools"]:
        seen = points[pool["cluster"], pool["pool"]]
        first = min(seen)
        result.append(
            {
                **{key: pool[key] for key in ("cluster", "pool", "nodes", "known", "least_seconds", "least_node")},
                "points": [
                    {
                        "time": audit["time"],
                        "least_percent": seen[index]["least_percent"] if index in seen else None,
                        "median_percent": seen[index]["median_percent"] if index in seen else None,
                    }
                    for index, audit in enumerate(shown)
                    if index >= first
                ],
            }
        )
    return sorted(result, key=_urgency)


def _urgency(pool: Data) -> tuple[float, str, str]:
    least = pool["points"][-1]["least_percent"]
    return (float("inf") if least is None else least, pool["cluster"], pool["pool"] or "")
