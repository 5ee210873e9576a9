# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``comparison.client`` and ``comparison.serving``: one certificate in four places, and the step that lost it.

``reference`` is what the kubeconfig (or the configuration) names, ``disk`` what the store's current file holds, ``issued`` the newest
certificate in a CSR's status, ``served`` what the kubelet was seen to use: on its port, or, toward the API server, the fingerprint of the
certificate that its newest request came with. Each is None where it was not seen: issued requests are deleted after an hour.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.csr import (
    PATIENCE_SECONDS,
    SIGNERS,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.store import leaf_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    latest,
    seconds_since,
)

STEPS = {
    "issued-not-fetched": "The certificate was issued, and the kubelet never fetched it.",
    "fetched-not-stored": "The kubelet fetched the certificate and could not store it.",
    "stored-not-linked": "The certificate is stored, and the link still points to an older one.",
    "linked-not-referenced": "The stored certificate is current, and the kubeconfig names another one.",
    "linked-not-loaded": "The certificate on disk is not the one that the kubelet works with.",
    "loaded-then-replaced": "The kubelet has worked with a newer certificate than the one that is on disk now.",
    "loaded-not-served": "The kubelet has the certificate, and the other side sees another one.",
}
"""``lost_at`` → one sentence, in the order of the way that a certificate goes."""

LOAD_SECONDS = 30
"""How long the kubelet may need to use a file: it looks for a rotation every 10 seconds (``pkg/kubelet/certificate/transport.go``)."""

RELOAD_SECONDS = 120
"""The same for tlsCertFile, which the kubelet reloads when it changes (ReloadKubeletServerCertificateFile, Kubernetes 1.31)."""

CLOCK_SECONDS = 5
"""How far the times of a process's start (counted in ticks since the boot) and of a file may be off each other."""


def comparison_signals(view: View, stores: dict[str, Data], log: Data) -> Data:
    """``{client: …, serving: …}``: ``reference``, ``disk``, ``issued``, ``served``, ``agree``, ``lost_at`` and ``lost``."""
    return {
        "client": _compare(view, "client", stores["client"], log),
        "serving": _compare(view, "serving", stores["serving"], log),
    }


def _compare(view: View, subject: str, store: Data, log: Data) -> Data:
    disk = _on_disk(view, subject, store)
    issued = _issued(view, subject, (disk or {}).get("stored"))
    served = _served(view) if subject == "serving" else _presented(view, (disk or {}).get("stored"))
    reference = _reference(view, subject)
    lost_at = _lost_at(view, subject, disk, issued, served, reference, store, log)
    seen = [place["serial"] for place in (reference, disk, served) if place and place.get("serial")]
    return {
        "reference": reference,
        "disk": disk,
        "issued": issued,
        "served": served,
        "agree": None if lost_at is None and len(seen) < 2 else lost_at is None and len(set(seen)) == 1,
        "lost_at": lost_at,
        "lost": STEPS.get(lost_at or ""),
    }


def _record(certificate: Data, **more: t.Any) -> Data:
    keys = ("serial", "public_key_sha256", "fingerprint_sha256", "not_before", "not_after", "common_name")
    return {**{key: certificate.get(key) for key in keys}, **more}


def _given(view: View) -> str | None:
    """The file that the kubelet serves where it asks for no serving certificate itself: tlsCertFile, else its self-signed one."""
    if dig(view.probe, "config", "server_tls_bootstrap") is not False:
        return None
    path = dig(view.probe, "kubelet", "flags", "tls-cert-file") or dig(view.probe, "config", "tls_cert_file")
    return str(path or f"{dig(view.probe, 'pki', 'path')}/kubelet.crt")


def _on_disk(view: View, subject: str, store: Data) -> Data | None:
    """What the file in use holds. None where it could not be looked for, and where there is no such file."""
    entry = _entry(view, (_given(view) if subject == "serving" else None) or store["current"])
    if entry is None:
        return None
    return _record(leaf_of(entry), path=entry["path"], target=entry.get("target"), stored=entry.get("modified"))


def _entry(view: View, path: str | None) -> Data | None:
    return next((e for e in dig(view.probe, "pki", "files") or () if path and e.get("path") == path), None)


def _reference(view: View, subject: str) -> Data | None:
    user = dig(view.probe, "kubeconfig", "user")
    if subject == "serving" or user is None:
        return None
    embedded = leaf_of(user)
    if user.get("kind") == "client_certificate_data":
        return _record(embedded, path=dig(view.probe, "kubeconfig", "path"), kind=user["kind"])
    path = user.get("client_certificate")
    return _record(leaf_of(_entry(view, path) or {}), path=path, kind=user.get("kind")) if path else None


def _issued(view: View, subject: str, stored: str | None) -> Data | None:
    """The newest certificate issued to this node, with whether its key lies in the store, and whether it came after ``stored``."""
    mine = [c for c in view.csrs or () if c.get("signer_name") == SIGNERS[subject] and c.get("state") == "issued"]
    mine = [c for c in mine if dig(c, "certificate", "serial") and c.get("state_since")]
    if not mine:
        return None
    newest = max(mine, key=lambda c: str(c["state_since"]))
    key = newest["certificate"].get("public_key_sha256")
    known = None if key is None else key in {leaf.get("public_key_sha256") for leaf in _leaves(view)}
    return _record(
        newest["certificate"],
        csr=newest.get("name"),
        created=newest.get("created"),
        since=newest["state_since"],
        on_disk=None if known is False and _unread(view) else known,
        after_disk=None if stored is None else newest["state_since"] > stored,
    )


