# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Matching of inventory hosts to Nodes."""

from __future__ import annotations

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import match_hosts

from .evidence_builder import Data, certificate


def probe(common_name: str | None = None, **changes: object) -> Data:
    files = (
        [{"path": "/p/kubelet-client-current.pem", "certificates": [certificate(common_name=common_name)]}]
        if common_name
        else []
    )
    return {"reachable": True, "hostname": None, "addresses": [], "pki": {"files": files}, **changes}


def node(name: str, address: str = "10.9.9.9") -> Data:
    return {"name": name, "addresses": [{"type": "InternalIP", "address": address}]}


def test_the_certificate_comes_before_the_host_name() -> None:
    matching = match_hosts({"h": probe("system:node:a", hostname="b")}, [node("a"), node("b", "10.9.9.8")])
    assert matching.hosts == {"a": ("h", "certificate")}


def test_then_the_host_name_also_without_its_domain() -> None:
    matching = match_hosts({"h": probe(hostname="B.example.org")}, [node("b")])
    assert matching.hosts == {"b": ("h", "hostname")}


def test_then_the_address() -> None:
    matching = match_hosts({"h": probe(addresses=["10.0.0.5"])}, [node("c", "10.0.0.5")])
    assert matching.hosts == {"c": ("h", "address")}


def test_two_hosts_for_one_node_are_said() -> None:
    matching = match_hosts({"h1": probe("system:node:a"), "h2": probe("system:node:a")}, [node("a")])
    assert matching.duplicates == [{"node": "a", "hosts": ["h1", "h2"]}]
    assert matching.hosts["a"] == ("h1", "certificate")


@pytest.mark.parametrize("own", ["worker-b", "Worker-B.example.org", "10.0.0.5"])
def test_a_node_that_takes_the_certificate_of_another_does_not_take_its_place(own: str) -> None:
    probes = {"0-hostile": probe("system:node:worker-b"), own: probe("system:node:worker-b")}
    matching = match_hosts(probes, [node("worker-a"), node("worker-b", "10.0.0.5")])
    assert matching.hosts == {"worker-b": (own, "certificate")}
    assert matching.duplicates == [{"node": "worker-b", "hosts": sorted(["0-hostile", own])}]


def test_the_name_that_the_inventory_gives_a_node_counts_for_the_inventory() -> None:
    probes = {
        "a.prod": probe("system:node:b", inventory_node="a"),
        "b.prod": probe("system:node:b", inventory_node="b"),
        "ip-1.internal.prod": probe(reachable=False, inventory_node="ip-1.internal"),
    }
    matching = match_hosts(probes, [node("a"), node("b", "10.9.9.8"), node("ip-1.internal", "10.9.9.7")])
    assert matching.hosts == {"b": ("b.prod", "certificate"), "ip-1.internal": ("ip-1.internal.prod", "hostname")}


def test_a_host_without_a_node_says_why() -> None:
    matching = match_hosts({"h": probe(hostname="h"), "dead": probe(reachable=False)}, [node("a")])
    assert matching.hosts == {}
    assert {entry["host"]: entry["why"] for entry in matching.unmatched} == {
        "h": "no Node has its name or one of its addresses",
        "dead": "it did not answer, and no Node has its name",
    }


def test_a_host_keeps_the_name_of_its_certificate_when_that_node_is_gone() -> None:
    assert match_hosts({"h": probe("system:node:gone")}, [node("a")]).hosts == {"gone": ("h", "certificate")}


def test_without_a_list_of_nodes_a_host_speaks_for_itself() -> None:
    matching = match_hosts({"h": probe("system:node:a"), "i": probe(hostname="B")}, None)
    assert matching.hosts == {"a": ("h", "certificate"), "b": ("i", "hostname")}
