# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Evidence in, diagnosis out. Pure: no I/O, and the time is an argument."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._pools import pool_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.changes import (
    cluster_changes,
    node_changes,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.clocks import (
    control_node_offset,
    corrected,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.correlation import ranked
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.engine import Engine
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.fleet import fleet_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.foresight import (
    blocking_rules,
    foresight,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.gathered import Gathered, in_memory
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import match_hosts
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import Rule
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.approval import approval_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.derive import (
    cluster_signals,
    node_signals_of,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.identity import holders_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.timeline import (
    first_failure,
    timeline,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import (
    VERDICTS,
    primary_of,
    stages_of,
    summary_of,
    verdict_of,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    latest,
)

SCHEMA = "kubecare.kubelet_certs/diagnosis/1"


def diagnose(
    evidence: t.Any,
    rules: t.Sequence[Rule],
    now: str | None = None,
    only_hosts: bool = False,
    pool_label: str | None = None,
) -> Data:
    """Judges a run folder's evidence.

    Args:
        evidence: ``{"cluster": {module: result}, "nodes": {host: result}}``; anything may be absent.
        rules: what to look for, by stage.
        now: the time to judge at; by default the latest time of collection in the evidence.
        only_hosts: judge the nodes that a host was matched to, and no others.
        pool_label: a label that names a node's pool (``_pools.py``).

    Raises:
        ValueError: ``now`` is no time, or is not given and the evidence carries none.
    """
    judgement = Judgement(in_memory(evidence), rules, now, only_hosts, pool_label)
    nodes = sorted(map(judgement.node, judgement.names), key=rank)
    return judgement.diagnosis(nodes)


def rank(node: Data) -> tuple[int, str]:
    """Where a node stands in a diagnosis: worst verdict first, then by name."""
    return VERDICTS.index(node["verdict"]), node["name"]


class Judgement:
    """The judging of one run's evidence: what concerns all of it is done at once, each node when it is asked for."""

    def __init__(
        self,
        gathered: Gathered,
        rules: t.Sequence[Rule],
        now: str | None = None,
        only_hosts: bool = False,
        pool_label: str | None = None,
    ) -> None:
        """As ``diagnose``, of which this is the first half."""
        probes, results = gathered.probes, gathered.results
        self._offset = control_node_offset(probes, results)
        if self._offset:
            probes = {host: corrected(probe, self._offset) for host, probe in probes.items()}
            results = {name: corrected(result, self._offset) for name, result in results.items()}
        self._gathered, self._results = gathered, results
        self._only_hosts, self._pool_label = only_hosts, pool_label
        self._now = _moment(now, probes, results)
        self._cluster = Cluster(
            **results,
            control_plane_hosts=tuple(
                {**probe["control_plane"], "host": host}
                for host, probe in probes.items()
                if dig(probe, "control_plane")
            ),
            key_holders=holders_of(probes),
        )
        listed = dig(self._cluster.node_info, "nodes")
        self._places = {str(node.get("name")): place for place, node in enumerate(listed or ())}
        self._matching = match_hosts(probes, None if listed is None else [listed[at] for at in self._places.values()])
        self.names = sorted(self._matching.hosts if only_hosts else {*self._places, *self._matching.hosts})
        """The nodes that are judged."""
        self._csrs = _csrs_by_node(self._cluster)
        self._shared, self._changes = cluster_signals(self._cluster, self._now), cluster_changes(self._cluster)
        self._engine, self._blocking = Engine(rules, self._shared), blocking_rules(rules)

    def node(self, name: str) -> Data:
        """One node's part of the diagnosis."""
        view = self._view(name)
        judged = _judge(view, self._engine, self._blocking, self._shared, self._changes)
        return {**judged, "pool": pool_of(dig(view.node, "labels"), self._pool_label)}

    def diagnosis(self, nodes: list[Data]) -> Data:
        """The whole, of the judged nodes by ``rank``; but for the key ``nodes``, they may be ``brief``."""
        control_plane = dig(self._cluster.control_plane_info, "api_server") or {}
        return {
            "schema": SCHEMA,
            "now": self._now,
            "only_hosts": self._only_hosts,
            "cluster": {
                "name": self._gathered.cluster_name,
                "api_url": control_plane.get("url"),
                "version": control_plane.get("version"),
                "reachable": control_plane.get("reachable"),
                "not_seen": _cluster_gaps(self._results),
            },
            "fleet": fleet_of(nodes, self._matching, [n for n in self.names if n not in self._matching.hosts]),
            "nodes": nodes,
        }

    def _view(self, name: str) -> View:
        host, how = self._matching.hosts.get(name, (None, None))
        probed = None if host is None else self._probe(host)
        place = self._places.get(name)
        return View(
            name=name,
            now=self._now,
            cluster=self._cluster,
            node=None if place is None else self._gathered.node(place),
            probe=probed if probed and probed.get("reachable") is not False else None,
            csrs=None if self._csrs is None else tuple(map(self._gathered.csr, self._csrs.get(name, ()))),
            host=host,
            matched_by=how,
            probed=probed,
        )

    def _probe(self, host: str) -> Data:
        probe = self._gathered.probe(host)
        return corrected(probe, self._offset) if self._offset else probe


def _moment(now: str | None, probes: dict[str, Data], results: dict[str, Data]) -> str:
    collected = latest(
        str(part["collected_at"]) for part in (*probes.values(), *results.values()) if part.get("collected_at")
    )
    if now is None and collected is None:
        raise ValueError("the evidence carries no time of collection: it is empty, or not a run folder's")
    return format_time(parse_time(now or str(collected)))


def _csrs_by_node(cluster: Cluster) -> dict[str, list[int]] | None:
    """The places of requests by the node they are for, oldest first; None when they could not be listed."""
    csrs = dig(cluster.csr_info, "csrs")
    if csrs is None:
        return None
    by_node: dict[str, list[int]] = {}
    for place in sorted(range(len(csrs)), key=lambda place: str(csrs[place].get("created") or "")):
        by_node.setdefault(str(csrs[place].get("node")), []).append(place)
    return by_node


def _judge(view: View, engine: Engine, blocking: frozenset[str], shared: Data, shared_changes: list[Data]) -> Data:
    gaps = list(dig(view.probed, "not_seen") or ())
    if view.probed is None:
        gaps.append({"subject": "node", "reason": "disabled", "message": "no inventory host was matched to this node"})
    signals = node_signals_of(view, shared)
    findings, skipped = engine.evaluate(signals)
    verdict = verdict_of(signals, findings)
    failure = first_failure(signals) if findings else None
    changes = [*shared_changes, *node_changes(view, signals)]
    primary = primary_of(findings)
    return {
        "name": view.name,
        "host": view.host,
        "matched_by": view.matched_by,
        "root": signals["node"]["as_root"],
        "way": dig(view.probed, "way"),
        "tried": dig(view.probed, "tried") or [],
        "distribution": {key: signals["distribution"][key] for key in _DISTRIBUTION},
        "verdict": verdict,
        "summary": summary_of(signals, findings, verdict),
        "first_broken_stage": primary["stage"] if primary and verdict in ("failing", "expired") else None,
        "first_failure": failure,
        "primary": primary,
        "findings": findings,
        "skipped": skipped,
        "missing": gaps,
        "stages": stages_of(signals, findings, verdict),
        "approval": approval_of(signals),
        "certificates": {
            "client": _certificate(signals["client_certificate"]),
            "serving": _certificate(signals["serving_certificate"]),
        },
        "comparison": signals["comparison"],
        "foresight": foresight(signals, findings, blocking),
        "changes_before_failure": ranked(changes, failure, primary),
        "timeline": timeline(view, failure, changes),
    }


_DISTRIBUTION = (
    "name",
    "title",
    "rotates_by",
    "approves_client_by",
    "approves_serving_by",
    "csrs",
    "by_ssh",
    "evidence",
)

_CERTIFICATE = (
    "source",
    "not_before",
    "not_after",
    "seconds_left",
    "used_percent",
    "rotation_from",
    "rotation_until",
    "serial",
    "issuer",
)


def _certificate(signals: Data) -> Data:
    return {key: signals[key] for key in _CERTIFICATE}


def _cluster_gaps(results: dict[str, Data]) -> list[Data]:
    gaps = []
    for module, result in results.items():
        if not result:
            gaps.append({"subject": module, "reason": "error", "message": f"there is no evidence of {module}"})
        gaps += [{**gap, "subject": f"{module}.{gap.get('subject')}"} for gap in result.get("not_seen") or ()]
    # The role collect lists CSRs once, by csr_info, and so switches the second look at them off.
    return [
        gap for gap in gaps if gap["subject"] != "control_plane_info.last_issued" or gap.get("reason") != "disabled"
    ]
