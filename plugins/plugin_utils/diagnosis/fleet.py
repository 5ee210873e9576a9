# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The fleet as a whole: how many nodes stand how, and which primary causes they share."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import Matching
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import SEVERITIES
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import VERDICTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

_OF_CAUSE = ("rule", "title", "stage", "severity", "docs")


def brief(node: Data) -> Data:
    """Of a judged node what ``fleet_of`` looks at."""
    primary, client = node["primary"], node["certificates"]["client"]
    return {
        "name": node["name"],
        "verdict": node["verdict"],
        "primary": primary and {key: primary[key] for key in _OF_CAUSE},
        "certificates": {"client": {"seconds_left": client["seconds_left"]}},
    }


def fleet_of(nodes: list[Data], matching: Matching, without_host: list[str]) -> Data:
    """Counts, clusters of causes, and the hosts that could not be matched; see ``docs/diagnosis.md``."""
    verdicts = dict.fromkeys(reversed(VERDICTS), 0)
    for node in nodes:
        verdicts[node["verdict"]] += 1
    return {
        "nodes": len(nodes),
        "verdicts": verdicts,
        "causes": _causes(nodes),
        "unmatched_hosts": matching.unmatched,
        "nodes_without_host": without_host,
        "duplicate_hosts": matching.duplicates,
    }


def _causes(nodes: list[Data]) -> list[Data]:
    clusters: dict[str, Data] = {}
    troubled = sum(1 for node in nodes if node["primary"])
    for node in nodes:
        primary = node["primary"]
        if primary is None:
            continue
        cause = clusters.setdefault(
            primary["rule"],
            {
                **{key: primary[key] for key in _OF_CAUSE},
                "nodes": [],
                "of": troubled,
                "least_seconds_left": None,
            },
        )
        cause["severity"] = min(cause["severity"], primary["severity"], key=SEVERITIES.index)
        cause["nodes"].append(node["name"])
        left = node["certificates"]["client"]["seconds_left"]
        if left is not None and (cause["least_seconds_left"] is None or left < cause["least_seconds_left"]):
            cause["least_seconds_left"] = left
    for cause in clusters.values():
        cause["count"] = len(cause["nodes"])
    return sorted(clusters.values(), key=_urgency)


def _urgency(cause: Data) -> tuple[int, int, float, str]:
    left = t.cast("int | None", cause["least_seconds_left"])
    return SEVERITIES.index(cause["severity"]), -cause["count"], float("inf") if left is None else left, cause["rule"]
