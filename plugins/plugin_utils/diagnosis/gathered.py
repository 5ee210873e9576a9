# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The evidence of a run as it is judged: what concerns the fleet as a whole at hand, and the rest of each node when it is its turn.

A fleet's evidence does not fit into memory beside all else. Of it an *outline* is held: of each record the few keys that are looked at for
the fleet as a whole (which host is which node, whose clock is wrong, how many requests wait). Both fit the schema of evidence.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.conform import checker, conform
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import CLUSTER_MODULES, Data, dig

LONG_LISTS = {"node_info": "nodes", "csr_info": "csrs"}
"""The cluster modules that have a long list, and its key."""


def fitted_probe(probe: Data) -> Data:
    """A node's evidence, made to fit the schema."""
    return t.cast("Data", checker("#/$defs/node")(probe))


def fitted_item(module: str, item: t.Any) -> Data | None:
    """An element of a cluster module's long list, made to fit the schema; None where it cannot be.

    Without ``managed_fields``, which the evidence has for people: nothing is judged by them, and of many requests they are a third.
    """
    if isinstance(item, dict) and "managed_fields" in item:
        item = {key: value for key, value in item.items() if key != "managed_fields"}
    return t.cast("Data | None", checker(f"#/$defs/{module}/properties/{LONG_LISTS[module]}/items")(item))


@dataclasses.dataclass(frozen=True)
class Gathered:
    """``results`` (by cluster module) and ``probes`` (by host) may be outlines; the functions give whole records."""

    results: dict[str, Data]
    probes: dict[str, Data]
    probe: t.Callable[[str], Data]
    """A host's evidence."""
    node: t.Callable[[int], Data]
    """The Node at that place of ``results["node_info"]["nodes"]``."""
    csr: t.Callable[[int], Data]
    """The request at that place of ``results["csr_info"]["csrs"]``."""
    cluster_name: t.Any = None
    """That the inventory gives the cluster."""


def in_memory(evidence: t.Any) -> Gathered:
    """Evidence as the lookup returns it: ``{"cluster": {module: result}, "nodes": {host: result}}``; anything may be absent."""
    evidence = conform(evidence)
    probes = {str(host): probe for host, probe in (dig(evidence, "nodes") or {}).items() if isinstance(probe, dict)}
    results = {name: dig(evidence, "cluster", name) or {} for name in CLUSTER_MODULES}
    nodes, csrs = dig(results, "node_info", "nodes") or [], dig(results, "csr_info", "csrs") or []
    name = dig(evidence, "manifest", "cluster_name")
    return Gathered(results, probes, probes.__getitem__, nodes.__getitem__, csrs.__getitem__, name)


def outline_of_probe(probe: Data) -> Data:
    """Of a node's evidence, which need not fit the schema: times, names, addresses, what identifies it; of a control-plane node also that part."""
    outline = _only(probe, ("collected_at", "reachable", "hostname", "inventory_node", "addresses", "control_plane"))
    user, pki = dig(probe, "kubeconfig", "user"), dig(probe, "pki")
    outline["clock"] = _only(dig(probe, "clock"), ("offset_seconds",))
    outline["kubelet"] = {"flags": _only(dig(probe, "kubelet", "flags"), ("hostname-override",))}
    outline["kubeconfig"] = {"user": _with_certificates(user, "client_certificate")}
    outline["pki"] = {
        **(_only(pki, ("path",)) or {}),
        "files": _each(dig(pki, "files"), lambda entry: _with_certificates(entry, "path")),
    }
    return fitted_probe(outline)


def outline_of_node(node: t.Any) -> Data | None:
    """Of a Node; None where it fits no Node."""
    keys = ("name", "addresses", "labels", "kubelet_version", "lease")
    return fitted_item("node_info", _only(node, keys))


class CsrOutlines:
    """Makes outlines of requests. Texts that many have in common are held once."""

    def __init__(self) -> None:
        self._texts: dict[t.Any, t.Any] = {}

    def __call__(self, csr: t.Any) -> Data | None:
        """Of a request; None where it is no mapping."""
        fitted = _outline_of_csr(csr)
        for record in (fitted, *(fitted.get("conditions") or ())) if fitted else ():
            for key, value in record.items():
                if isinstance(value, str) and key != "name":
                    record[key] = self._texts.setdefault(value, value)
        return fitted


def _outline_of_csr(csr: t.Any) -> Data | None:
    outline = _only(csr, ("name", "created", "signer_name", "state", "node"))
    if not isinstance(outline, dict):
        return None
    of_condition = functools.partial(_only, keys=("type", "last_update", "reason"))
    outline["conditions"] = _each(csr.get("conditions"), of_condition)
    return fitted_item("csr_info", outline)


def outlines_of(module: str) -> t.Callable[[t.Any], Data | None]:
    """What makes outlines of the elements of a cluster module's long list."""
    return outline_of_node if module == "node_info" else CsrOutlines()


def _only(value: t.Any, keys: tuple[str, ...]) -> t.Any:
    return {key: value[key] for key in keys if key in value} if isinstance(value, dict) else value


def _each(value: t.Any, make: t.Callable[[t.Any], t.Any]) -> t.Any:
    return [make(item) for item in value] if isinstance(value, list) else value


def _with_certificates(value: t.Any, key: str) -> t.Any:
    outline = _only(value, (key, "certificates"))
    if isinstance(outline, dict) and "certificates" in outline:
        whose = functools.partial(_only, keys=("common_name", "public_key_sha256"))
        outline["certificates"] = _each(outline["certificates"], whose)
    return outline
