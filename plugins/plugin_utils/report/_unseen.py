# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What a login that is not root could not see of a node, in plain words, and what to do about it."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record

ADVICE: t.Final = "Diagnose again with become: docs/permissions.md has the sudoers entry."
FOR_ROOT_ALONE: t.Final = "what only root may read"

_WORDS: t.Final = {
    "pki": "the certificates",
    "kubeconfig": "the kubeconfig",
    "log": "the kubelet's log",
    "network": "the way to the API server",
    "config": "the kubelet's configuration",
    "bootstrap_kubeconfig": "the bootstrap kubeconfig",
    "pki.writable": "whether certificates can be stored",
    "client_ca_file": "the CA of the kubelet's callers",
    "control_plane": "the control plane's flags, files and log",
    "denials": "denials of a security module",
}
"""The beginning of a subject of ``not_seen`` → words; what tells most of certificates first."""


def is_denied(item: Record) -> bool:
    return bool(item["reason"] == "not_permitted")


def wants_root(node: Record) -> bool:
    """Whether a login that is root would see more, also where ``sudo`` refused it."""
    return node["root"] is not True and any(map(is_denied, node["missing"]))


def denied(node: Record) -> list[str]:
    """What the login was not permitted to see, what tells most first; [] where it was root, and where the node itself was not seen."""
    if node["root"] is not False:
        return []
    found = {_words(item["subject"]) for item in node["missing"] if is_denied(item)}
    return [words for words in _WORDS.values() if words in found] + sorted(found - set(_WORDS.values()))


def _words(subject: str) -> str:
    return _WORDS.get(subject) or _WORDS.get(subject.partition(".")[0]) or subject


def sentence(node: Record) -> str:
    """All of it in one sentence; empty where nothing was denied."""
    what = ", ".join(denied(node))
    if not what:
        return ""
    return f"without root{', and the cause behind this may be among it' if node['primary'] else ''}: {what}"
