# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What an approver looks at, and the checks that several of them make. Pure.

A check is ``{name, passed, compared}``: ``passed`` is None where what it needs was not seen, ``compared`` says what was held against what.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

NODE_PREFIX = "system:node:"
NODES = "system:nodes"

_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """One request, and what an approver can know besides. None is unknown everywhere."""

    csr: Data
    """The record of ``csr_info``."""
    node_registered: bool | None = None
    node_addresses: tuple[str, ...] | None = None
    """Addresses and names of the Node object, its own name among them."""
    serving_certificate: Data | None = None
    """The record of the certificate that the kubelet serves now."""
    settings: Data = dataclasses.field(default_factory=dict)
    image: str | None = None
    cluster_version: str | None = None
    nodes: int | None = None
    pending: int | None = None
    """Requests of nodes that nobody has approved, of the last hour."""
    selfnodeclient: bool | None = None
    """May the requestor create certificatesigningrequests/selfnodeclient."""
    nodeclient: bool | None = None
    create: bool | None = None
    """May the requestor create certificatesigningrequests."""

    @property
    def request(self) -> Data:
        """The decoded request; empty where it could not be decoded."""
        return self.csr.get("request") or {}

    @property
    def requestor(self) -> str:
        """Who made the request; empty when unknown."""
        return str(self.csr.get("requestor") or "")

    @property
    def common_name(self) -> str:
        """The common name asked for; empty when there is none."""
        return str(self.request.get("common_name") or "")

    def names(self, *kinds: str) -> list[str]:
        """The subject alternative names of these kinds: dns_names, ip_addresses, emails, uris."""
        return [str(name) for kind in kinds for name in self.request.get(kind) or ()]


def check(name: str, passed: bool | None, compared: str) -> Data:
    """One check's record."""
    return {"name": name, "passed": passed, "compared": compared}


def shown(values: t.Iterable[str]) -> str:
    """Some values for a person; a long list is cut."""
    listed = list(values)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (", ".join(listed[:_SHOWN]) or "none") + more


def decoded(case: Case) -> Data:
    """Whether the request can be decoded at all."""
    error = case.csr.get("error")
    return check("request", bool(case.request), str(error) if error else "decoded" if case.request else "no request")


def organizations(case: Case) -> Data:
    """``O`` is exactly ``[system:nodes]``."""
    found = [str(name) for name in case.request.get("organizations") or ()]
    return check("organizations", found == [NODES], f"{shown(found)}; wanted: exactly {NODES}")


def common_name(case: Case) -> Data:
    """``CN`` begins with ``system:node:``."""
    return check(
        "common name",
        case.common_name.startswith(NODE_PREFIX),
        f"{case.common_name or 'none'}; wanted: {NODE_PREFIX}…",
    )


def is_requestor(case: Case) -> Data:
    """``spec.username`` is the common name: the node asks for itself."""
    return check(
        "username",
        bool(case.requestor) and case.requestor == case.common_name,
        f"{case.requestor or 'unknown'} asks for {case.common_name or 'none'}",
    )


def usages(case: Case, *wanted: str, optional: str = "key encipherment") -> Data:
    """The usages are exactly ``wanted``, with or without ``optional``."""
    found = {str(usage) for usage in case.csr.get("usages") or ()}
    return check(
        "usages",
        found - {optional} == set(wanted),
        f"{shown(sorted(found))}; wanted: {shown(wanted)}, or with {optional}",
    )


def no_names(case: Case, title: str, *kinds: str) -> Data:
    """No subject alternative name of these kinds."""
    found = case.names(*kinds)
    return check(title, not found, f"{shown(found)}; wanted: none")


def some_names(case: Case) -> Data:
    """At least one DNS name or address."""
    found = case.names("dns_names", "ip_addresses")
    return check("names", bool(found), f"{shown(found)}; wanted: at least one DNS name or address")


def of_the_node(case: Case) -> Data:
    """Every name and address is one of the Node object."""
    found = case.names("dns_names", "ip_addresses")
    known = case.node_addresses
    if known is None:
        return check("names are the node's", None, f"{shown(found)}; the Node object was not seen")
    strange = [name for name in found if not any(same_name(name, address) for address in known)]
    told = (
        f"not the node's: {shown(strange)}; the node has {shown(known)}"
        if strange
        else f"{shown(found)}, all the node's"
    )
    return check("names are the node's", not strange, told)


def same_name(one: str, other: str) -> bool:
    """Whether two texts are the same address, or the same DNS name."""
    first, second = address(one), address(other)
    if first or second:
        return first == second
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; None when it is none."""
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None
