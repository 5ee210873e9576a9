# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A diagnosis (``docs/diagnosis.md``) as the renderers may trust it.

The input may be a file that somebody sent. What comes out has every key, every value of the right type or null, and
every text neutral (see ``_text.neutral``), so that a renderer needs no checks of its own.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._json_lists import JsonList
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import _details
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import (
    Record,
    choice,
    kind_of,
    mapping,
    mappings,
    number,
    text,
    texts,
    time,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import neutral

SCHEMA = "kubecare.kubelet_certs/diagnosis/1"
VERDICTS = ("expired", "failing", "at_risk", "unknown", "healthy")
"""Worst first."""
STAGES = ("kubelet", "configuration", "schedule", "connection", "request", "approval", "signing", "storage", "use")
STATES = ("ok", "broken", "at_risk", "affected", "unknown", "waiting")
KINDS = ("certificate", "ca", "kubelet", "version", "node", "event", "csr", "log", "rbac", "manifest")
WAYS = {"ssh": "its own connection", "pod": "a probe pod", "api": "the API alone"}
"""How a node was seen, in words."""
_SEVERITIES = ("critical", "warning", "info")
_ROLES = ("primary", "contributing", "symptom")
_RISKS = ("low", "medium", "high")


class MalformedDiagnosisError(ValueError):
    """The value is no diagnosis of a kind that this version can show; the message says what is wrong."""


def read(value: t.Any) -> Record:
    """The diagnosis with all keys, the right types and neutral texts; nodes worst first.

    ``detail`` is a function from a node to what ``row`` leaves out of it; here it leaves out nothing.

    Raises:
        MalformedDiagnosisError: it is no mapping, of another schema, or its nodes, fleet or cluster have a wrong shape.
    """
    if not isinstance(value, dict):
        raise MalformedDiagnosisError(f"a diagnosis is a mapping, this is {kind_of(value)}")
    _check(value, nodes=True)
    for index, node in enumerate(value["nodes"]):
        if not isinstance(node, dict) or not isinstance(node.get("name"), str):
            raise MalformedDiagnosisError(f"nodes[{index}] is no mapping with a name")
    return _model(value, [{**row(node), **told(node)} for node in value["nodes"]], lambda node: {})


def read_listed(value: Record, nodes: JsonList[Record]) -> Record:
    """As ``read``, of a diagnosis whose nodes are in a file; of each ``row`` was kept. ``detail`` reads the rest of a node there.

    Raises:
        MalformedDiagnosisError: as ``read``.
    """
    _check(value, nodes=False)
    for index, node in enumerate(nodes.kept):
        node["index"] = index
    return _model(value, nodes.kept, lambda node: told(nodes.whole(node["index"])))


def _check(value: Record, nodes: bool) -> None:
    if value.get("schema") != SCHEMA:
        raise MalformedDiagnosisError(
            f"schema is {neutral(value.get('schema'), 80) or 'missing'}, this version shows {SCHEMA}"
        )
    shapes = (("nodes", list, "a list"), ("fleet", dict, "a mapping"), ("cluster", dict, "a mapping"))
    for key, shape, name in shapes if nodes else shapes[1:]:
        if not isinstance(value.get(key), shape):
            raise MalformedDiagnosisError(f"{key} is {kind_of(value.get(key))} and must be {name}")


def _model(value: Record, rows: list[Record], detail: t.Callable[[Record], Record]) -> Record:
    nodes = sorted(rows, key=lambda node: VERDICTS.index(node["verdict"]))
    cluster, fleet = value["cluster"], value["fleet"]
    return {
        "now": time(value.get("now")),
        "cluster": {
            "name": text(cluster.get("name"), 63) or None,
            "api_url": text(cluster.get("api_url")),
            "version": text(cluster.get("version")),
            "reachable": choice(cluster.get("reachable"), (True, False), None),
            "not_seen": _not_seen(cluster.get("not_seen")),
        },
        "verdicts": {verdict: sum(node["verdict"] == verdict for node in nodes) for verdict in VERDICTS},
        "causes": [_cause(cause) for cause in mappings(fleet.get("causes"))],
        "unmatched_hosts": [
            {"host": text(item.get("host")), "why": text(item.get("why"))}
            for item in mappings(fleet.get("unmatched_hosts"))
        ],
        "nodes_without_host": texts(fleet.get("nodes_without_host")),
        "duplicate_hosts": [
            {"node": text(item.get("node")), "hosts": texts(item.get("hosts"))}
            for item in mappings(fleet.get("duplicate_hosts"))
        ],
        "nodes": nodes,
        "detail": detail,
        "stage_names": STAGES,
    }


def row(node: Record) -> Record:
    """Of a node what the summary and the table need."""
    findings = [_finding(item) for item in mappings(node.get("findings"))]
    primary = _finding(node["primary"]) if isinstance(node.get("primary"), dict) else None
    if primary is not None:
        primary["role"] = "primary"
        findings = [primary, *(item for item in findings if item["rule"] != primary["rule"])]
    certificates = mapping(node.get("certificates"))
    return {
        "name": text(node["name"], 253),
        "host": text(node.get("host"), 253) or None,
        "matched_by": choice(node.get("matched_by"), ("certificate", "hostname", "address"), None),
        "root": choice(node.get("root"), (True, False), None),
        "way": WAYS.get(choice(node.get("way"), tuple(WAYS), "")),
        "tried": [
            f"{WAYS[way]}: {text(item.get('reason'), 60)}"
            for item in mappings(node.get("tried"))[:3]
            if (way := choice(item.get("way"), tuple(WAYS), ""))
        ],
        "verdict": choice(node.get("verdict"), VERDICTS, "unknown"),
        "summary": text(node.get("summary"), 500),
        "first_broken_stage": choice(node.get("first_broken_stage"), STAGES, None),
        "first_failure": time(node.get("first_failure")),
        "primary": primary,
        "findings": findings,
        "missing": _not_seen(node.get("missing")),
        "certificates": {name: _certificate(certificates.get(name)) for name in ("client", "serving")},
        "foresight": _details.foresight(node),
        "changes": [
            {
                **_event(event),
                "seconds_before": number(event.get("seconds_before"), None),
                "mechanism": text(event.get("mechanism"), 300),
            }
            for event in mappings(node.get("changes_before_failure"))
        ],
    }


def told(node: Record) -> Record:
    """The rest, for a node that is told in full."""
    return {
        "skipped": [
            {
                "rule": text(item.get("rule")),
                "title": text(item.get("title")),
                "stage": text(item.get("stage")),
                "missing": texts(item.get("missing")),
            }
            for item in mappings(node.get("skipped"))
        ],
        "stages": _stages(node.get("stages")),
        **_details.read(node),
        "timeline": [_event(event) for event in mappings(node.get("timeline"))],
    }


def _finding(item: Record) -> Record:
    fix = mapping(item.get("fix"))
    return {
        "rule": text(item.get("rule"), 120),
        "title": text(item.get("title"), 300),
        "stage": choice(item.get("stage"), STAGES, None),
        "severity": choice(item.get("severity"), _SEVERITIES, "warning"),
        "role": choice(item.get("role"), _ROLES, "contributing"),
        "explained_by": texts(item.get("explained_by")),
        "explains": texts(item.get("explains")),
        "evidence": [
            {
                "text": text(proof.get("text")),
                "source": text(proof.get("source"), 300),
                "time": time(proof.get("time")),
            }
            for proof in mappings(item.get("evidence"))
        ],
        "why": text(item.get("why")),
        "fix": {
            "steps": [
                {"text": text(step.get("text")), "command": neutral(step.get("command"), 8000, newlines=True) or None}
                for step in mappings(fix.get("steps"))
            ],
            "risk": choice(fix.get("risk"), _RISKS, None),
            "task": " or ".join(texts(fix.get("task"))) or text(fix.get("task"), 200) or None,
        },
        "references": texts(item.get("references")),
        "docs": text(item.get("docs"), 300) or None,
    }


def _cause(item: Record) -> Record:
    nodes = texts(item.get("nodes"))
    return {
        "rule": text(item.get("rule"), 120),
        "title": text(item.get("title"), 300),
        "stage": choice(item.get("stage"), STAGES, None),
        "severity": choice(item.get("severity"), _SEVERITIES, "warning"),
        "nodes": nodes,
        "count": number(item.get("count"), len(nodes)),
        "of": number(item.get("of"), len(nodes)),
        "least_seconds_left": number(item.get("least_seconds_left"), None),
        "docs": text(item.get("docs"), 300) or None,
    }


def _stages(value: t.Any) -> list[Record]:
    given = {item.get("stage"): item for item in mappings(value) if isinstance(item.get("stage"), str)}
    return [
        {
            "stage": name,
            "title": text(given.get(name, {}).get("title"), 60) or name.capitalize(),
            "question": text(given.get(name, {}).get("question"), 300),
            "state": choice(given.get(name, {}).get("state"), STATES, "unknown"),
            "facts": texts(given.get(name, {}).get("facts")),
            "findings": texts(given.get(name, {}).get("findings")),
        }
        for name in STAGES
    ]


def _certificate(value: t.Any) -> Record | None:
    if not isinstance(value, dict):
        return None
    times = {key: time(value.get(key)) for key in ("not_before", "not_after", "rotation_from", "rotation_until")}
    words = {key: text(value.get(key), 300) or None for key in ("serial", "issuer", "source")}
    numbers = {key: number(value.get(key), None) for key in ("seconds_left", "used_percent")}
    record = {**times, **words, **numbers}
    return record if any(item is not None for item in record.values()) else None


def _event(item: Record) -> Record:
    return {
        "time": time(item.get("time")),
        "end": time(item.get("end")),
        "kind": choice(item.get("kind"), KINDS, "event"),
        "text": text(item.get("text"), 1000),
        "source": text(item.get("source"), 300),
        "first_failure": item.get("first_failure") is True,
    }


def _not_seen(value: t.Any) -> list[Record]:
    return [
        {
            "subject": text(item.get("subject"), 200),
            "reason": text(item.get("reason"), 60),
            "message": text(item.get("message"), 1000),
        }
        for item in mappings(value)
    ]
