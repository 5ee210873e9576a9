# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The report as one self-contained HTML page.

Everything that is shown was made neutral by ``_model.read`` and is escaped by Jinja2. The page loads nothing, and its
Content-Security-Policy allows only its own style sheet and its own script, each by hash: a text that got through both
would still not run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import typing as t
from pathlib import Path

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import _text, _unseen, trend
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import (
    STAGES,
    STATES,
    VERDICTS,
    read,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report.console import not_seen_groups
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report.timeline import pictures
from jinja2 import Environment, FileSystemLoader, StrictUndefined

MAX_SECTIONS = 120
"""Nodes told in full; beyond them the table has one line a node."""
PER_CAUSE = 10
"""Of these, nodes with the same cause."""
SMALL_FLEET = 10
"""In a fleet this small healthy nodes are told in full too."""

VERDICT_WORDS = {
    "expired": "expired",
    "failing": "failing",
    "at_risk": "at risk",
    "unknown": "unknown",
    "healthy": "healthy",
}
STATE_WORDS = {
    "ok": "ok",
    "broken": "broken",
    "at_risk": "at risk",
    "affected": "affected",
    "unknown": "unknown",
    "waiting": "waiting",
}

_TEMPLATES = Path(__file__).parent / "templates"
_LINK = re.compile(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~!$&()*+,;=:@%/?#-]*)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_MAX_DEPTH = 4


def render(diagnosis: t.Any, history: Record | None = None) -> str:
    """The page for a diagnosis (``docs/diagnosis.md``).

    Args:
        diagnosis: the diagnosis.
        history: the changes since the last audit and the trend, as ``history.read`` gives them.
    Raises:
        MalformedDiagnosisError: see ``_model.read``.
    """
    return report(read(diagnosis), history)


def report(model: Record, history: Record | None = None) -> str:
    """The same for a diagnosis that ``_model`` has read."""
    advice = _unseen.ADVICE if any(map(_unseen.wants_root, model["nodes"])) else ""
    return page("report.html.j2", history, model=model, nodes=_nodes(model), not_seen=not_seen(model), advice=advice)


def page(template: str, history: Record | None = None, **values: t.Any) -> str:
    """A page by one of the templates, which also know verdicts, words, style sheet, script and policy, and the changes since the last audit."""
    names = ("report.css", "history.css", "report.js")
    css, own_css, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    css += own_css if history else ""
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            verdicts=VERDICTS,
            states=STATES,
            words={**STATE_WORDS, **VERDICT_WORDS},
            history=history,
            trend=trend.pictures(history["trend"]) if history else [],
            several=history is not None and len({pool["cluster"] for pool in history["trend"]}) > 1,
            geometry=trend,
            css=css,
            script=script,
            policy=policy(css, script),
        )
    )


@functools.cache
def _environment() -> Environment:
    """Made once, so that the templates are compiled once."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=_text.clock,
        ago=lambda value, now: _text.ago(value, _text.moment(now)),
        duration=_text.duration,
        day=_day,
        words=lambda value: re.findall(r"\S+|\s+", value),
        link=lambda value: value if _LINK.fullmatch(value) else "",
    )
    return environment


def policy(css: str, script: str) -> str:
    """The Content-Security-Policy: nothing but this style sheet and this script."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)
    )
    own = f"style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _day(value: str | None, record: Record) -> str:
    """A time of a certificate: the day is enough for one that lives for weeks."""
    start, end = _text.moment(record["not_before"]), _text.moment(record["not_after"])
    text = _text.clock(value)
    return text[:10] if start and end and (end - start).days > 14 else text


