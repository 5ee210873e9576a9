# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A plan and what became of it, as lines for the console. Every text is made neutral: no terminal obeys what is in it."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import neutral

MAX_NODES = 8


def plan_lines(plan: Data) -> list[str]:
    """What would be done, in order, then what no task does."""
    steps, procedures = plan["steps"], plan["procedures"]
    url, seen = dig(plan, "cluster", "api_url") or "unknown API server", plan["evidence_at"]
    lines = [f"Plan for {url}: {_count(steps, 'step')}, {_count(procedures, 'procedure')}; evidence of {seen}"]
    for number, step in enumerate(steps, 1):
        lines += ["", f"{number}. {step['title']}" + (f" on {step['node']}" if step["node"] else ""), *_step(step)]
    for procedure in procedures:
        lines += ["", f"By hand: {procedure['title']} ({procedure['rule']})"]
        lines += [f"   nodes    {_nodes(procedure['nodes'])}", f"   risk     {procedure['risk']}"]
        lines += [f"   why      {procedure['why']}"]
        for step in procedure["steps"]:
            lines.append(f"   -        {step['text']}")
            lines += [f"            $ {line}" for line in (step["command"] or "").splitlines()]
    return [neutral(line, 600) if not line.startswith(" ") else _indented(line) for line in lines]


def result_lines(results: t.Iterable[Data]) -> list[str]:
    """One line a step: status, step, what changed; ``results`` are ``{step, status, message, changed}``."""
    rows = [
        (neutral(item.get("status"), 20), neutral(item.get("step"), 100), neutral(item.get("message"), 300))
        for item in results
    ]
    if not rows:
        return ["Nothing was done."]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{status:<{widths[0]}}  {step:<{widths[1]}}  {message}" for status, step, message in rows]


def _step(step: Data) -> list[str]:
    rules = sorted({answer["rule"] for answer in step["answers"]})
    nodes = sorted({answer["node"] for answer in step["answers"]})
    lines = [f"   answers  {', '.join(rules)} of {_nodes(nodes)}", f"   risk     {step['risk']}"]
    for label, key in (("changes", "changes"), ("equals", "commands"), ("needs", "needs")):
        for index, text in enumerate(step[key]):
            mark = "$ " if key == "commands" and not text.startswith("#") else ""
            lines.append(f"   {label if index == 0 else '':<8} {mark}{text}")
    return [*lines, f"   check    {step['verified_by']}"]


def _indented(line: str) -> str:
    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + neutral(text, 600)


def _nodes(names: t.Sequence[str]) -> str:
    rest = len(names) - MAX_NODES
    return ", ".join(names[:MAX_NODES]) + (f" and {rest} more" if rest > 0 else "")


def _count(items: t.Sized, word: str) -> str:
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'}"
