# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""This audit against the last: what is new, resolved or worse, and what cannot be told because a node was not seen.

A finding is resolved only when its node was seen and its rule had all the evidence it needs. Otherwise it *stands*: it is carried over
with the time of the audit that last judged it, from one audit to the next, until it is judged again.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import SEVERITIES
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import VERDICTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    CERTIFICATES,
    NOT_ASKED,
    NOT_LISTED,
    Data,
    Judged,
    Key,
)

CHANGES = ("new", "resolved", "worse", "unseen", "joined", "gone")
"""Kinds of changes; the first three are of findings and verdicts, the others of nodes."""


def compare(part: Judged, earlier: t.Sequence[Data]) -> tuple[list[Data], dict[str, list[Data]]]:
    """``(nodes, changes)`` of one cluster: its nodes with what is carried over, and the changes by their kind.

    Args:
        part: this audit.
        earlier: the nodes of the last audit; empty for the first.

    ``changes``: of findings ``{cluster, node, rule, title, stage, severity, role}``, of what got worse ``{cluster, node, before, after, title}``
    (verdicts, or severities of one finding), of nodes ``{cluster, node}``, of those that are not seen also ``{why, standing}``.
    """
    before = {_key(node): node for node in earlier}
    changes: dict[str, list[Data]] = {kind: [] for kind in CHANGES}
    result = []
    for node in part.nodes:
        key = _key(node)
        old = before.pop(key, None)
        if old is None:
            changes["new"] += [_of(node, finding) for finding in node["findings"]]
            changes["joined"].append(_of(node))
            result.append(node)
        else:
            result.append(_one(node, old, part.unjudged[key], changes))
    for old in before.values():
        if part.complete:
            changes["gone"].append(_of(old))
            continue
        why = NOT_ASKED if part.limited else NOT_LISTED
        standing = [{**finding, "stands": True} for finding in old["findings"]]
        lost = {"verdict": "unknown", "seen": False, "why": why, "certificates": dict.fromkeys(CERTIFICATES)}
        result.append({**old, **lost, "findings": standing})
        if old["seen"] and why == NOT_LISTED:
            changes["unseen"].append({**_of(old), "why": why, "standing": len(standing)})
    return result, changes


def _one(node: Data, old: Data, unjudged: frozenset[str], changes: dict[str, list[Data]]) -> Data:
    """A node that both audits have."""
    found = {finding["rule"]: finding for finding in node["findings"]}
    known = {finding["rule"]: finding for finding in old["findings"]}
    standing = [
        {**finding, "stands": True}
        for rule, finding in known.items()
        if rule not in found and (not node["seen"] or rule in unjudged)
    ]
    stands = {finding["rule"] for finding in standing}
    changes["new"] += [_of(node, finding) for rule, finding in found.items() if rule not in known]
    changes["resolved"] += [
        _of(node, finding) for rule, finding in known.items() if rule not in found and rule not in stands
    ]
    worse = _worse(node, old, found, known)
    if worse:
        changes["worse"].append({**_of(node), **worse})
    if not node["seen"] and (old["seen"] or old["why"] == NOT_ASKED):
        changes["unseen"].append({**_of(node), "why": node["why"], "standing": len(standing)})
    return {
        **node,
        "pool": node["pool"] or old["pool"],
        "known": node["known"] or old["known"],
        "findings": node["findings"] + standing,
    }


def _worse(node: Data, old: Data, found: dict[str, Data], known: dict[str, Data]) -> Data | None:
    """The verdict that got worse; else the gravest finding whose severity did. An unknown verdict is neither better nor worse."""
    after, last = node["verdict"], old["known"]
    cause = next((finding["title"] for finding in node["findings"]), None)
    if after != "unknown" and last and VERDICTS.index(after) < VERDICTS.index(last["verdict"]):
        return {"before": last["verdict"], "after": after, "title": cause}
    for rule, finding in found.items():
        was = known[rule]["severity"] if rule in known else finding["severity"]
        if SEVERITIES.index(finding["severity"]) < SEVERITIES.index(was):
            return {"before": was, "after": finding["severity"], "title": finding["title"]}
    return None


def _of(node: Data, finding: Data | None = None) -> Data:
    keys = ("rule", "title", "stage", "severity", "role")
    return {
        "cluster": node["cluster"],
        "node": node["name"],
        **({key: finding[key] for key in keys} if finding else {}),
    }


def _key(node: Data) -> Key:
    return (node["cluster"], node["name"])
