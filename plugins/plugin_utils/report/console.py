# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The summary that fits one screen: what is wrong, the proof, the next step, for the worst nodes first.

Lines are lists of ``(text, style)`` pieces, so that the caller decides about colour and the width is counted on the
text. A command is shown whole or not at all: a shortened one could be pasted.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import STAGES, VERDICTS, read
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import (
    ago,
    clock,
    count,
    duration,
    moment,
    shorten,
    width,
    wrap,
)

Piece = tuple[str, str]
Line = list[Piece]

STYLES = ("plain", "dim", "strong", *VERDICTS)
WORDS = {"expired": "EXPIRED", "failing": "FAILING", "at_risk": "AT RISK", "unknown": "UNKNOWN", "healthy": "healthy"}
_MARKS = {"expired": "✖", "failing": "✖", "at_risk": "▲", "unknown": "?", "healthy": "✔"}
_MAX_CAUSES = 4
_MAX_COMMAND_ROWS = 4
_MAX_BESIDES = 2


def render(diagnosis: t.Any, report: str | None = None, columns: int = 80, rows: int = 24) -> list[Line]:
    """The summary of a diagnosis in at most ``rows`` lines of ``columns`` (a long command may wrap within that count).

    Args:
        diagnosis: as ``docs/diagnosis.md`` has it.
        report: path of the HTML report to point at.
    Raises:
        MalformedDiagnosisError: see ``_model.read``.
    """
    model = read(diagnosis)
    head = _header(model, columns)
    tail = _healthy(model, columns) + _causes(model, columns) + _not_seen(model, columns)
    if report:
        tail.append([("Report    ", "dim"), (report, "strong")])
    room = rows - _height(head, columns) - _height(tail, columns) - 1
    return head + _attention(model, columns, max(room, 2)) + tail


def plain(lines: list[Line]) -> str:
    """The lines as one text without styles."""
    return "\n".join("".join(text for text, _style in line) for line in lines)


def _header(model: Record, columns: int) -> list[Line]:
    cluster = model["cluster"]
    parts = [
        "API SERVER UNREACHABLE" if cluster["reachable"] is False else "",
        shorten(cluster["version"], 20) or ("" if cluster["reachable"] is False else "version unknown"),
        f"{clock(model['now'])} UTC" if model["now"] else "time unknown",
    ]
    rest = "   ".join(part for part in parts if part)
    address = cluster["api_url"].removeprefix("https://") or "unknown"
    name = shorten(f"{cluster['name']}: {address}" if cluster["name"] else address, columns - width(rest) - 13)
    return [
        [("Cluster   ", "dim"), (name, "strong"), (f"   {rest}", "plain")],
        counts(model["verdicts"], columns),
    ]


def counts(verdicts: t.Mapping[str, int], columns: int) -> Line:
    """How many nodes there are, and how many of each verdict."""
    line: Line = [("Nodes     ", "dim"), (f"{sum(verdicts.values())}:", "strong")]
    for verdict in VERDICTS:
        if number := verdicts[verdict]:
            line.append((f"  {_MARKS[verdict]} {number} {WORDS[verdict].lower()}", verdict))
    if len(line) == 2:
        return [("Nodes     none", "unknown")]
    if _height([line], columns) > 1:
        return [("Nodes ", "dim"), *((text.replace("  ", " ", 1), style) for text, style in line[1:])]
    return line


def _attention(model: Record, columns: int, room: int) -> list[Line]:
    """What needs attention, worst verdict first, nodes of one cause together.

    Every group gets one line; as room allows the groups with the most expired or failing nodes, then the others, are
    told in full. Groups that have no line are counted.
    """
    groups = _groups(model["nodes"])
    if not groups:
        return [[]]
    left = room
    shown = groups if len(groups) <= left else groups[: left - 1]
    blocks = [[_brief(group, columns)] for group in shown]
    left -= len(shown) + (len(shown) < len(groups))
    urgent = sorted(
        range(len(shown)),
        key=lambda index: (shown[index][0]["verdict"] not in ("expired", "failing"), -len(shown[index])),
    )
    told: set[str] = set()
    for index in urgent:
        finding = shown[index][0]["primary"]
        block = _block(model, shown[index], columns, besides=True)
        if _height(block, columns) - 1 > left:
            block = _block(model, shown[index], columns, besides=False)
        need = _height(block, columns) - 1
        new = finding is None or finding["rule"] not in told
        if new and (need <= left or len(shown) == 1):
            blocks[index] = block
            left -= need
            told.add(finding["rule"] if finding else "")
    lines: list[Line] = []
    for index, block in enumerate(blocks):
        if index and left > 0 and (len(block) > 1 or len(blocks[index - 1]) > 1):
            lines.append([])
            left -= 1
        lines += block
    if len(shown) < len(groups):
        lines.append([(f"  … and {count(sum(map(len, groups[len(shown) :])), 'more node')}: see the report", "strong")])
    return [[], *lines, []] if left > 0 else [[], *lines]


