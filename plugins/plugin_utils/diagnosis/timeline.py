# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""One axis of time for a node: what happened when, and what failed first. What changed comes from ``changes.py``."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.changes import event
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    earliest,
    seconds_since,
)

MAX_EVENTS = 60
_FAILURE_CATEGORIES = (
    "create_failed",
    "not_signed",
    "csr_denied",
    "csr_failed",
    "store_failed",
    "backoff",
    "no_valid_certificate",
    "certificate_expired",
    "bootstrap_kubeconfig_missing",
    "kubeconfig_unusable",
    "unauthorized",
    "anonymous",
    "server_untrusted",
    "start_failed",
)


def first_failure(signals: Data) -> str | None:
    """When the first sign of the present trouble was seen; None when there is none.

    Signs: a request that was not issued, an error in the log since the certificate was stored, the end of the certificate, the node's
    Ready condition leaving True.
    """
    client = signals["csr"]["client"]
    moments: list[str | None] = [
        t.cast("str | None", signals["log"]["first"].get(category)) for category in _FAILURE_CATEGORIES
    ]
    if client["pending"] or client["approved_not_signed"] or client["denied"] or client["failed"]:
        moments.append(client["first_created"])
    if signals["csr"]["serving"]["stuck"]:
        moments.append(signals["csr"]["serving"]["first_created"])
    if signals["client_certificate"]["expired"]:
        moments.append(signals["client_certificate"]["not_after"])
    if signals["node"]["not_ready"]:
        moments.append(signals["node"]["ready_since"])
    if signals["kubelet"]["stopped"]:
        moments.append(signals["kubelet"]["inactive_since"])
    return earliest(moments)


def timeline(view: View, failure: str | None, changes: list[Data]) -> list[Data]:
    """The node's events and the changes (see ``changes.py``), by time; at most MAX_EVENTS, those nearest to the failure or to now."""
    events = [
        *map(_told, (change for change in changes if change["time"])),
        *_node_events(view),
        *_csr_events(view),
        *_certificate_events(view),
        *_log_events(view),
    ]
    if failure:
        events.append(event(failure, "failure", "first failure", first_failure=True))
    if len(events) > MAX_EVENTS:
        centre = failure or view.now
        events.sort(key=lambda one: (not one["first_failure"], abs(seconds_since(one["time"], centre) or 0)))
        events = events[:MAX_EVENTS]
    return sorted(events, key=lambda one: (one["time"], one["kind"], one["text"]))


def _told(change: Data) -> Data:
    """The change as an event, without what only ``correlation.py`` asks of it."""
    return {key: value for key, value in change.items() if key != "stages"} if "stages" in change else change


def _node_events(view: View) -> t.Iterator[Data]:
    for condition in dig(view.node, "conditions") or ():
        if condition.get("type") == "Ready" and condition.get("last_transition"):
            yield event(
                condition["last_transition"],
                "node",
                f"Ready became {condition.get('status')}: {condition.get('reason')}",
            )
    for seen in dig(view.node, "events") or ():
        moment = seen.get("first_seen") or seen.get("last_seen")
        if moment:
            count = f" ({seen['count']} times)" if (seen.get("count") or 1) > 1 else ""
            end = seen.get("last_seen") if seen.get("last_seen") != moment else None
            yield event(moment, "event", f"{seen.get('reason')}: {seen.get('message')}{count}", end=end)


def _csr_events(view: View) -> t.Iterator[Data]:
    for csr in (view.csrs or ())[-20:]:
        if csr.get("created"):
            kind = "serving" if str(csr.get("signer_name")).endswith("serving") else "client"
            end = csr.get("state_since") if csr.get("state") != "pending" else view.now
            yield event(csr["created"], "csr", f"{kind} CSR {csr.get('name')}: {csr.get('state')}", end=end)


def _certificate_events(view: View) -> t.Iterator[Data]:
    seen = set()
    files = [entry for entry in dig(view.probe, "pki", "files") or () if isinstance(entry, dict)]
    records = [(entry.get("path"), cert) for entry in files for cert in (entry.get("certificates") or ())[:1]]
    records += [("kubeconfig", cert) for cert in (dig(view.probe, "kubeconfig", "user", "certificates") or ())[:1]]
    for path, certificate in records:
        key = certificate.get("fingerprint_sha256")
        if key and key not in seen and certificate.get("not_before"):
            seen.add(key)
            name = str(path).rsplit("/", 1)[-1]
            yield event(certificate["not_before"], "certificate", f"{name} valid", end=certificate.get("not_after"))


def _log_events(view: View) -> t.Iterator[Data]:
    for category, counted in (dig(view.probe, "log", "counts") or {}).items():
        first, last = dig(counted, "first"), dig(counted, "last")
        if first:
            yield event(first, "log", f"{category} ({counted.get('count')} lines)", end=last if last != first else None)
