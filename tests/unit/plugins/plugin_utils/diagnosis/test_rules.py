# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule against its cases (``cases/<rule-id>.yml``): hit, near miss, evidence missing; and against hostile values."""

from __future__ import annotations

import copy
import json
import os
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import VERDICTS

from .evidence_builder import NODE, NOW, Data, changed, healthy

CASES_DIR = os.path.join(os.path.dirname(__file__), "cases")
RULES = {rule.id: rule for rule in built_in_rules()}


def _cases() -> list[tuple[str, Data]]:
    cases = []
    for name in sorted(os.listdir(CASES_DIR)):
        with open(os.path.join(CASES_DIR, name), encoding="utf-8") as stream:
            cases += [(name[: -len(".yml")], case) for case in yaml.safe_load(stream)]
    return cases


CASES = _cases()


def _node(evidence: Data, name: str = NODE) -> Data:
    diagnosis = diagnose(evidence, built_in_rules())
    return t.cast("Data", next(node for node in diagnosis["nodes"] if node["name"] == name))


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule}: {case['name']}" for rule, case in CASES])
def test_case(rule: str, case: Data) -> None:
    node = _node(changed(case))
    found = {finding["rule"]: finding for finding in node["findings"]}
    skipped = {entry["rule"]: entry for entry in node["skipped"]}
    expect = case["expect"]
    if expect == "absent":
        assert rule not in found and rule not in skipped
    elif expect == "skipped":
        assert skipped[rule]["missing"]
    else:
        assert rule in found, f"found only {sorted(found)}; skipped {skipped.get(rule)}"
        assert found[rule]["evidence"], "a finding without proof"
        if expect != "present":
            assert found[rule]["role"] == expect
        if expect == "primary":
            assert node["primary"]["rule"] == rule
    if "verdict" in case:
        assert node["verdict"] == case["verdict"]
    if "stage" in case:
        assert node["first_broken_stage"] == case["stage"]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_a_hit_a_near_miss_and_a_case_of_missing_evidence(rule: str) -> None:
    expectations = {case["expect"] for name, case in CASES if name == rule}
    assert expectations & {"primary", "symptom", "present"}
    assert {"absent", "skipped"} <= expectations


def test_every_case_file_is_of_a_rule() -> None:
    assert {name for name, _case in CASES} == set(RULES)


HOSTILE = (
    "{{ lookup('pipe', 'id') }}",
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m\x00\u202e",
    "'; rm -rf / #",
    "x" * 5000,
)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule}: {case['name']}" for rule, case in CASES])
def test_hostile_text_is_quoted_and_never_evaluated(rule: str, case: Data, hostile: str) -> None:
    evidence = changed(case)
    for request in evidence["cluster"]["csr_info"]["csrs"] or ():
        request.update(name=hostile, requestor=hostile)
    log = evidence["nodes"].get(NODE, {}).get("log")
    for entry in log["entries"] if log else ():
        entry["message"] = hostile
    node = _node(evidence)
    for finding in node["findings"]:
        for step in finding["fix"]["steps"]:
            assert "; rm" not in (step["command"] or "").replace("''\"'\"'; rm -rf / #'", "")
    json.dumps(node)


def _leaves(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _leaves(item, (*path, key))


@pytest.mark.parametrize("junk", [None, "junk", [None], {"a": None}])
def test_malformed_evidence_never_raises_and_never_makes_a_node_healthy_that_lost_its_certificate(junk: t.Any) -> None:
    pristine = healthy()
    for path in list(_leaves(pristine)):
        evidence = copy.deepcopy(pristine)
        target: t.Any = evidence
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = junk
        diagnosis = diagnose(evidence, built_in_rules(), now=NOW)
        assert all(node["verdict"] in VERDICTS for node in diagnosis["nodes"]), path
        if path == ("nodes", NODE, "pki"):
            assert next(n for n in diagnosis["nodes"] if n["name"] == NODE)["verdict"] == "unknown"


def test_the_rules_explain_only_rules_that_exist_and_in_no_circle() -> None:
    for rule in RULES.values():
        assert set(rule.explains) <= set(RULES), rule.id
        assert {neighbour["rule"] for neighbour in rule.neighbours} <= set(RULES), rule.id
        seen, todo = set(), list(rule.explains)
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += RULES[other].explains
        if rule.id in seen:
            assert any(rule.id in RULES[other].explains for other in rule.explains), (
                f"a longer circle through {rule.id}"
            )
