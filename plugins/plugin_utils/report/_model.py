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

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import moment, neutral

Record = dict[str, t.Any]

SCHEMA = "kubecare.kubelet_certs/diagnosis/1"
VERDICTS = ("expired", "failing", "at_risk", "unknown", "healthy")
"""Worst first."""
STAGES = ("kubelet", "configuration", "schedule", "connection", "request", "approval", "signing", "storage", "use")
STATES = ("ok", "broken", "at_risk", "affected", "unknown", "waiting")
KINDS = ("certificate", "ca", "kubelet", "version", "node", "event", "csr", "log", "rbac", "manifest")
_SEVERITIES = ("critical", "warning", "info")
_ROLES = ("primary", "contributing", "symptom")
_RISKS = ("low", "medium", "high")


class MalformedDiagnosisError(ValueError):
    """The value is no diagnosis of a kind that this version can show; the message says what is wrong."""


def read(value: t.Any) -> Record:
    """The diagnosis with all keys, the right types and neutral texts; nodes worst first.

    Raises:
        MalformedDiagnosisError: it is no mapping, of another schema, or its nodes, fleet or cluster have a wrong shape.
    """
    if not isinstance(value, dict):
        raise MalformedDiagnosisError(f"a diagnosis is a mapping, this is {_kind(value)}")
    if value.get("schema") != SCHEMA:
        raise MalformedDiagnosisError(
            f"schema is {neutral(value.get('schema'), 80) or 'missing'}, this version shows {SCHEMA}"
        )
    for key, shape, name in (("nodes", list, "a list"), ("fleet", dict, "a mapping"), ("cluster", dict, "a mapping")):
        if not isinstance(value.get(key), shape):
            raise MalformedDiagnosisError(f"{key} is {_kind(value.get(key))} and must be {name}")
    for index, node in enumerate(value["nodes"]):
        if not isinstance(node, dict) or not isinstance(node.get("name"), str):
            raise MalformedDiagnosisError(f"nodes[{index}] is no mapping with a name")
    nodes = sorted((_node(node) for node in value["nodes"]), key=lambda node: VERDICTS.index(node["verdict"]))
    cluster, fleet = value["cluster"], value["fleet"]
    return {
        "now": _time(value.get("now")),
        "cluster": {
            "api_url": _text(cluster.get("api_url")),
            "version": _text(cluster.get("version")),
            "reachable": _choice(cluster.get("reachable"), (True, False), None),
            "not_seen": _not_seen(cluster.get("not_seen")),
        },
        "verdicts": {verdict: sum(node["verdict"] == verdict for node in nodes) for verdict in VERDICTS},
        "causes": [_cause(cause) for cause in _dicts(fleet.get("causes"))],
        "unmatched_hosts": [
            {"host": _text(item.get("host")), "why": _text(item.get("why"))}
            for item in _dicts(fleet.get("unmatched_hosts"))
        ],
        "nodes_without_host": _texts(fleet.get("nodes_without_host")),
        "duplicate_hosts": [
            {"node": _text(item.get("node")), "hosts": _texts(item.get("hosts"))}
            for item in _dicts(fleet.get("duplicate_hosts"))
        ],
        "nodes": nodes,
        "stage_names": STAGES,
    }


def _node(node: Record) -> Record:
    findings = [_finding(item) for item in _dicts(node.get("findings"))]
    primary = _finding(node["primary"]) if isinstance(node.get("primary"), dict) else None
    if primary is not None:
        primary["role"] = "primary"
        findings = [primary, *(item for item in findings if item["rule"] != primary["rule"])]
    certificates = _dict(node.get("certificates"))
    return {
        "name": _text(node["name"], 253),
        "host": _text(node.get("host"), 253) or None,
        "matched_by": _choice(node.get("matched_by"), ("certificate", "hostname", "address"), None),
        "verdict": _choice(node.get("verdict"), VERDICTS, "unknown"),
        "summary": _text(node.get("summary"), 500),
        "first_broken_stage": _choice(node.get("first_broken_stage"), STAGES, None),
        "first_failure": _time(node.get("first_failure")),
        "primary": primary,
        "findings": findings,
        "skipped": [
            {
                "rule": _text(item.get("rule")),
                "title": _text(item.get("title")),
                "stage": _text(item.get("stage")),
                "missing": _texts(item.get("missing")),
            }
            for item in _dicts(node.get("skipped"))
        ],
        "missing": _not_seen(node.get("missing")),
        "stages": _stages(node.get("stages")),
        "certificates": {name: _certificate(certificates.get(name)) for name in ("client", "serving")},
        "changes": [
            {**_event(event), "mechanism": _text(event.get("mechanism"), 300)}
            for event in _dicts(node.get("changes_before_failure"))
        ],
        "timeline": [_event(event) for event in _dicts(node.get("timeline"))],
    }


