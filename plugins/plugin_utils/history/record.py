# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What is kept of an audit: of each node the verdict, the findings and its certificates' ends, and the fleet in a few numbers.

Everything that comes in, a diagnosis or a file of the history, may be hostile: what comes out has the keys below, each of the right type
or null. The texts are as they came; who shows them makes them neutral.

A *node* here is::

    {cluster, name, pool,
     verdict,                       # in this audit
     seen: true,                    # it answered, so what was not found is not there
     why: null,                     # else: timeout, unreachable, not_asked …
     known: {verdict, time},        # the last verdict but unknown; null: there was none
     findings: [{rule, title, stage, severity, role,
                 as_of, stands}],      # but info; as_of: when it was last judged; stands: that was in an earlier audit
     certificates: {client: {not_before, not_after}, serving}}  # null where it was not seen in this audit
"""

from __future__ import annotations

import dataclasses
import statistics
import typing as t
from urllib.parse import urlsplit

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import parse_time, seconds_between
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import SCHEMA as DIAGNOSIS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import SEVERITIES
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import ORDER
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import VERDICTS

Data = dict[str, t.Any]
Key = tuple[str, str]
"""Of a node: its cluster and its name."""

SCHEMA = "kubecare.kubelet_certs/audit/1"
CERTIFICATES = ("client", "serving")
JUDGED = tuple(severity for severity in SEVERITIES if severity != "info")
"""The severities that make a verdict."""
ROLES = ("primary", "contributing", "symptom")
NOT_ASKED = "not_asked"
NOT_LISTED = "not_listed"
"""Why a node is not in a diagnosis, though it may be in the cluster: the audit was limited, or the API server listed no nodes."""
_MAX_TEXT = 500


class MalformedError(ValueError):
    """A value is no diagnosis, or none of the history's files; the message says what is wrong."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """What is taken of one diagnosis.

    ``nodes`` as above, ``unjudged``: of each node the rules that lacked evidence, ``gaps``: how many things of the cluster were not seen,
    ``listed``: the API server said which nodes there are, ``limited``: only those of some hosts were asked.
    """

    cluster: str
    time: str
    nodes: list[Data]
    unjudged: dict[Key, frozenset[str]]
    gaps: int
    listed: bool
    limited: bool

    @property
    def complete(self) -> bool:
        """Whether a node that is not there has left."""
        return self.listed and not self.limited


def judged(diagnosis: t.Any, cluster: str | None = None) -> Judged:
    """What is taken of a diagnosis (``docs/diagnosis.md``).

    Args:
        diagnosis: the diagnosis.
        cluster: the name of its cluster; by default its own, else the API server's host and port, else none.
    Raises:
        MalformedError: it is no diagnosis.
    """
    if not isinstance(diagnosis, dict) or diagnosis.get("schema") != DIAGNOSIS:
        raise MalformedError(f"it is not of the schema {DIAGNOSIS}")
    time = _time(diagnosis.get("now"))
    if time is None or not isinstance(diagnosis.get("nodes"), list):
        raise MalformedError("it has no time or no list of nodes")
    name = cluster or _cluster_name(diagnosis) or ""
    nodes: list[Data] = []
    unjudged: dict[Key, frozenset[str]] = {}
    for item in diagnosis["nodes"]:
        if not _text(_mapping(item).get("name")):
            raise MalformedError("one of its nodes has no name")
        verdict = _choice(item.get("verdict"), VERDICTS) or "unknown"
        gap = next((gap for gap in _mappings(item.get("missing")) if gap.get("subject") == "node"), None)
        node: Data = {
            "cluster": name,
            "name": _text(item["name"]),
            "pool": _text(item.get("pool")),
            "verdict": verdict,
            "seen": gap is None,
            "why": (_text(gap.get("reason")) or "error") if gap else None,
            "known": None if verdict == "unknown" else {"verdict": verdict, "time": time},
            "findings": _findings(item.get("findings"), time),
            "certificates": {kind: _validity(item.get("certificates"), kind) for kind in CERTIFICATES},
        }
        nodes.append(node)
        unjudged[name, node["name"]] = frozenset(str(skipped.get("rule")) for skipped in _mappings(item.get("skipped")))
    gaps = _mappings(_mapping(diagnosis.get("cluster")).get("not_seen"))
    listed = not {str(gap.get("subject")) for gap in gaps} & {"node_info", "node_info.nodes"}
    return Judged(name, time, nodes, unjudged, len(gaps), listed, limited=diagnosis.get("only_hosts") is True)


def _cluster_name(diagnosis: Data) -> str | None:
    cluster = _mapping(diagnosis.get("cluster"))
    url = _text(cluster.get("api_url"))
    try:
        return _text(cluster.get("name")) or (urlsplit(url).netloc.rpartition("@")[2] if url else None)
    except ValueError:
        return None


def audit_of(parts: t.Sequence[Judged], nodes: t.Sequence[Data]) -> Data:
    """The audit in a few numbers, for the trend: ``{schema, time, complete, clusters, verdicts, nodes, seen, gaps, pools}``.

    Args:
        parts: of each of its clusters; at least one.
        nodes: those of this audit, with those that were carried over from earlier ones.
    """
    time = max(part.time for part in parts)
    asked = [node for node in nodes if node["why"] != NOT_ASKED]
    return {
        "schema": SCHEMA,
        "time": time,
        "complete": all(part.complete for part in parts),
        "clusters": sorted(part.cluster for part in parts),
        "verdicts": {verdict: sum(node["verdict"] == verdict for node in asked) for verdict in VERDICTS},
        "nodes": len(asked),
        "seen": sum(node["seen"] for node in asked),
        "gaps": sum(part.gaps for part in parts),
        "pools": _pools(asked, time),
    }


def _pools(nodes: t.Sequence[Data], time: str) -> list[Data]:
    """Of each pool what is left of its nodes' client certificates, in seconds and as a share of their lifetime."""
    pools: dict[tuple[str, str | None], list[Data]] = {}
    for node in nodes:
        pools.setdefault((node["cluster"], node["pool"]), []).append(node)
    result = []
    for (cluster, name), members in sorted(pools.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        left = [
            (100 * seconds / seconds_between(validity["not_before"], validity["not_after"]), seconds, node["name"])
            for node in members
            if (validity := node["certificates"]["client"]) and validity["not_before"]
            for seconds in [seconds_between(time, validity["not_after"])]
        ]
        least = min(left, default=None)
        result.append(
            {
                "cluster": cluster,
                "pool": name,
                "nodes": len(members),
                "known": len(left),
                "least_percent": round(least[0], 1) if least else None,
                "least_seconds": least[1] if least else None,
                "least_node": least[2] if least else None,
                "median_percent": round(statistics.median(item[0] for item in left), 1) if left else None,
            }
        )
    return result


def read_audit(value: t.Any) -> Data:
    """An ``audit.json`` of the history. Raises MalformedError."""
    _check_schema(value)
    pools = []
    for item in _mappings(value.get("pools")):
        numbers = ("nodes", "known", "least_percent", "least_seconds", "median_percent")
        texts = {key: _text(item.get(key)) for key in ("cluster", "pool", "least_node")}
        pools.append({**texts, "cluster": texts["cluster"] or "", **{key: _number(item.get(key)) for key in numbers}})
    clusters = [str(name) for name in value["clusters"]] if isinstance(value.get("clusters"), list) else []
    return {
        "time": value["time"],
        "complete": value.get("complete") is True,
        "gaps": _number(value.get("gaps")) or 0,
        "clusters": clusters,
        "pools": pools,
    }


def read_nodes(value: t.Any) -> list[Data]:
    """The nodes of a ``nodes.json`` of the history. Raises MalformedError."""
    _check_schema(value)
    if not isinstance(value.get("nodes"), list):
        raise MalformedError("it has no list of nodes")
    nodes = []
    for item in value["nodes"]:
        name = _text(_mapping(item).get("name"))
        if not name:
            raise MalformedError("one of its nodes has no name")
        known = _mapping(item.get("known"))
        verdict = _choice(known.get("verdict"), VERDICTS)
        nodes.append(
            {
                "cluster": _text(item.get("cluster")) or "",
                "name": name,
                "pool": _text(item.get("pool")),
                "verdict": _choice(item.get("verdict"), VERDICTS) or "unknown",
                "seen": item.get("seen") is True,
                "why": _text(item.get("why")),
                "known": {"verdict": verdict, "time": _time(known.get("time"))} if verdict else None,
                "findings": _findings(item.get("findings"), None),
                "certificates": {name: _validity(item.get("certificates"), name) for name in CERTIFICATES},
            }
        )
    return nodes


def _check_schema(value: t.Any) -> None:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise MalformedError(f"it is not of the schema {SCHEMA}")
    if _time(value.get("time")) is None:
        raise MalformedError("it has no time")


def _findings(value: t.Any, time: str | None) -> list[Data]:
    """``time``: of the audit that judged them; None: each says it itself."""
    return [
        {
            "rule": _text(item["rule"]),
            "title": _text(item.get("title")) or _text(item["rule"]),
            "stage": _choice(item.get("stage"), tuple(ORDER)),
            "severity": item["severity"],
            "role": _choice(item.get("role"), ROLES) or "contributing",
            "as_of": time or _time(item.get("as_of")),
            "stands": time is None and item.get("stands") is True,
        }
        for item in _mappings(value)
        if _text(item.get("rule")) and _choice(item.get("severity"), JUDGED)
    ]


def _validity(certificates: t.Any, name: str) -> Data | None:
    """``{not_before, not_after}``, the former null where it is unknown or makes no sense; None where the end is unknown."""
    record = _mapping(_mapping(certificates).get(name))
    start, end = _time(record.get("not_before")), _time(record.get("not_after"))
    if end is None:
        return None
    return {"not_before": start if start and seconds_between(start, end) > 0 else None, "not_after": end}


def _time(value: t.Any) -> str | None:
    try:
        parse_time(value)
    except (ValueError, AttributeError, TypeError):
        return None
    return t.cast("str", value)


def _text(value: t.Any) -> str | None:
    return value[:_MAX_TEXT] or None if isinstance(value, str) else None


def _number(value: t.Any) -> float | None:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12
    return t.cast("float", value) if fine else None


def _choice(value: t.Any, allowed: t.Sequence[str]) -> str | None:
    return value if isinstance(value, str) and value in allowed else None


def _mapping(value: t.Any) -> Data:
    return value if isinstance(value, dict) else {}


def _mappings(value: t.Any) -> list[Data]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
