# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis of the lab says, against what was injected. Problems are sentences that begin with the machine's name."""

from __future__ import annotations

import typing as t

from .cases import HEALTHY, Case
from .settings import Json

Placed = t.Sequence[tuple[Case, str]]


def primary(node: Json) -> str | None:
    return node["primary"]["rule"] if node.get("primary") else None


def by_name(diagnosis: Json) -> dict[str, Json]:
    return {entry["name"]: entry for entry in diagnosis["nodes"]}


def found(node: Json) -> Json:
    """What was said of one node, for the results."""
    return {
        "verdict": node.get("verdict"),
        "first_broken_stage": node.get("first_broken_stage"),
        "primary": primary(node),
        "findings": [
            {key: finding[key] for key in ("rule", "stage", "role", "severity", "explained_by")}
            for finding in node.get("findings", ())
        ],
    }


def problems_of_case(diagnosis: Json, case: Case, name: str) -> list[str]:
    """What is said of the case's own node and differs from what was expected."""
    node = by_name(diagnosis).get(name)
    if node is None:
        return [f"{name}: not in the diagnosis"]
    expect, problems = case.expect, []
    findings = {finding["rule"]: finding for finding in node["findings"]}
    if primary(node) != case.rule:
        problems.append(f"{name}: primary cause is {primary(node)}, expected {case.rule} (found {_roles(findings)})")
    if expect.verdicts and node["verdict"] not in expect.verdicts:
        problems.append(f"{name}: verdict is {node['verdict']}, expected {' or '.join(expect.verdicts)}")
    if node["first_broken_stage"] != expect.stage:
        problems.append(f"{name}: first broken stage is {node['first_broken_stage']}, expected {expect.stage}")
    reasons = {gap["reason"] for gap in (*node["missing"], *diagnosis["cluster"]["not_seen"])}
    if expect.not_seen and expect.not_seen not in reasons:
        problems.append(f"{name}: nothing is said to be not seen because {expect.not_seen}, only {reasons}")
    changes = [change["kind"] for change in node["changes_before_failure"]]
    if expect.change and changes[:1] != [expect.change]:
        problems.append(f"{name}: the change ranked first is none of {expect.change}: {changes}")
    if expect.distribution and node["distribution"]["name"] != expect.distribution:
        problems.append(f"{name}: recognised as {node['distribution']['name']}, expected {expect.distribution}")
    for rule in expect.contributing:
        if findings.get(rule, {}).get("role") != "contributing":
            problems.append(f"{name}: {rule} is not a cause of its own (found {_roles(findings)})")
    for rule, behind in expect.symptoms.items():
        if behind not in findings.get(rule, {}).get("explained_by", ()):
            problems.append(f"{name}: {rule} is not explained by {behind} (found {_roles(findings)})")
    if case.kind == HEALTHY:
        problems += _false_findings(name, node, expect.allow)
    return problems


def problems_of_others(diagnosis: Json, placed: Placed, machines: t.Sequence[str]) -> list[str]:
    """What is said of machines that nothing was injected on, and of the fleet as a whole; and what the audit identity may not see."""
    nodes = by_name(diagnosis)
    problems = [
        f"the cluster's {gap['subject']} was not seen: {gap['reason']}"
        for gap in diagnosis["cluster"]["not_seen"]
        if gap["reason"] in ("forbidden", "unauthorized")
    ]
    at = {name for _case, name in placed}
    for name in machines:
        if name in at:
            continue
        if name not in nodes:
            problems.append(f"{name}: not in the diagnosis")
            continue
        node = nodes[name]
        rules = [finding["rule"] for finding in node["findings"]]
        allowed = set.union(set(), *(case.rules_of_others for case, _node in placed))
        if all(case.kind == HEALTHY for case, _node in placed):
            problems += _false_findings(name, node, ())
        elif all(case.expect.others == HEALTHY for case, _node in placed):
            if node["verdict"] != HEALTHY or primary(node):
                problems.append(f"{name}: verdict is {node['verdict']} ({rules}), and it has nothing to do with this")
        elif primary(node) not in allowed:
            problems.append(f"{name}: primary cause is {primary(node)}, expected one of {allowed}")
    clusters = {cause["rule"]: set(cause["nodes"]) for cause in diagnosis["fleet"]["causes"]}
    for case, name in placed:
        if case.rule and primary(nodes.get(name, {})) == case.rule and name not in clusters.get(case.rule, set()):
            problems.append(f"{name}: the fleet view does not list it under {case.rule}, only {clusters}")
    return problems


def findings_of_healthy(diagnosis: Json, placed: Placed) -> list[Json]:
    """Every finding, of whatever severity, where nothing is wrong on any node: all of them false but those a case allows."""
    if not all(case.kind == HEALTHY for case, _node in placed):
        return []
    allowed = {(name, rule) for case, name in placed for rule in case.expect.allow}
    return [
        {"node": node["name"], "rule": finding["rule"]}
        for node in diagnosis["nodes"]
        for finding in node["findings"]
        if (node["name"], finding["rule"]) not in allowed
    ]


def predictions(diagnosis: Json, placed: Placed, machines: t.Sequence[str]) -> list[Json]:
    """Expected and found primary cause of each node; those for which more than one answer would be right are left out."""
    nodes, at = by_name(diagnosis), {name: case for case, name in placed}
    counted = [name for name in machines if name in at or all(c.expect.others == HEALTHY for c, _name in placed)]
    return [
        {
            "case": at[name].name if name in at else None,
            "node": name,
            "expected": at[name].rule if name in at else None,
            "found": primary(nodes.get(name, {})),
        }
        for name in counted
    ]


def _roles(findings: dict[str, Json]) -> dict[str, str]:
    return {rule: finding["role"] for rule, finding in findings.items()}


def _false_findings(name: str, node: Json, allowed: t.Sequence[str]) -> list[str]:
    wrong = [finding["rule"] for finding in node["findings"] if finding["rule"] not in allowed]
    return [f"{name}: is healthy, and {', '.join(wrong)} was found"] if wrong else []