def _groups(nodes: list[Record]) -> list[list[Record]]:
    """Nodes that need attention, by verdict and cause (or, without a cause, words): worst, then largest first; the most urgent node leads."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for node in nodes:
        if node["verdict"] != "healthy":
            what = node["primary"]["rule"] if node["primary"] else node["summary"].replace(node["name"], "")
            groups.setdefault((node["verdict"], what), []).append(node)
    for group in groups.values():
        group.sort(key=_left)
    return sorted(groups.values(), key=lambda group: (VERDICTS.index(group[0]["verdict"]), -len(group)))


def _left(node: Record) -> float:
    """Seconds until the client certificate ends; a node for which they are unknown comes last."""
    client = node["certificates"]["client"]
    return float("inf") if client is None or client["seconds_left"] is None else float(client["seconds_left"])


def _block(model: Record, nodes: list[Record], columns: int, besides: bool) -> list[Line]:
    node, now = nodes[0], moment(model["now"])
    lines = [_title(node, now, columns)]
    finding = node["primary"]
    if finding is None:
        lines += _field("why", node["summary"] or "no finding", columns, 2)
        if node["missing"]:
            item = node["missing"][0]
            more = f" (and {len(node['missing']) - 1} more)" if len(node["missing"]) > 1 else ""
            lines += _field("unseen", f"{item['subject']}: {item['reason']}{more} {item['message']}", columns, 1)
    else:
        lines += _field("cause", finding["title"], columns, 2, "strong")
        lines += _proof(finding, now, columns)
        if node["changes"]:
            change = node["changes"][0]
            when = f"{clock(change['time'], now)} " if change["time"] else ""
            why = f" ({change['mechanism']})" if change["mechanism"] else ""
            lines += _field("before", when + change["text"] + why, columns, 1)
        lines += _next(finding, columns)
        lines += _besides(node, now, columns) if besides else []
    if len(nodes) > 1:
        lines += _field("also", _names(nodes[1:], columns - 10), columns, 1)
    return lines


def _proof(finding: Record, now: t.Any, columns: int) -> list[Line]:
    """The first proof, quoted, with where and when it was seen."""
    lines: list[Line] = []
    for proof in finding["evidence"][:1]:
        origin = ", ".join(
            part for part in (proof["source"], clock(proof["time"], now) if proof["time"] else "") if part
        )
        lines += _field("proof", '"' + proof["text"] + '"', columns, 2)
        if origin and sum(width(text) for text, _style in lines[-1]) + width(origin) + 4 <= columns:
            lines[-1].append((f"  [{origin}]", "dim"))
        elif origin:
            lines += _field("", shorten(f"[{origin}]", columns - 10), columns, 1, "dim")
    return lines


def _besides(node: Record, now: t.Any, columns: int) -> list[Line]:
    """What is broken as well, and explained by nothing that was found: healing the primary cause leaves it."""
    others = [
        finding for finding in node["findings"] if finding["role"] == "contributing" and finding["severity"] != "info"
    ]
    lines: list[Line] = []
    for finding in others[:_MAX_BESIDES]:
        lines += _field("besides", finding["title"], columns, 1, "strong")
        lines += _proof(finding, now, columns)
        lines += _next(finding, columns)
    if len(others) > _MAX_BESIDES:
        rest = count(len(others) - _MAX_BESIDES, "more finding")
        lines += _field("besides", f"{rest}: see the report", columns, 1)
    return lines


def _next(finding: Record, columns: int) -> list[Line]:
    steps = finding["fix"]["steps"]
    if not steps:
        return []
    step = steps[0]
    lines = _field("next", step["text"] + (f" (step 1 of {len(steps)})" if len(steps) > 1 else ""), columns, 2)
    command = step["command"]
    if command:
        if "\n" in command or width(command) + 12 > columns * _MAX_COMMAND_ROWS:
            lines.append([("          ", "plain"), ("(a long command: copy it from the report)", "dim")])
        else:
            lines.append([("          $ ", "dim"), (command, "strong")])
    return lines


def _brief(nodes: list[Record], columns: int) -> Line:
    node = nodes[0]
    what = node["primary"]["title"] if node["primary"] else node["summary"]
    more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
    word = f"  {WORDS[node['verdict']]}"
    name = shorten(node["name"], 30) + more
    return [
        (f"{_MARKS[node['verdict']]} ", node["verdict"]),
        (name, "strong"),
        (word, node["verdict"]),
        ("   " + shorten(what, columns - width(name) - len(word) - 5), "plain"),
    ]


def _title(node: Record, now: t.Any, columns: int) -> Line:
    verdict = node["verdict"]
    parts = []
    if node["first_broken_stage"]:
        parts.append(f"stage {STAGES.index(node['first_broken_stage']) + 1}/9 {node['first_broken_stage']}")
    if node["first_failure"]:
        parts.append(
            f"since {clock(node['first_failure'], now)}" + (f" ({ago(node['first_failure'], now)})" if now else "")
        )
    client = node["certificates"]["client"]
    if client and client["seconds_left"] is not None:
        left = client["seconds_left"]
        parts.append(f"{duration(left)} left" if left > 0 else f"certificate ended {duration(left)} ago")
    opens = node["foresight"]["rotation_opens_in_seconds"] if node["foresight"] else None
    if verdict == "at_risk" and opens is not None:
        parts.append(f"next rotation from {duration(opens)} on" if opens > 0 else "rotation is due")
    lead = f"  {WORDS[verdict]}   "
    name = shorten(node["name"], columns - 2 - len(lead))
    while parts and 2 + width(name) + len(lead) + width(" · ".join(parts)) > columns:
        parts.pop()
    return [
        (f"{_MARKS[verdict]} ", verdict),
        (name, "strong"),
        (lead.rstrip() if not parts else lead, verdict),
        (" · ".join(parts), "plain"),
    ]


def _healthy(model: Record, columns: int) -> list[Line]:
    """All healthy nodes in one line, with the rotation window that opens first."""
    nodes = [node for node in model["nodes"] if node["verdict"] == "healthy"]
    if not nodes:
        return []
    windows = [
        (start, moment(cert["rotation_until"]), node["name"])
        for node in nodes
        if (cert := node["certificates"]["client"]) and (start := moment(cert["rotation_from"]))
    ]
    rest = ""
    if windows:
        start, end, name = min(windows, key=lambda item: item[0])
        form = "%Y-%m-%d" if end and (end - start).days > 2 else "%Y-%m-%d %H:%M"
        rest = f"   next rotation {start.strftime(form)}{f' to {end.strftime(form)}' if end else ''}"
        rest += f" ({name})" if len(nodes) > 1 else ""
    text = f"✔ {len(nodes)} healthy"
    if len(nodes) <= 5 and (room := columns - width(text + rest) - 2) > 20:
        rest = f": {_names(nodes, room)}{rest}"
    return [[(text, "healthy"), (shorten(rest, columns - width(text)), "plain")]]


def _causes(model: Record, columns: int) -> list[Line]:
    causes = model["causes"]
    if sum(cause["count"] for cause in causes) < 2:
        return []
    lines: list[Line] = []
    for index, cause in enumerate(causes[:_MAX_CAUSES]):
        kind = "failing" if cause["of"] <= model["verdicts"]["failing"] + model["verdicts"]["expired"] else "affected"
        lead = f"{cause['count']} of {cause['of']} {kind} {'node' if cause['of'] == 1 else 'nodes'}: "
        left = cause["least_seconds_left"]
        time = "" if left is None else f" ({duration(left)} left)" if left > 0 else f" (ended {duration(left)} ago)"
        label = "Causes    " if not index else " " * 10
        title = shorten(cause["title"], columns - len(label) - width(lead) - width(time))
        lines.append([(label, "dim"), (lead, "strong"), (title, "plain"), (time, "dim")])
    if len(causes) > _MAX_CAUSES:
        lines.append([(f"          and {count(len(causes) - _MAX_CAUSES, 'more cause')}: see the report", "dim")])
    return lines


def _not_seen(model: Record, columns: int) -> list[Line]:
    parts = [f"{subject}: {reason} ({where})" for (subject, reason), where in not_seen_groups(model)]
    for key, text in (
        ("unmatched_hosts", "matched to no node"),
        ("nodes_without_host", "without a host"),
        ("duplicate_hosts", "with two hosts"),
    ):
        if model[key]:
            parts.append(f"{count(len(model[key]), 'host' if key == 'unmatched_hosts' else 'node')} {text}")
    rows = wrap("; ".join(parts), columns - 10, 2)
    return [[("Not seen  " if not index else " " * 10, "dim"), (row, "plain")] for index, row in enumerate(rows)]


def not_seen_groups(model: Record) -> list[tuple[tuple[str, str], str]]:
    """What was not seen and where, the cluster's first, then the most frequent.

    Returns: pairs of ``(subject, reason)`` and ``cluster``, ``3 nodes`` or the one node's name.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for node in model["nodes"]:
        for key in dict.fromkeys((item["subject"], item["reason"]) for item in node["missing"]):
            groups.setdefault(key, []).append(node["name"])
    cluster = list(dict.fromkeys((item["subject"], item["reason"]) for item in model["cluster"]["not_seen"]))
    ranked = sorted(
        ((key, names) for key, names in groups.items() if key not in cluster), key=lambda item: -len(item[1])
    )
    return [(key, "cluster") for key in cluster] + [
        (key, names[0] if len(names) == 1 else f"{len(names)} nodes") for key, names in ranked
    ]


def _names(nodes: list[Record], columns: int) -> str:
    """As many names as fit, then how many more there are."""
    text = ""
    for index, node in enumerate(nodes):
        rest = len(nodes) - index - 1
        longer = f"{text}, {node['name']}" if text else shorten(node["name"], columns - 12)
        if width(longer) + (len(f" and {rest} more") if rest else 0) > columns:
            return f"{text} and {rest + 1} more"
        text = longer
    return text


def _field(label: str, text: str, columns: int, rows: int, style: str = "plain") -> list[Line]:
    return [
        [(f"  {label if not index else '':<8}", "dim"), (row, style)]
        for index, row in enumerate(wrap(text, columns - 10, rows))
    ]


def _height(lines: list[Line], columns: int) -> int:
    return sum(max(1, -(-width("".join(text for text, _style in line)) // columns)) for line in lines)
