# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``identity``: as which node does this kubelet run, whose name is in its certificate, and who else holds that certificate.

The kubelet's name is ``--hostname-override``, else the host's name, in lower case (``pkg/util/node``: ``GetHostname``). A certificate is
``system:node:<name>`` (``pkg/kubelet/certificate/kubelet.go``), and the API server takes the kubelet for that node whatever it calls itself.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig

NODE_PREFIX = "system:node:"


def holders_of(probes: t.Mapping[str, Data]) -> dict[str, list[str]]:
    """Public key of a client certificate → the inventory hosts that hold it: a fleet-wide look, made once."""
    holders: dict[str, list[str]] = {}
    for host in sorted(probes):
        for key in sorted(_keys(probes[host])):
            holders.setdefault(key, []).append(host)
    return holders


def identity_signals(view: View, client_certificate: Data) -> Data:
    """``node_name`` and where it is from; ``certificate_node``: None unless the certificate is a node's; ``not_a_node``, ``renamed``."""
    flags = dig(view.probe, "kubelet", "flags")
    named = dig(flags, "hostname-override")
    # k3s and the like name the node by a setting of their own; in-tree cloud providers (before 1.31) asked the cloud.
    tells = dig(view.probe, "kubelet", "binary") in (None, "kubelet") and dig(flags, "cloud-provider") in (
        None,
        "",
        "external",
    )
    name = str(named or dig(view.probe, "hostname") or "").strip().lower() or None
    common_name = client_certificate["common_name"]
    own = common_name[len(NODE_PREFIX) :] if str(common_name or "").startswith(NODE_PREFIX) else None
    known = flags is not None and tells
    keys = _keys(view.probe) if view.probe is not None else set()
    return {
        "node_name": name if known else None,
        "node_name_source": ("--hostname-override" if named else "the host's name") if known else None,
        "certificate_node": own,
        "not_a_node": None if common_name is None else own is None,
        "renamed": name != own if known and name and own else None,
        "shared_with": _others(view, keys) if keys else None,
    }


def _others(view: View, keys: set[str]) -> list[str]:
    return sorted({host for key in keys for host in view.cluster.key_holders.get(key, ()) if host != view.host})


def _keys(probe: Data) -> set[str]:
    """The public keys of the client certificates in use: the kubeconfig's own and the current file's; no older ones."""
    wanted = {
        dig(probe, "kubeconfig", "user", "client_certificate"),
        f"{dig(probe, 'pki', 'path')}/kubelet-client-current.pem",
    }
    records = list(dig(probe, "kubeconfig", "user", "certificates") or ())[:1]
    for entry in dig(probe, "pki", "files") or ():
        if entry.get("path") in wanted:
            records += (entry.get("certificates") or ())[:1]
    return {
        str(record["public_key_sha256"])
        for record in records
        if record.get("public_key_sha256") and str(record.get("common_name") or "").startswith(NODE_PREFIX)
    }
