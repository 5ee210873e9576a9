# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A Node object as a host of an inventory: its name, its address, its facts.

What a Node says is hostile: its kubelet writes the addresses and most labels, and who may register a node chooses its name.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

Data = dict[str, t.Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_ADDRESS = "no-usable-address.invalid"
"""A name that never resolves (RFC 6761): a host without it would be connected to by its name, which may lead elsewhere."""

NODE_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?", re.I
)
"""The last label begins with a letter: the rest, as 2130706433 or 127.1, are addresses to a resolver."""
_CONTROL_PLANE = tuple(f"node-role.kubernetes.io/{role}" for role in ("control-plane", "master", "controlplane"))


def facts_of(record: Data) -> Data:
    """What the inventory tells of a node, of a record of ``cluster/node_info.json``."""
    ready = next((entry["status"] for entry in record["conditions"] if entry["type"] == "Ready"), None)
    kept = (
        "name",
        "uid",
        "created",
        "unschedulable",
        "kubelet_version",
        "os_image",
        "provider_id",
        "labels",
        "taints",
        "addresses",
    )
    return {
        **{key: record[key] for key in kept},
        "ready": ready == "True",
        "control_plane": any(label in record["labels"] for label in _CONTROL_PLANE),
    }


def host_name(pattern: str, node: str, cluster: str) -> str:
    """The host's name by a pattern with ``{node}`` and ``{cluster}``. Raises ValueError when the node's is no name of a Node."""
    if not NODE_NAME.fullmatch(node):
        raise ValueError("it is no name of a node")
    return pattern.replace("{cluster}", cluster).replace("{node}", node)


def choose_address(
    addresses: t.Sequence[Data], types: t.Sequence[str], networks: t.Sequence[Network]
) -> tuple[str | None, list[str]]:
    """The first usable address by the order of ``types``, and why others before it were refused. See ``_refusal``."""
    refused: list[str] = []
    for kind in types:
        for entry in addresses:
            if entry.get("type") == kind:
                address = str(entry.get("address"))
                why = _refusal(address, networks) if kind.endswith("IP") else _name_refusal(address, networks)
                if why is None:
                    return address, refused
                refused.append(f"{address[:64]!r} {why}")
    return None, refused


def _refusal(address: str, networks: t.Sequence[Network]) -> str | None:
    """Why an address may not be connected to: it is none, is outside ``networks``, or, where these are empty, leads to this machine or to no one node."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "is no IP address"
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        return "is of one network interface"
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    real = mapped or found
    if networks:
        return (
            None
            if any(real.version == network.version and real in network for network in networks)
            else "is in none of address_networks"
        )
    if real.is_loopback or real.is_link_local or real.is_multicast or real.is_unspecified:
        return "is no address of a machine in a network; address_networks may allow it"
    return None


def _name_refusal(name: str, networks: t.Sequence[Network]) -> str | None:
    if networks:
        return "is a name, which address_networks cannot hold"
    if not _DNS_NAME.fullmatch(name):
        return "is no host name"
    if name.lower() == "localhost" or name.lower().endswith((".localhost", ".localdomain")):
        return "is this machine"
    return None