def _unread(view: View) -> bool:
    """Whether a file of the store, or all of them, could not be looked into."""
    files = dig(view.probe, "pki", "files")
    return files is None or any(entry.get("certificates") is None for entry in files)


def _leaves(view: View) -> list[Data]:
    return [leaf_of(entry) for entry in dig(view.probe, "pki", "files") or ()]


def _served(view: View) -> Data | None:
    presented = leaf_of(dig(view.probe, "serving") or {})
    return _record(presented, seen=f"port {dig(view.probe, 'serving', 'port')}") if presented else None


def _presented(view: View, stored: str | None) -> Data | None:
    """The certificate that the node's newest request came with, by its fingerprint; its serial where a file has that fingerprint.

    ``after_disk``: the request is late enough after ``stored`` for the kubelet to have taken that into use.
    """
    own = f"system:node:{view.name}"
    shown = [c for c in view.csrs or () if c.get("presented_sha256") and c.get("requestor") == own]
    if not shown:
        return None
    newest = max(shown, key=lambda c: str(c.get("created")))
    known = [*_leaves(view), *(c["certificate"] for c in view.csrs or () if dig(c, "certificate", "serial"))]
    match: Data = next((c for c in known if c.get("fingerprint_sha256") == newest["presented_sha256"]), {})
    created = newest.get("created")
    late = seconds_since(stored, created) if created else None
    record = _record(match, seen=f"CSR {newest.get('name')}", time=created, after_disk=(late or 0) >= LOAD_SECONDS)
    return {**record, "fingerprint_sha256": newest["presented_sha256"]}


def _lost_at(
    view: View,
    subject: str,
    disk: Data | None,
    issued: Data | None,
    served: Data | None,
    reference: Data | None,
    store: Data,
    log: Data,
) -> str | None:
    """The first step of ``STEPS`` that was seen to fail; None when none was."""
    asked = str((issued or {}).get("created")) >= str(dig(view.probe, "kubelet", "started") or "~")
    if issued and issued["on_disk"] is False and (asked if disk is None else issued["after_disk"]):
        if subject == "client" and _loaded_at(view) >= str(issued["since"]):
            return "loaded-then-replaced"
        if log["recent"].get("store_failed"):
            return "fetched-not-stored"
        if (seconds_since(issued["since"], view.now) or 0) >= PATIENCE_SECONDS:
            return "issued-not-fetched"
    if store["newer"]:
        return "stored-not-linked"
    if not disk or not disk["serial"]:
        return None
    if reference and reference["serial"] and reference["serial"] != disk["serial"]:
        return "linked-not-referenced"
    return _lost_in_use(view, subject, disk, served, log)


def _lost_in_use(view: View, subject: str, disk: Data, served: Data | None, log: Data) -> str | None:
    started, stored = dig(view.probe, "kubelet", "started"), disk["stored"]
    patience = LOAD_SECONDS if subject == "client" else RELOAD_SECONDS if _given(view) else CLOCK_SECONDS
    settled = (seconds_since(stored, view.now) or 0) >= patience
    if subject == "serving":
        if not served or not settled or served["serial"] == disk["serial"]:
            return None
        late = seconds_since(stored, started) if started else None
        return "loaded-not-served" if late is not None and late > CLOCK_SECONDS else "linked-not-loaded"
    if served and served["after_disk"]:
        if served["fingerprint_sha256"] != disk["fingerprint_sha256"]:
            return "linked-not-loaded"
    elif settled and _replaced_behind(view, disk, started):
        return "linked-not-loaded"
    name = dig(view.probe, "network", "authentication", "username")
    if name and disk["common_name"] and name != disk["common_name"] and _names_disk(view, disk):
        return "loaded-not-served"
    return None


def _replaced_behind(view: View, disk: Data, started: str | None) -> bool:
    """Whether the file was written while the kubelet ran, and not by it: it says so in its log whenever it takes a new one into use."""
    log, stored = dig(view.probe, "log"), disk["stored"]
    ran = seconds_since(started, stored) if stored else None
    if ran is None or ran <= CLOCK_SECONDS or dig(log, "counts") is None or not dig(log, "first"):
        return False
    own = any(dig(c, "certificate", "serial") == disk["serial"] for c in view.csrs or ())
    return not own and str(log["first"]) <= stored and _loaded_at(view) < stored and view.csrs is not None


def _loaded_at(view: View) -> str:
    """When the kubelet last said that it took a new client certificate into use; empty when it did not, or that was not seen."""
    return latest([dig(view.probe, "log", "counts", "rotated", "last")]) or ""


def _names_disk(view: View, disk: Data) -> bool:
    return bool(dig(view.probe, "kubeconfig", "user", "client_certificate") == disk["path"])