def _finding(item: Record) -> Record:
    fix = _dict(item.get("fix"))
    return {
        "rule": _text(item.get("rule"), 120),
        "title": _text(item.get("title"), 300),
        "stage": _choice(item.get("stage"), STAGES, None),
        "severity": _choice(item.get("severity"), _SEVERITIES, "warning"),
        "role": _choice(item.get("role"), _ROLES, "contributing"),
        "explained_by": _texts(item.get("explained_by")),
        "explains": _texts(item.get("explains")),
        "evidence": [
            {
                "text": _text(proof.get("text")),
                "source": _text(proof.get("source"), 300),
                "time": _time(proof.get("time")),
            }
            for proof in _dicts(item.get("evidence"))
        ],
        "why": _text(item.get("why")),
        "fix": {
            "steps": [
                {"text": _text(step.get("text")), "command": neutral(step.get("command"), 8000, newlines=True) or None}
                for step in _dicts(fix.get("steps"))
            ],
            "risk": _choice(fix.get("risk"), _RISKS, None),
            "task": _text(fix.get("task"), 200) or None,
        },
        "references": _texts(item.get("references")),
        "docs": _text(item.get("docs"), 300) or None,
    }


def _cause(item: Record) -> Record:
    nodes = _texts(item.get("nodes"))
    return {
        "rule": _text(item.get("rule"), 120),
        "title": _text(item.get("title"), 300),
        "stage": _choice(item.get("stage"), STAGES, None),
        "severity": _choice(item.get("severity"), _SEVERITIES, "warning"),
        "nodes": nodes,
        "count": _number(item.get("count"), len(nodes)),
        "of": _number(item.get("of"), len(nodes)),
        "least_seconds_left": _number(item.get("least_seconds_left"), None),
        "docs": _text(item.get("docs"), 300) or None,
    }


def _stages(value: t.Any) -> list[Record]:
    given = {item.get("stage"): item for item in _dicts(value) if isinstance(item.get("stage"), str)}
    return [
        {
            "stage": name,
            "title": _text(given.get(name, {}).get("title"), 60) or name.capitalize(),
            "question": _text(given.get(name, {}).get("question"), 300),
            "state": _choice(given.get(name, {}).get("state"), STATES, "unknown"),
            "facts": _texts(given.get(name, {}).get("facts")),
            "findings": _texts(given.get(name, {}).get("findings")),
        }
        for name in STAGES
    ]


def _certificate(value: t.Any) -> Record | None:
    if not isinstance(value, dict):
        return None
    times = {key: _time(value.get(key)) for key in ("not_before", "not_after", "rotation_from", "rotation_until")}
    texts = {key: _text(value.get(key), 300) or None for key in ("serial", "issuer", "source")}
    numbers = {key: _number(value.get(key), None) for key in ("seconds_left", "used_percent")}
    record = {**times, **texts, **numbers}
    return record if any(item is not None for item in record.values()) else None


def _event(item: Record) -> Record:
    return {
        "time": _time(item.get("time")),
        "end": _time(item.get("end")),
        "kind": _choice(item.get("kind"), KINDS, "event"),
        "text": _text(item.get("text"), 1000),
        "source": _text(item.get("source"), 300),
        "first_failure": item.get("first_failure") is True,
    }


def _not_seen(value: t.Any) -> list[Record]:
    return [
        {
            "subject": _text(item.get("subject"), 200),
            "reason": _text(item.get("reason"), 60),
            "message": _text(item.get("message"), 1000),
        }
        for item in _dicts(value)
    ]


def _dict(value: t.Any) -> Record:
    return value if isinstance(value, dict) else {}


def _dicts(value: t.Any) -> list[Record]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: t.Any) -> list[str]:
    return (
        [neutral(item, 1000) for item in value if isinstance(item, (str, int, float))]
        if isinstance(value, list)
        else []
    )


def _text(value: t.Any, limit: int = 4000) -> str:
    return neutral(value, limit) if isinstance(value, (str, int, float)) else ""


def _time(value: t.Any) -> str | None:
    return str(value).strip() if isinstance(value, str) and moment(value) is not None else None


def _number(value: t.Any, default: t.Any) -> t.Any:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and -1e12 < value < 1e12
    return value if fine else default


def _choice(value: t.Any, allowed: tuple[t.Any, ...], default: t.Any) -> t.Any:
    for item in allowed:
        if isinstance(item, bool):
            if value is item:
                return item
        elif isinstance(value, str) and value == item:
            return item
    return default


def _kind(value: t.Any) -> str:
    for shape, name in (
        (dict, "a mapping"),
        (list, "a list"),
        (str, "a text"),
        (bool, "a boolean"),
        ((int, float), "a number"),
    ):
        if isinstance(value, shape):
            return name
    return "missing" if value is None else "something else"
