# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Acts on the directory that the kubelet keeps its certificates in."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._patterns import MAX_REMOVED
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import (
    Act,
    CannotAct,
    Case,
    Draft,
    command,
)

MANY = 1000
"""Files of a kind that the rule ``certificate-files-accumulate`` finds too many."""

_KINDS = {"kubelet-client-": "client", "kubelet-server-": "serving"}


def _modes(case: Case) -> list[Draft]:
    pki = str(case.needed("the certificate directory", "pki", "path"))
    if case.probed("pki", "filesystem", "read_only") or case.probed("pki", "immutable"):
        raise CannotAct(f"{pki} is mounted read-only or immutable, which no mode changes")
    mode, owner = case.probed("pki", "mode"), case.probed("pki", "owner")
    if owner in (None, "root") and (mode is None or str(mode)[-3:-2] == "7"):
        raise CannotAct(f"{pki} has the mode {mode} and the owner {owner}, which are not what keeps the kubelet out")
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters=case.places(),
            bound_to=case.bound(),
            commands=(command("chown", "root:root", pki), command("chmod", "0755", pki)),
            changes=(f"{pki}: from owner {owner} and mode {mode} to root and 0755; its key files to 0600",),
            verified_by="the kubelet's user may create a file there",
        )
    ]


def _link(case: Case) -> list[Draft]:
    pki = str(case.needed("the certificate directory", "pki", "path"))
    good = case.other_valid_file()
    by_path = {str(entry.get("path")): entry for entry in case.files()}
    current: Data = by_path.get(f"{pki}/kubelet-client-current.pem") or {}
    usable = case.rotated() is not None
    if not usable and good is None:
        raise CannotAct(f"{pki} holds no certificate of this node that is valid now, which a link could point to")
    target = str((good or current).get("path"))
    link = f"{pki}/kubelet-client-current.pem"
    leads_there = good is None or _name(current.get("target")) == _name(target)
    if usable and current.get("type") == "link" and leads_there and f"{pki}/kubelet-client-updated.pem" not in by_path:
        raise CannotAct("the link of the client certificate is in order, and this act touches no other")
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters=case.places(),
            bound_to=case.bound(link),
            needs=case.not_bound(link),
            commands=(command("ln", "-sfn", target, link),),
            changes=(
                f"{link} is a link to the newest file that is valid and whose key matches; what stands in the way "
                "is moved to a dated name, and nothing is deleted",
            ),
            verified_by="the link points to a certificate of this node that is valid now",
        )
    ]


def _space(case: Case) -> list[Draft]:
    pki = str(case.needed("the certificate directory", "pki", "path"))
    pointed = {_name(entry.get(key)) for entry in case.files() for key in ("path", "target")}
    history = {kind: case.probed("pki", "history", subject) or {} for kind, subject in _KINDS.items()}
    old = [str(name) for kind in history.values() for name in kind.get("oldest") or () if name not in pointed]
    old = old[:MAX_REMOVED]
    if not old:
        raise CannotAct("there are no old certificate files to remove, so something else fills the file system")
    left = [(seen.get("files") or 0) - sum(name.startswith(kind) for name in old) for kind, seen in history.items()]
    if case.rule == "certificate-files-accumulate" and max(left) > MANY:
        raise CannotAct(f"there are more old certificate files than the {MAX_REMOVED} that one step removes")
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters={**case.places(), "remove": old},
            bound_to=case.bound(),
            commands=(f"cd {command(pki)} && rm -- {old[0]}{' …' if len(old) > 1 else ''}",),
            changes=(
                f"removes {len(old)} old certificate files from {pki}, none of the newest three of a kind, none pointed to",
            ),
            verified_by="there is room for a new certificate",
        )
    ]


def _name(path: object) -> str:
    return str(path).rsplit("/", 1)[-1]


_ROOT = ("root on the node",)
REPAIR_MODES = Act(
    "repair_modes",
    "node_repair",
    "Let the kubelet write its certificate directory",
    "low",
    _ROOT,
    "the result says what owner and mode were before",
    _modes,
)
REPAIR_LINK = Act(
    "repair_link",
    "node_repair",
    "Let the kubelet's link point to its certificate",
    "medium",
    _ROOT,
    "the link is put back to what it was; a file that was moved has kept its content",
    _link,
)
FREE_SPACE = Act(
    "free_space",
    "node_repair",
    "Remove old certificate files that nothing points to",
    "medium",
    _ROOT,
    "none: certificates that were replaced are of no use",
    _space,
)
