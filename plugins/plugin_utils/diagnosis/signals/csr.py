# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``csr.client`` and ``csr.serving``: this node's requests since it last stored a certificate.

Requests older than the certificate in use are past: what came of them no longer matters. The signer dates a certificate 5 minutes
back (``pkg/controller/certificates/signer``), so where the file's own time is unknown, *since* is its not-before plus those.
An empty list proves little: approved and denied requests are deleted after 1 hour, pending ones after 24 (``cleaner.go``).
"""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)

SIGNERS = {
    "client": "kubernetes.io/kube-apiserver-client-kubelet",
    "serving": "kubernetes.io/kubelet-serving",
}

PATIENCE_SECONDS = 15
"""How old a request may be before waiting is worth a word: approver and signer act on a new one within a second or two."""

_BACKDATE = timedelta(minutes=5)


def csr_signals(view: View, client_certificate: Data, serving_certificate: Data) -> Data:
    """``{client: …, serving: …}``; every value None where CSRs could not be listed."""
    return {
        "client": _summary(view, "client", stored_at(client_certificate)),
        "serving": _summary(view, "serving", stored_at(serving_certificate)),
    }


def stored_at(certificate: Data) -> str | None:
    """When the certificate in use was obtained: everything about rotation before it is past. None when unknown."""
    not_before = certificate.get("not_before")
    if certificate.get("stored"):
        return str(certificate["stored"])
    return format_time(parse_time(not_before) + _BACKDATE) if not_before else None


def _summary(view: View, subject: str, since: str | None) -> Data:
    if view.csrs is None:
        return dict.fromkeys(
            ("seen", "total", "pending", "oldest_pending_seconds", "stuck", "approved_not_signed", "denied", "failed",
             "issued", "state", "newest", "requestor_kind", "first_created")
        )  # fmt: skip
    mine = [csr for csr in view.csrs if csr.get("signer_name") == SIGNERS[subject]]
    relevant = relevant_csrs(view, subject, since)
    by_state = {state: [c for c in relevant if c.get("state") == state] for state in _STATES}
    newest = relevant[-1] if relevant else None
    age = seconds_since(newest.get("created"), view.now) if newest else None
    pending_age = _oldest(by_state["pending"], view.now)
    return {
        "seen": bool(mine),
        "total": len(relevant),
        "pending": len(by_state["pending"]),
        "oldest_pending_seconds": pending_age,
        "stuck": pending_age is not None and pending_age >= PATIENCE_SECONDS,
        "approved_not_signed": sum(
            1
            for c in by_state["approved_not_signed"]
            if (seconds_since(c.get("created"), view.now) or 0) >= PATIENCE_SECONDS
        ),
        "denied": len(by_state["denied"]),
        "failed": len(by_state["failed"]),
        "issued": len(by_state["issued"]),
        "state": newest.get("state") if newest else None,
        "newest": {**_brief(newest), "age_seconds": age} if newest else None,
        "requestor_kind": _requestor_kind(newest) if newest else None,
        "first_created": relevant[0].get("created") if relevant else None,
    }


def relevant_csrs(view: View, subject: str, since: str | None) -> list[Data]:
    """This node's requests of a signer since the certificate in use was obtained, oldest first."""
    return [
        csr
        for csr in view.csrs or ()
        if csr.get("signer_name") == SIGNERS[subject] and (since is None or (csr.get("created") or "") >= since)
    ]


_STATES = ("pending", "approved_not_signed", "denied", "failed", "issued")


def _oldest(csrs: list[Data], now: str) -> int | None:
    return seconds_since(csrs[0].get("created"), now) if csrs else None


def _brief(csr: Data) -> Data:
    decided = next((c for c in csr.get("conditions") or () if c.get("type") in ("Denied", "Failed")), None)
    decided = decided or next(iter(csr.get("conditions") or ()), None)
    return {
        "name": csr.get("name"),
        "created": csr.get("created"),
        "requestor": csr.get("requestor"),
        "state": csr.get("state"),
        "reason": dig(decided, "reason"),
        "message": dig(decided, "message"),
        "decided": dig(decided, "last_update"),
        "common_name": dig(csr, "request", "common_name"),
        "names": [*(dig(csr, "request", "dns_names") or ()), *(dig(csr, "request", "ip_addresses") or ())],
    }


def _requestor_kind(csr: Data) -> t.Literal["node", "bootstrap", "other"]:
    requestor = csr.get("requestor") or ""
    if requestor.startswith("system:node:"):
        return "node"
    return "bootstrap" if requestor.startswith("system:bootstrap:") else "other"