def _nodes(model: Record) -> list[Record]:
    """The nodes with what the page needs: an anchor, whether told in full, and then their tree, bars and pictures."""
    used: set[str] = set()
    per_cause: dict[tuple[str, str], int] = {}
    sections = 0
    small = len(model["nodes"]) <= SMALL_FLEET
    result = []
    for index, node in enumerate(model["nodes"]):
        anchor = f"node-{node['name']}" if _NAME.fullmatch(node["name"]) else f"node_{index}"
        if anchor in used:
            anchor = f"node_{index}"
        used.add(anchor)
        cause = (node["verdict"], node["primary"]["rule"] if node["primary"] else "")
        told = small or (
            (node["verdict"] != "healthy" or bool(node["findings"]))
            and sections < MAX_SECTIONS
            and per_cause.get(cause, 0) < PER_CAUSE
        )
        item = {**node, "anchor": anchor, "told": told, "unseen": _unseen.sentence(node)}
        if told:
            item.update(model["detail"](node))
            sections += 1
            per_cause[cause] = per_cause.get(cause, 0) + 1
            item["tree"] = _tree(node["findings"])
            item["pictures"] = pictures(item, model["now"])
            item["bars"] = [
                (name, _bar(record, model["now"])) for name, record in node["certificates"].items() if record
            ]
            item["stage_number"] = STAGES.index(node["first_broken_stage"]) + 1 if node["first_broken_stage"] else None
        result.append(item)
    return result


def _tree(findings: list[Record]) -> list[Record]:
    """Findings under the one that explains them, at most ``_MAX_DEPTH`` deep; each once, even if they form a circle."""
    by_rule = {item["rule"]: item for item in findings}
    children: dict[str, list[str]] = {}
    roots = []
    for rule, item in by_rule.items():
        parent = next((name for name in item["explained_by"] if name in by_rule and name != rule), None)
        if parent is None or item["role"] == "primary":
            roots.append(rule)
        else:
            children.setdefault(parent, []).append(rule)
    seen: set[str] = set()

    def grow(rule: str, depth: int) -> Record:
        seen.add(rule)
        below = [name for name in children.get(rule, ()) if name not in seen] if depth < _MAX_DEPTH else []
        return {**by_rule[rule], "children": [grow(name, depth + 1) for name in below if name not in seen]}

    tree = [grow(rule, 0) for rule in roots]
    for rule in by_rule:
        if rule not in seen:
            tree.append(grow(rule, 0))
    return tree


def _bar(record: Record, now_text: str | None) -> Record:
    """A certificate's lifetime in per mille of the bar: its end, the rotation window, now. Missing times give null."""
    times = {key: _text.moment(record[key]) for key in ("not_before", "not_after", "rotation_from", "rotation_until")}
    now, start, end = _text.moment(now_text), times["not_before"], times["not_after"]
    if start is None or end is None or end <= start:
        return {**record, "scale": None}
    stop = max(end, now) if now else end
    span = (stop - start).total_seconds()

    def at(when: t.Any) -> float | None:
        return None if when is None else round(1000 * max(0.0, min((when - start).total_seconds() / span, 1.0)), 1)

    state = (
        "ended"
        if now and now > end
        else "due"
        if now and times["rotation_from"] and now >= times["rotation_from"]
        else "good"
    )
    scale = {
        "end": at(end),
        "window_from": at(times["rotation_from"]),
        "window_until": at(times["rotation_until"]),
        "now": at(now),
    }
    return {**record, "scale": scale, "state": state}


def not_seen(model: Record) -> list[Record]:
    """What was not seen, grouped: subject, reason, where, one message."""
    messages: dict[tuple[str, str], str] = {}
    for source in (model["cluster"]["not_seen"], *(node["missing"] for node in model["nodes"])):
        for item in source:
            messages.setdefault((item["subject"], item["reason"]), item["message"])
    denied = dict.fromkeys(what for node in model["nodes"] for what in _unseen.denied(node))
    messages[_unseen.FOR_ROOT_ALONE, "not_permitted"] = ", ".join(denied)
    return [
        {"subject": key[0], "reason": key[1], "where": where, "message": messages[key]}
        for key, where in not_seen_groups(model)
    ]
