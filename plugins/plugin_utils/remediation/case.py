# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What an act is made from, one node with what is wrong with it, and what it becomes: a draft of a step."""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import seconds_between
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._patterns import SHA256
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig


class CannotAct(Exception):
    """The act cannot mend this here; the message says why, for people."""


UNKNOWN = "unknown"
RENEWS_BY_PERCENT = 90
"""Of a certificate's lifetime, at the latest (``client-go/util/certificate/certificate_manager.go``: nextRotationDeadline)."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One finding of one node.

    ``node`` is the node's diagnosis, ``probe`` its host's evidence (None: it was not probed), ``cluster`` the cluster modules' results
    by name, ``now`` the time that was judged at, ``restored`` the RBAC objects that the plan restores before it touches a node.
    """

    node: Data
    rule: str
    probe: Data | None
    cluster: Data
    now: str
    restored: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node.get("name"))

    @property
    def needs_certificate(self) -> bool:
        """Whether a restart has to end in a new certificate: the kubelet is past the time by which it renews.

        Judged by the certificate that it starts with, which is the store's where that is valid, and not one that a kubeconfig carries.
        """
        kept = self.rotated() or self.other_valid_file()
        if kept is None:
            used = dig(self.node, "certificates", "client", "used_percent")
            return used is not None and used >= RENEWS_BY_PERCENT
        leaf = kept["certificates"][0]
        lifetime = seconds_between(leaf["not_before"], leaf["not_after"])
        return seconds_between(leaf["not_before"], self.now) * 100 >= lifetime * RENEWS_BY_PERCENT

    def probed(self, *path: str) -> t.Any:
        """A value of the node's evidence."""
        return dig(self.probe, *path)

    def files(self) -> list[Data]:
        """The certificate files of the node that were looked at."""
        return [entry for entry in self.probed("pki", "files") or () if isinstance(entry, dict)]

    def valid(self, entry: Data) -> bool:
        """Whether a file holds a certificate of this node that is valid now, and its key."""
        leaf = next(iter(entry.get("certificates") or ()), None) or {}
        return bool(
            entry.get("key_matches")
            and (leaf.get("not_before") or "~") <= self.now < (leaf.get("not_after") or "")
            and leaf.get("common_name") in (None, f"system:node:{self.name}")
        )

    def rotated(self) -> Data | None:
        """The file that rotation keeps current, where it is valid."""
        wanted = f"{self.probed('pki', 'path')}/kubelet-client-current.pem"
        return next((entry for entry in self.files() if entry.get("path") == wanted and self.valid(entry)), None)

    def other_valid_file(self) -> Data | None:
        """A dated file of the client store that is valid now."""
        start = f"{self.probed('pki', 'path')}/kubelet-client-2"
        found = [entry for entry in self.files() if str(entry.get("path")).startswith(start) and self.valid(entry)]
        return max(found, key=lambda entry: str(entry.get("path")), default=None)

    def needed(self, what: str, *path: str) -> t.Any:
        """A value that the act cannot do without. Raises CannotAct."""
        value = self.probed(*path)
        if not value:
            raise CannotAct(f"{what} was not seen on the node")
        return value

    def unit(self) -> str:
        """The systemd unit of the kubelet. Raises CannotAct."""
        return str(self.needed("the kubelet's unit", "kubelet", "unit", "name"))

    def bound(self, *paths: str, with_kubeconfig: bool = True) -> Data:
        """What an act on the node is bound to: the content of these files, and the client certificate on disk, of the store, else of what
        the kubeconfig names or carries.

        A certificate that cannot be decoded binds to nothing: its fingerprint was not seen. So does a file whose content was not seen.
        """
        contents = {path: self._content(path) for path in paths}
        files = {path: digest for path, digest in contents.items() if digest != UNKNOWN}
        by_path = {entry.get("path"): entry for entry in self.files()}
        current = by_path.get(f"{self.probed('pki', 'path')}/kubelet-client-current.pem")
        found = [(current or {}).get("certificates")]
        if with_kubeconfig:
            found.append(self.probed("kubeconfig", "user", "certificates"))
            found.append(
                (by_path.get(self.probed("kubeconfig", "user", "client_certificate")) or {}).get("certificates")
            )
        leaf = next((certificates[0] for certificates in found if certificates), None)
        if leaf is not None and not leaf.get("fingerprint_sha256"):
            return {"files": files}
        return {"certificate_sha256": (leaf or {}).get("fingerprint_sha256"), "files": files}

    def not_bound(self, *paths: str) -> tuple[str, ...]:
        """What is to be said of those of these files whose content was not seen."""
        unseen = [path for path in paths if self._content(path) == UNKNOWN]
        return tuple(
            f"that {path} is as it was: this evidence has no digest of it, so it is not compared" for path in unseen
        )

    def _content(self, path: str) -> str | None:
        """The SHA-256 of a file's content, None where there is no such file, UNKNOWN where neither was seen."""
        layers = self.probed("config", "layers") or ()
        places = (self.probed(name) for name in ("kubeconfig", "bootstrap_kubeconfig", "client_ca_file"))
        for entry in (*places, *layers, *self.files()):
            if isinstance(entry, dict) and entry.get("path") == path:
                digest = entry.get("sha256")
                if isinstance(digest, str) and SHA256.fullmatch(digest):
                    return digest
                if entry.get("exists") is False or entry.get("target_exists") is False:
                    return None
        return UNKNOWN

    def places(self, with_kubeconfig: bool = True) -> Data:
        """The parameters by which an act finds the certificate that it is bound to."""
        known = {"node": self.name, "pki_path": self.needed("the certificate directory", "pki", "path")}
        kubeconfig = self.probed("kubeconfig", "path") if with_kubeconfig else None
        return {**known, "kubeconfig": kubeconfig} if kubeconfig else known


@dataclasses.dataclass(frozen=True)
class Draft:
    """What one act does in one case; ``key`` tells it from other steps of the act, ``node`` is None for the whole cluster.

    ``needs``: what it needs besides what the act always does.
    """

    key: str
    parameters: Data
    bound_to: Data
    commands: tuple[str, ...]
    changes: tuple[str, ...]
    verified_by: str
    node: str | None = None
    needs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Act:
    """An act: which module does it, what it risks and needs, and how it is made from a case (``drafts`` raises CannotAct)."""

    name: str
    module: str
    title: str
    risk: str
    needs: tuple[str, ...]
    undo: str
    drafts: t.Callable[[Case], list[Draft]]


def command(*words: str) -> str:
    """A shell command with its words quoted."""
    return shlex.join(words)
