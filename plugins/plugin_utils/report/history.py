# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What ``history.json`` of a run folder says, for the console and the page: the changes since the last audit, and the trend.

The file may be hostile, as a diagnosis may: what ``read`` returns has every key, of the right type or null, and neutral texts.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.diff import CHANGES
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import VERDICTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import (
    Record,
    choice,
    mapping,
    mappings,
    number,
    text,
    texts,
    time,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import (
    clock,
    count,
    duration,
    shorten,
    width,
)

SCHEMA = "kubecare.kubelet_certs/history/1"
Line = list[tuple[str, str]]

_MAX_GROUPS = 4
_MAX_POOLS = 5
_BARS = "▁▂▃▄▅▆▇█"
_NAMED = 2


def read(value: t.Any) -> Record | None:
    """The history of a run with all keys; None when it is none of this version."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        return None
    trend = [_pool(item) for item in mappings(value.get("trend"))]
    several = len({pool["cluster"] for pool in trend}) > 1
    changes = {kind: _named_nodes(mapping(value.get("changes")).get(kind), several) for kind in CHANGES}
    verdicts = mapping(value.get("verdicts"))
    return {
        "time": time(value.get("time")),
        "since": time(value.get("since")),
        "complete": value.get("complete") is True,
        "verdicts": {verdict: number(verdicts.get(verdict), 0) for verdict in VERDICTS},
        "nodes": number(value.get("nodes"), 0),
        "gaps": number(value.get("gaps"), 0),
        "without_nodes": texts(value.get("without_nodes")),
        "new": _groups(changes["new"]),
        "resolved": _groups(changes["resolved"]),
        "worse": _steps(changes["worse"]),
        "unseen": _unseen(changes["unseen"]),
        "joined": [item["node"] for item in changes["joined"]],
        "gone": [item["node"] for item in changes["gone"]],
        "passed_over": [
            {"audit": text(item.get("audit"), 120), "why": text(item.get("why"), 300)}
            for item in mappings(value.get("passed_over"))
        ],
        "trend": trend,
    }


def _named_nodes(value: t.Any, several: bool) -> list[Record]:
    """The changes of one kind, each with the name of its node; of several clusters that begins with the cluster's."""
    return [
        {**item, "node": (text(item.get("cluster"), 63) + "/" if several else "") + text(item.get("node"), 253)}
        for item in mappings(value)
    ]


def _steps(items: list[Record]) -> list[Record]:
    """Nodes that got worse in the same way together: ``{before, after, nodes}``."""
    steps: dict[tuple[str, str], list[str]] = {}
    for item in items:
        before, after = (text(item.get(key), 20).replace("_", " ") for key in ("before", "after"))
        steps.setdefault((before, after), []).append(item["node"])
    return [{"before": before, "after": after, "nodes": nodes} for (before, after), nodes in steps.items()]


def _unseen(items: list[Record]) -> list[Record]:
    """Nodes that are not seen for the same reason together: ``{why, standing, nodes}``."""
    reasons: dict[str, Record] = {}
    for item in items:
        why = text(item.get("why"), 60)
        group = reasons.setdefault(why, {"why": why, "standing": 0, "nodes": []})
        group["standing"] += number(item.get("standing"), 0)
        group["nodes"].append(item["node"])
    return list(reasons.values())


def _groups(items: list[Record]) -> list[Record]:
    """Changes of one finding together: ``{rule, title, stage, severity, role, nodes}``; causes before symptoms, then most nodes first."""
    groups: dict[str, Record] = {}
    for item in items:
        rule = text(item.get("rule"), 120)
        group = groups.setdefault(
            rule,
            {
                "rule": rule,
                "title": text(item.get("title"), 300) or rule,
                "stage": text(item.get("stage"), 30),
                "severity": choice(item.get("severity"), ("critical", "warning"), "warning"),
                "symptom": True,
                "nodes": [],
            },
        )
        group["symptom"] = group["symptom"] and item.get("role") == "symptom"
        group["nodes"].append(item["node"])
    return sorted(groups.values(), key=lambda group: (group["symptom"], group["severity"], -len(group["nodes"])))


def _pool(item: Record) -> Record:
    points = [
        {"time": time(point.get("time")), **{key: number(point.get(key), None) for key in _SHARES}}
        for point in mappings(item.get("points"))
    ]
    return {
        "cluster": text(item.get("cluster"), 253),
        "pool": text(item.get("pool"), 120) or "no pool known",
        "nodes": number(item.get("nodes"), 0),
        "known": number(item.get("known"), 0),
        "least_seconds": number(item.get("least_seconds"), None),
        "least_node": text(item.get("least_node"), 253),
        "points": [point for point in points if point["time"]],
    }


_SHARES = ("least_percent", "median_percent")


def is_quiet(history: Record) -> bool:
    """Whether all nodes are healthy and nothing is new, resolved, worse or out of sight."""
    changed = any(history[kind] for kind in ("new", "resolved", "worse", "unseen", "without_nodes", "passed_over"))
    return history["nodes"] == history["verdicts"]["healthy"] > 0 and not changed


def line(history: Record) -> str:
    """An audit in one line: how the nodes stand, what changed, what has the least time left."""
    stand = [
        f"{history['verdicts'][verdict]} {verdict.replace('_', ' ')}"
        for verdict in VERDICTS
        if history["verdicts"][verdict]
    ]
    parts = [f"{count(history['nodes'], 'node')}: {', '.join(stand)}" if stand else "no node was judged"]
    parts += [f"no node of {name or 'the cluster'} was judged" for name in history["without_nodes"] if stand]
    parts.append(_changed(history))
    pool = next((pool for pool in history["trend"] if pool["least_seconds"] is not None), None)
    if pool:
        left = pool["least_seconds"]
        parts.append(f"least time left {duration(left)}" if left > 0 else f"a certificate ended {duration(left)} ago")
        parts[-1] += f" ({pool['least_node']}, {pool['pool']})"
    if history["gaps"]:
        parts.append(f"{count(history['gaps'], 'thing')} of the cluster not seen")
    return "; ".join(part for part in parts if part)


def _changed(history: Record) -> str:
    found = {
        kind: sum(len(group["nodes"]) for group in history[kind]) for kind in ("new", "resolved", "worse", "unseen")
    }
    counts = [
        words
        for number_of, words in (
            (found["new"], count(found["new"], "new finding")),
            (found["resolved"], f"{found['resolved']} resolved"),
            (found["worse"], f"{count(found['worse'], 'node')} worse"),
            (found["unseen"], f"{count(found['unseen'], 'node')} no longer seen"),
        )
        if number_of
    ]
    if history["since"] is None:
        return "the first audit"
    return f"{', '.join(counts) or 'nothing new'} since {clock(history['since'])}"


def lines(history: Record, columns: int) -> list[Line]:
    """What changed, and of each pool how much is left, as a table."""
    result: list[Line] = [[("Changes   ", "dim"), (shorten(_changed(history), columns - 10), "strong")]]
    for kind in ("new", "resolved"):
        causes = [group for group in history[kind] if not group["symptom"]] or history[kind]
        for group in causes[:_MAX_GROUPS]:
            style = "healthy" if kind == "resolved" else "failing" if group["severity"] == "critical" else "at_risk"
            result.append(_row(kind, style, group["title"], _named(group["nodes"]), columns))
        if len(causes) > _MAX_GROUPS:
            result.append(
                _row("", "dim", f"and {count(len(causes) - _MAX_GROUPS, 'more finding')} {kind}", "", columns)
            )
    for step in history["worse"][:_MAX_GROUPS]:
        result.append(_row("worse", "failing", f"{step['before']} → {step['after']}", _named(step["nodes"]), columns))
    for group in history["unseen"][:_MAX_GROUPS]:
        standing = f", {count(group['standing'], 'finding')} still stand" if group["standing"] else ""
        result.append(_row("unseen", "unknown", f"{group['why']}{standing}", _named(group["nodes"]), columns))
    for kind, word in (("joined", "new nodes"), ("gone", "nodes gone")):
        if history[kind] and history["since"]:
            result.append(_row("", "dim", word, _named(history[kind]), columns))
    for item in history["passed_over"][:2]:
        result.append(_row("", "unknown", f"audit {item['audit']} is passed over: {item['why']}", "", columns))
    return result + _table(history["trend"], columns)


def _row(label: str, style: str, what: str, who: str, columns: int) -> Line:
    who = shorten(who, columns // 3)
    what = shorten(what, columns - 10 - (width(who) + 3 if who else 0))
    return [(f" {label:<9}", style), (what, "plain"), (f"   {who}" if who else "", "dim")]


def _named(nodes: list[str]) -> str:
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return ", ".join(nodes[:_NAMED]) + more


def _table(trend: list[Record], columns: int) -> list[Line]:
    """A line a pool: what is left on the node with the least, and how that was in the audits before, oldest first."""
    if not trend:
        return []
    several = len({pool["cluster"] for pool in trend}) > 1
    names = [f"{pool['cluster']} {pool['pool']}" if several else pool["pool"] for pool in trend[:_MAX_POOLS]]
    room = min(max(map(width, names)), columns - 60)
    result: list[Line] = [[("Time left ", "dim"), (f"{'pool':<{room}}  nodes  least of lifetime  before", "dim")]]
    for name, pool in zip(names, trend, strict=False):
        shown, now = shorten(name, room), pool["points"][-1]["least_percent"] if pool["points"] else None
        left = pool["least_seconds"]
        words = "unknown" if left is None else duration(left) if left > 0 else "ended"
        share = "" if now is None else f"{max(now, 0):.0f}%"
        style = "plain" if now is None or now > 10 else "at_risk" if now > 0 else "expired"
        bars = "".join(_bar(point["least_percent"]) for point in pool["points"][-20:])
        result.append(
            [
                (" " * 10 + shown + " " * (room - width(shown)), "plain"),
                (f"  {pool['nodes']:>5}", "plain"),
                (f"  {words:<9} {share:>4}", style),
                (f"     {bars}", "dim"),
            ]
        )
    if len(trend) > _MAX_POOLS:
        result.append([(f"          and {count(len(trend) - _MAX_POOLS, 'more pool')}: see the report", "dim")])
    return result


def _bar(percent: float | None) -> str:
    """A block as high as what is left; a dot where it is unknown."""
    return "·" if percent is None else _BARS[min(7, max(0, int(percent * 8 / 100)))]
