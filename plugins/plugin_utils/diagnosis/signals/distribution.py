# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``distribution``: which Kubernetes this node is of, who renews its certificate there, and the commands that fit it.

What was seen of the process, unit and configuration comes before what a distribution usually does: a kubelet whose rotation is on, with
a client certificate, rotates it itself, whatever the distribution.
"""

from __future__ import annotations

import functools
import json
import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.distribution_files import (
    Distribution,
    asked_labels,
    built_in_distributions,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import fill, fill_command, search
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig

_UNIT = re.compile(r"^[A-Za-z0-9@_.-]{1,80}$")
USUAL_COMMANDS = {
    "restart": "systemctl restart {unit}",
    "start": "systemctl enable --now {unit}",
    "log": "journalctl -u {unit} -n 50 --no-pager",
    "status": "systemctl status {unit} --no-pager",
}
"""Where nothing else is known: a kubelet under systemd."""


def distribution_signals(view: View, rotation_on: bool | None) -> Data:
    """``name`` and ``title`` are None where it cannot be told, also where two distributions fit equally well.

    ``rotates_by`` is None where it is not known, ``by_kubelet`` then True: what is found is judged as a kubelet that rotates itself.
    ``evidence`` is the proof, ``remedies`` the distribution's own steps by situation, ``*_command`` what to type for this node.
    """
    seen = seen_of(view)
    labels = seen["labels"] and {name: seen["labels"][name] for name in asked_labels() if name in seen["labels"]}
    found, evidence = _recognised(json.dumps({**seen, "labels": labels}))
    rotates_by = _rotator(found, seen["user_kind"], rotation_on)
    unit = seen["unit"] if isinstance(seen["unit"], str) and _UNIT.match(seen["unit"]) else "kubelet"
    facts = {"unit": unit, "node": view.name}
    commands = {**USUAL_COMMANDS, **(found.commands if found else {})}
    return {
        "name": found.name if found else None,
        "title": found.title if found else None,
        "refines": list(found.refines) if found else [],
        "rotates_by": rotates_by,
        "by_kubelet": rotates_by in (None, "kubelet"),
        "csrs": found.csrs if found else None,
        "renewal_days": _renewal_days(found, seen["version"]) if rotates_by == "supervisor" else None,
        "approves_client_by": found.approves_client_by if found else None,
        "approves_serving_by": found.approves_serving_by if found else None,
        "by_ssh": found.by_ssh if found else None,
        "managed": found.managed if found else None,
        "evidence": evidence,
        "remedies": found.remedies if found else {},
        **{f"{name}_command": fill_command(template, facts) for name, template in commands.items()},
    }


def seen_of(view: View) -> Data:
    """What a distribution is recognised by, absent values None: the vocabulary of ``recognised_by``."""
    kubelet, unit = dig(view.probe, "kubelet"), dig(view.probe, "kubelet", "unit", "name")
    flags = dig(kubelet, "flags")
    return {
        "version": dig(view.node, "kubelet_version") or dig(kubelet, "version"),
        "labels": dig(view.node, "labels"),
        "provider_id": dig(view.node, "provider_id"),
        "os_image": dig(view.node, "os_image"),
        "binary": dig(kubelet, "binary"),
        "exe": dig(kubelet, "exe"),
        "parent": dig(kubelet, "parent"),
        "unit": unit[: -len(".service")] if isinstance(unit, str) and unit.endswith(".service") else unit,
        "drop_ins": dig(kubelet, "unit", "drop_ins"),
        "kubeconfig": dig(view.probe, "kubeconfig", "path"),
        "user_kind": dig(view.probe, "kubeconfig", "user", "kind"),
        "client_certificate": dig(view.probe, "kubeconfig", "user", "client_certificate"),
        "bootstrap_kubeconfig": dig(flags, "bootstrap-kubeconfig") or dig(view.probe, "bootstrap_kubeconfig", "path"),
        "config": dig(view.probe, "config", "path"),
        "client_ca": dig(view.probe, "client_ca_file", "path") or dig(view.probe, "config", "client_ca_file"),
        "tls_cert_file": dig(flags, "tls-cert-file") or dig(view.probe, "config", "tls_cert_file"),
        "pki": dig(view.probe, "pki", "path"),
    }


@functools.lru_cache(maxsize=1024)
def _recognised(shape: str) -> tuple[Distribution | None, list[Data]]:
    """The distribution that most of what was seen (as JSON) speaks for, and the proof; None where none does, or two equally.

    Remembered, as the nodes of a fleet are of few shapes.
    """
    seen = json.loads(shape)
    proofs: dict[str, list[Data]] = {}
    by_name = {distribution.name: distribution for distribution in built_in_distributions()}
    for name, distribution in by_name.items():
        hints = [hint for hint in distribution.recognised_by if search(hint["when"], seen)]
        if hints:
            proofs[name] = [
                {"text": fill(hint["proof"], seen) or hint["proof"], "source": hint["source"]} for hint in hints
            ]
    refined = {other for name in proofs for other in by_name[name].refines}
    ranked = sorted((name for name in proofs if name not in refined), key=lambda name: (-len(proofs[name]), name))
    if not ranked:
        return None, []
    if len(ranked) > 1 and len(proofs[ranked[0]]) == len(proofs[ranked[1]]):
        return None, [proof for name in ranked[:2] for proof in proofs[name]]
    return by_name[ranked[0]], proofs[ranked[0]]


def _rotator(found: Distribution | None, user_kind: str | None, rotation_on: bool | None) -> str | None:
    certificate = user_kind in ("client_certificate_file", "client_certificate_data")
    if user_kind == "exec":
        return "iam"
    if found is None:
        return None
    if found.rotates_by == "iam":
        return "kubelet" if certificate else "iam"
    return "kubelet" if certificate and rotation_on else found.rotates_by


def _renewal_days(found: Distribution | None, version: str | None) -> int | None:
    """How many days before its end a start renews the certificate, in this version; the shortest where the version is unknown."""
    windows = found.renews_within if found else ()
    number = _version(version)
    for window in windows:
        since = [_version(text) for text in window.get("since") or ()]
        if not since:
            return int(window["days"])
        if number and any(known and number[:2] == known[:2] and number >= known for known in since):
            return int(window["days"])
        if number and number[:2] > max(known[:2] for known in since if known):
            return int(window["days"])
    return None


def _version(text: str | None) -> tuple[int, int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text) if isinstance(text, str) else None
    return (int(found.group(1)), int(found.group(2)), int(found.group(3))) if found else None
