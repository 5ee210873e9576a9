# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Which inventory host is which Node: by the kubelet's own identity, then by host name, then by address."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig

_PREFIX = "system:node:"


@dataclasses.dataclass
class Matching:
    """``hosts``: node name → (host, how). The rest is said to the reader, never guessed away."""

    hosts: dict[str, tuple[str, str]]
    unmatched: list[Data]
    duplicates: list[Data]


def match_hosts(probes: t.Mapping[str, Data], nodes: t.Sequence[Data] | None) -> Matching:
    """Matches hosts (inventory name → evidence) to Nodes (None: not listed, then a host's own word names its node).

    A host's identity is the common name of its client certificate, ``system:node:<name>``
    (``pkg/kubelet/certificate/kubelet.go``). Two hosts that claim one Node are both said. Kept is the one that the
    inventory, which no node can write, gives the Node's name or address; else the first by name.
    """
    names = {node.get("name") for node in nodes} if nodes is not None else None
    addresses: dict[str, str] = {}
    for node in nodes or ():
        for entry in node.get("addresses") or ():
            addresses.setdefault(str(entry.get("address")), str(node.get("name")))
    claims: dict[str, list[tuple[str, str]]] = {}
    unmatched: list[Data] = []
    for host in sorted(probes):
        name, how = _claim(host, probes[host], names, addresses)
        if name is None:
            unmatched.append({"host": host, "why": how})
        else:
            claims.setdefault(name, []).append((host, how))
    for name, hosts in claims.items():
        named = [entry for entry in hosts if _named_by_inventory(entry[0], probes[entry[0]], name, addresses)]
        hosts[:] = [*named, *(entry for entry in hosts if entry not in named)]
    return Matching(
        hosts={name: hosts[0] for name, hosts in claims.items()},
        unmatched=unmatched,
        duplicates=[
            {"node": name, "hosts": sorted(host for host, _how in hosts)}
            for name, hosts in sorted(claims.items())
            if len(hosts) > 1
        ],
    )


def _named_by_inventory(host: str, probe: Data, name: str, addresses: t.Mapping[str, str]) -> bool:
    """Whether the inventory alone says that the host is this Node: by the name that it gives the Node, else the host, which may be an address."""
    if probe.get("inventory_node"):
        return bool(probe["inventory_node"] == name)
    return name in (host.lower(), host.lower().split(".", 1)[0]) or addresses.get(host) == name


def identity(probe: Data) -> str | None:
    """The node name in the client certificate of a host, None when it has none that says."""
    certificates = list(dig(probe, "kubeconfig", "user", "certificates") or ())
    wanted = dig(probe, "kubeconfig", "user", "client_certificate")
    files = [entry for entry in dig(probe, "pki", "files") or () if isinstance(entry, dict)]
    files.sort(
        key=lambda entry: (entry.get("path") != wanted, not str(entry.get("path")).endswith("client-current.pem"))
    )
    certificates += [cert for entry in files for cert in (entry.get("certificates") or ())[:1]]
    for certificate in certificates:
        common_name = str(certificate.get("common_name") or "")
        if common_name.startswith(_PREFIX):
            return common_name[len(_PREFIX) :]
    return None


def _claim(host: str, probe: Data, names: set[t.Any] | None, addresses: dict[str, str]) -> tuple[str | None, str]:
    known = identity(probe)
    if known and (names is None or known in names):
        return known, "certificate"
    spoken = [
        dig(probe, "kubelet", "flags", "hostname-override"),
        probe.get("hostname"),
        probe.get("inventory_node"),
        host,
    ]
    for candidate in (str(name).lower() for name in spoken if name):
        for name in (candidate, candidate.split(".", 1)[0]):
            if names is not None and name in names:
                return name, "hostname"
    own = [*(probe.get("addresses") or ()), probe.get("ansible_host")]
    for address in own:
        if address in addresses:
            return addresses[address], "address"
    if names is None:
        return str(probe.get("hostname") or host).lower(), "hostname"
    if known:
        return known, "certificate"
    if probe.get("reachable") is False:
        return None, "it did not answer, and no Node has its name"
    return None, "no Node has its name or one of its addresses"
