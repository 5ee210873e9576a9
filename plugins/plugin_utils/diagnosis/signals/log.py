# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``log``: what the kubelet's log says now, apart from what it said before the certificate in use was stored.

A rotation that fails logs an error at least every 15 minutes (``certificateWaitTimeout``) plus a back-off of 32 seconds, so only what is
younger than 20 minutes, and younger than the certificate in use, speaks of the present. That a line is missing proves nothing: the
progress of a rotation is logged at -v=2 only.
"""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._log_categories import CATEGORIES
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    latest,
    seconds_since,
)

RECENT_SECONDS = 20 * 60


def log_signals(view: View, since: str | None) -> Data:
    """``recent``: category → true or false (None: the log was not read); ``lines``: the recent entries; ``first``: category → time."""
    log = dig(view.probe, "log")
    counts = dig(log, "counts")
    if counts is None:
        return {
            "read": None if log is None else False,
            "source": dig(log, "source"),
            "recent": dict.fromkeys(CATEGORIES),
            "first": {},
            "lines": [],
            "start_failure": None,
        }

    def recent(moment: str | None) -> bool:
        age = seconds_since(moment, view.now)
        return age is not None and age <= RECENT_SECONDS and (since is None or str(moment) >= since)

    return {
        "read": True,
        "source": dig(log, "source"),
        "recent": {name: recent(dig(counts, name, "last")) for name in CATEGORIES},
        "first": {
            name: latest([dig(counts, name, "first"), since])
            for name in CATEGORIES
            if recent(dig(counts, name, "last"))
        },
        "lines": [entry for entry in dig(log, "entries") or () if recent(entry.get("time"))],
        "start_failure": _start_failure(
            [e for e in dig(log, "entries") or () if "start_failed" in e["categories"]], view
        ),
    }


_OF_CREDENTIALS = frozenset(
    ("create_failed", "no_valid_certificate", "certificate_expired", "bootstrap_kubeconfig_missing", "kubeconfig_unusable", "unauthorized",
     "forbidden", "anonymous", "name_unresolved", "connection_refused", "connection_timeout", "server_untrusted", "store_failed",
     "server_certificate_expired", "server_name_mismatch", "disk_full", "read_only", "permission_denied", "key_mismatch", "not_a_symlink")
)  # fmt: skip
_ABOUT_CREDENTIALS = re.compile(r"certificate|kubeconfig|bootstrap|x509|tls:|\bCA\b", re.IGNORECASE)


def _start_failure(entries: list[Data], view: View) -> Data | None:
    """The last line with which a start ended, and whether it is about anything else than credentials; None when no young one was seen."""
    entry = entries[-1] if entries else None
    age = seconds_since(dig(entry, "time"), view.now)
    if entry is None or age is None or age > RECENT_SECONDS:
        return None
    credentials = bool(_OF_CREDENTIALS & set(entry["categories"]) or _ABOUT_CREDENTIALS.search(entry["message"]))
    return {"message": entry["message"], "time": entry["time"], "about_credentials": credentials}
