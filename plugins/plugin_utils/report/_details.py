# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What is told of a node beside its findings: foresight, who approves, one certificate in four places, the distribution."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import (
    Record,
    choice,
    mapping,
    mappings,
    number,
    text,
    texts,
    time,
)

PLACES = ("reference", "disk", "issued", "served")
"""The four places of a certificate, in the order of its way."""
_LEADS_TO = ("approves", "refuses", "unknown")


def read(node: Record) -> Record:
    """The keys ``approval``, ``comparison`` and ``distribution`` of a node, of the right types and neutral."""
    return {
        "approval": [_replay(item) for item in mappings(node.get("approval"))],
        "comparison": [
            record
            for subject in ("client", "serving")
            if (record := _comparison(subject, mapping(node.get("comparison")).get(subject)))
        ],
        "distribution": _distribution(node.get("distribution")),
    }


def foresight(node: Record) -> Record | None:
    """Of a node, the seconds until the rotation window opens, closes, and the certificate ends; negative ones are past."""
    record = mapping(node.get("foresight"))
    times = {
        key: number(record.get(key), None)
        for key in ("rotation_opens_in_seconds", "rotation_closes_in_seconds", "expires_in_seconds")
    }
    if all(item is None for item in times.values()):
        return None
    return {**times, "blocked_by": texts(record.get("blocked_by"))}


def _replay(item: Record) -> Record:
    """One request and the checks of the approver that is responsible for it."""
    approver = mapping(item.get("approver"))
    return {
        "subject": choice(item.get("subject"), ("client", "serving"), "client"),
        "csr": text(item.get("csr"), 253),
        "state": text(item.get("state"), 40),
        "created": time(item.get("created")),
        "approver": text(approver.get("name"), 120),
        "workload": text(approver.get("workload"), 300),
        "decision": choice(item.get("decision"), _LEADS_TO, "unknown"),
        "checks": [
            {
                "name": text(check.get("name"), 120),
                "passed": choice(check.get("passed"), (True, False), None),
                "compared": text(check.get("compared"), 1000),
            }
            for check in mappings(item.get("checks"))
        ],
        "source": text(item.get("source"), 300),
    }


def _comparison(subject: str, value: t.Any) -> Record | None:
    """One certificate in its four places; a place is None where it was not seen. None when no place was seen."""
    record = mapping(value)
    places = [
        {
            "place": place,
            "serial": text(seen.get("serial"), 80),
            "key": text(seen.get("public_key_sha256"), 64)[:16],
            "not_after": time(seen.get("not_after")),
            "where": text(seen.get("path") or seen.get("csr") or seen.get("seen"), 300),
        }
        for place in PLACES
        if (seen := mapping(record.get(place)))
    ]
    if not places:
        return None
    return {
        "subject": subject,
        "places": places,
        "agree": choice(record.get("agree"), (True, False), None),
        "lost": text(record.get("lost"), 300),
        "lost_at": text(record.get("lost_at"), 60),
    }


def _distribution(value: t.Any) -> Record | None:
    record = mapping(value)
    if not record.get("title"):
        return None
    keys = ("title", "rotates_by", "approves_client_by", "approves_serving_by")
    return {
        **{key: text(record.get(key), 200) for key in keys},
        "evidence": [text(proof.get("text"), 300) for proof in mappings(record.get("evidence"))],
    }
