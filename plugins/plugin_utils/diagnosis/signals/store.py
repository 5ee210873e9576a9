# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``storage.client`` and ``storage.serving``: the files of the kubelet's certificate store, and what is wrong with them.

The store keeps ``<prefix>-<time>.pem`` (certificate and key), and ``<prefix>-current.pem``, a symbolic link to the newest of them, which it
replaces by way of ``<prefix>-updated.pem`` (client-go, ``util/certificate/certificate_store.go``: Update, updateSymlink, recover).
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig

PREFIX = {"client": "kubelet-client", "serving": "kubelet-server"}

LOOP_ALLOWANCE = 4
"""Dated files an hour beyond what the lifetime explains (a rotation every 70 % of it) that are still no loop: restarts, a bootstrap."""

_KEYS = (
    "current", "type", "target", "size_bytes", "modified", "not_a_link", "dangling", "empty", "damage", "key_mismatch", "updated",
    "updated_stuck", "older", "newer", "files", "last_hour", "usual_per_hour", "looping",
)  # fmt: skip


def store_signals(view: View, subject: str, lifetime_seconds: int | None) -> Data:
    """One store; every value None where the directory could not be listed.

    ``older``: path of another dated file that is valid now and whose key matches, to go back to. ``newer``: of one that was written after
    the link was last moved, and is newer than what it points to.
    """
    pki = dig(view.probe, "pki")
    files = dig(pki, "files")
    if files is None or dig(pki, "path") is None:
        return dict.fromkeys(_KEYS)
    by_path = {entry.get("path"): entry for entry in files}
    folder, prefix = pki["path"], PREFIX[subject]
    path = f"{folder}/{prefix}-current.pem"
    updated = f"{folder}/{prefix}-updated.pem"
    current: Data = by_path.get(path) or {}
    kind = current.get("type")
    dangling = current.get("target_exists") is False
    readable = bool(current) and not dangling and current.get("certificates") is not None
    leaf = leaf_of(current)
    dated = dated_files(view, subject)
    count, hour = (dig(pki, "history", subject, key) for key in ("files", "last_hour"))
    usual = None if not lifetime_seconds else round(3600 / (lifetime_seconds * 0.7), 1)
    newer = next((e for e in reversed(dated) if _is_newer(e, current, leaf)), None)
    older = next((e for e in reversed(dated) if _is_good(e, view.now) and e.get("path") != current.get("target")), None)
    return {
        "current": path,
        "type": kind or "none",
        "target": current.get("target"),
        "size_bytes": current.get("size_bytes"),
        "modified": current.get("modified"),
        "not_a_link": kind == "file",
        "dangling": dangling,
        "empty": current.get("size_bytes") == 0 if readable else None if current and not dangling else False,
        "damage": _damage(current) if readable else None,
        "key_mismatch": False if not current or dangling or not readable else _not(current.get("key_matches")),
        "updated": updated,
        "updated_stuck": (by_path.get(updated) or {}).get("type") in ("file", "other"),
        "older": (older or {}).get("path"),
        "newer": _brief(newer) if newer else None,
        "files": count,
        "last_hour": hour,
        "usual_per_hour": usual,
        "looping": None if hour is None or usual is None else hour > LOOP_ALLOWANCE + 2 * usual,
    }


def leaf_of(entry: Data) -> Data:
    """The first certificate of a file; ``{}`` when there is none that could be decoded."""
    certificates = entry.get("certificates") or ()
    return certificates[0] if certificates and "error" not in certificates[0] else {}


def dated_files(view: View, subject: str) -> list[Data]:
    """The files with a time in their names that were looked at, the newest certificate last."""
    start = f"{dig(view.probe, 'pki', 'path')}/{PREFIX[subject]}-"
    found = [
        entry
        for entry in dig(view.probe, "pki", "files") or ()
        if str(entry.get("path")).startswith(start) and str(entry["path"])[len(start) :][:1].isdigit()
    ]
    return sorted(found, key=lambda entry: (leaf_of(entry).get("not_before") or "", str(entry["path"])))


def _damage(entry: Data) -> str | None:
    """What keeps the kubelet from reading the file, in words; None when nothing was seen to. An empty file is no damaged one."""
    certificates = entry.get("certificates") or []
    if entry.get("size_bytes") == 0:
        return None
    if not certificates:
        return "it holds no certificate"
    if "error" in certificates[0]:
        return f"its certificate {certificates[0]['error']}"
    if entry.get("has_key") is False:
        return "it holds no private key"
    return "its private key cannot be read" if entry.get("key_readable") is False else None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _is_newer(entry: Data, current: Data, leaf: Data) -> bool:
    found = leaf_of(entry)
    return bool(
        leaf
        and found.get("serial") != leaf.get("serial")
        and entry.get("key_matches") is not False
        and (found.get("not_before") or "") > (leaf.get("not_before") or "")
        and (entry.get("modified") or "") > (current.get("modified") or "")
    )


def _is_good(entry: Data, now: str) -> bool:
    leaf = leaf_of(entry)
    return bool(entry.get("key_matches") and (leaf.get("not_before") or "~") <= now < (leaf.get("not_after") or ""))


def _brief(entry: Data) -> Data:
    leaf = leaf_of(entry)
    return {
        "path": entry.get("path"),
        "modified": entry.get("modified"),
        **{key: leaf.get(key) for key in ("serial", "not_before", "not_after")},
    }
