# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""One axis of time for a node: what happened when, what failed first, and what had changed just before."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    earliest,
    seconds_since,
)

MAX_EVENTS = 60
CHANGE_WINDOW_SECONDS = 24 * 3600
"""How long before the first failure a change is worth naming."""

CHANGES = frozenset(("version", "ca", "rbac", "manifest", "kubelet"))

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


def timeline(view: View, signals: Data, failure: str | None, shared: list[Data]) -> list[Data]:
    """The node's events and the cluster's (``shared``), by time; at most MAX_EVENTS, those nearest to the failure or to now."""
    events = [
        *shared,
        *_node_events(view),
        *_csr_events(view),
        *_certificate_events(view),
        *_log_events(view),
        *_kubelet_events(signals),
    ]
    if failure:
        events.append(_event(failure, "failure", "first failure", first_failure=True))
    if len(events) > MAX_EVENTS:
        centre = failure or view.now
        events.sort(key=lambda event: (not event["first_failure"], abs(seconds_since(event["time"], centre) or 0)))
        events = events[:MAX_EVENTS]
    return sorted(events, key=lambda event: (event["time"], event["kind"], event["text"]))


def changes_before(events: list[Data], failure: str | None) -> list[Data]:
    """The changes in the window before the first failure, latest first."""
    if failure is None:
        return []
    before = [
        event
        for event in events
        if event["kind"] in CHANGES and 0 <= (seconds_since(event["time"], failure) or -1) <= CHANGE_WINDOW_SECONDS
    ]
    return sorted(before, key=lambda event: event["time"], reverse=True)


def cluster_events(cluster: Cluster) -> list[Data]:
    """What happened to the cluster as a whole: CA, RBAC, control plane."""
    events = []
    info = cluster.control_plane_info
    for name, subject in (("client_ca", "client CA"), ("cluster_ca", "cluster CA")):
        for certificate in dig(info, name, "certificates") or ():
            events.append(
                _event(certificate.get("not_before"), "ca", f"{subject} {certificate.get('subject')} becomes valid")
            )
    for binding in dig(cluster.rbac_info, "bindings") or ():
        if not binding.get("grants"):
            continue
        changed = binding.get("last_changed") or binding.get("created")
        events.append(
            _event(
                changed, "rbac", f"ClusterRoleBinding {binding.get('name')} changed by {binding.get('last_manager')}"
            )
        )
    for pod in dig(info, "controller_manager", "pods") or ():
        events.append(_event(pod.get("started"), "manifest", f"pod {pod.get('name')} started"))
    events.append(
        _event(
            dig(info, "controller_manager", "lease", "acquired"),
            "manifest",
            f"controller manager {dig(info, 'controller_manager', 'lease', 'holder')} became leader",
        )
    )
    for host in cluster.control_plane_hosts:
        for name, manifest in (dig(host, "manifests") or {}).items():
            events.append(_event(dig(manifest, "modified"), "manifest", f"manifest of {name} changed"))
    return [event for event in events if event["time"]]


def _node_events(view: View) -> t.Iterator[Data]:
    for condition in dig(view.node, "conditions") or ():
        if condition.get("type") == "Ready" and condition.get("last_transition"):
            yield _event(
                condition["last_transition"],
                "node",
                f"Ready became {condition.get('status')}: {condition.get('reason')}",
            )
    if dig(view.node, "created"):
        yield _event(dig(view.node, "created"), "node", "Node registered")
    for event in dig(view.node, "events") or ():
        moment = event.get("first_seen") or event.get("last_seen")
        if moment:
            count = f" ({event['count']} times)" if (event.get("count") or 1) > 1 else ""
            end = event.get("last_seen") if event.get("last_seen") != moment else None
            yield _event(moment, "event", f"{event.get('reason')}: {event.get('message')}{count}", end=end)


def _csr_events(view: View) -> t.Iterator[Data]:
    for csr in (view.csrs or ())[-20:]:
        if csr.get("created"):
            kind = "serving" if str(csr.get("signer_name")).endswith("serving") else "client"
            end = csr.get("state_since") if csr.get("state") != "pending" else view.now
            yield _event(csr["created"], "csr", f"{kind} CSR {csr.get('name')}: {csr.get('state')}", end=end)


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
            yield _event(certificate["not_before"], "certificate", f"{name} valid", end=certificate.get("not_after"))


def _log_events(view: View) -> t.Iterator[Data]:
    for category, counted in (dig(view.probe, "log", "counts") or {}).items():
        first, last = dig(counted, "first"), dig(counted, "last")
        if first:
            yield _event(
                first, "log", f"{category} ({counted.get('count')} lines)", end=last if last != first else None
            )


def _kubelet_events(signals: Data) -> t.Iterator[Data]:
    if signals["kubelet"]["started"]:
        yield _event(signals["kubelet"]["started"], "kubelet", "kubelet started")
    if signals["clock"]["boot_time"]:
        yield _event(signals["clock"]["boot_time"], "kubelet", "machine booted")
    if signals["kubelet"]["stopped"] and signals["kubelet"]["inactive_since"]:
        yield _event(signals["kubelet"]["inactive_since"], "kubelet", "kubelet stopped")


def _event(moment: str | None, kind: str, text: str, end: str | None = None, first_failure: bool = False) -> Data:
    return {"time": moment, "end": end, "kind": kind, "text": text[:200], "first_failure": first_failure}
