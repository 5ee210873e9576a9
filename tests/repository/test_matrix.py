# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's matrix, without a lab: what shares a diagnosis, what its comparison notices, how it counts, and that its files are sound."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))

from kubelab import cases, judge, metrics  # noqa: E402
from kubelab.faults import Expectation, Fault  # noqa: E402
from kubelab.settings import LabError  # noqa: E402

RULES = set(metrics.rules())
CASES = cases.load_all()
COMPOUNDS = [case for case in CASES.values() if case.kind == "compound"]


def fault(name: str, rule: str | None = "disk-full", **values: t.Any) -> Fault:
    expect = Expectation(("healthy",) if rule is None else ("failing",), others=values.pop("others", "healthy"))
    return Fault(name, "", rule, values.pop("node", "node2"), expect, "true", "", "", **values)


def plan(*faults: Fault) -> list[list[str]]:
    return [batch.name.split("+") for batch in cases.plan(map(cases.of_fault, faults))]


def test_faults_of_one_node_share_a_diagnosis_three_at_a_time() -> None:
    assert plan(*map(fault, "abcd")) == [["a", "b", "c"], ["d"]]


def test_what_touches_the_cluster_runs_alone_and_first() -> None:
    assert plan(
        fault("a"), fault("b", others="affected"), fault("c", node="cp1"), fault("d", alone=True), fault("e")
    ) == [
        ["b"],
        ["c"],
        ["d"],
        ["a", "e"],
    ]


def test_healthy_cases_and_versions_keep_to_themselves() -> None:
    assert plan(fault("a"), fault("b", None), fault("c", kubernetes=">=1.36"), fault("d", None), fault("e")) == [
        ["a", "e"],
        ["b", "d"],
        ["c"],
    ]


def test_a_fault_is_not_twice_in_a_batch() -> None:
    both = cases.Case("both", "compound", "disk-full", (fault("a"), fault("b")), Expectation())
    assert [batch.name for batch in cases.plan([cases.of_fault(fault("a")), both])] == ["a", "both"]


@pytest.mark.parametrize(
    ("version", "constraint", "satisfied"),
    [
        ("v1.36.3", ">=1.36", True),
        ("v1.34.4", ">=1.36", False),
        ("v1.34.4", "<1.36", True),
        ("v1.9.0", ">=1.10", False),
        ("v1.9.0", "", True),
    ],
)
def test_versions(version: str, constraint: str, satisfied: bool) -> None:
    assert cases.satisfies(version, constraint) is satisfied


def test_a_constraint_that_says_nothing_is_refused() -> None:
    with pytest.raises(LabError, match=r">=1\.36"):
        cases.satisfies("v1.36.3", "1.36")


def node(name: str, primary: str | None = None, symptom: str | None = None) -> dict[str, t.Any]:
    findings = (
        [{"rule": primary, "stage": "storage", "role": "primary", "severity": "critical", "explained_by": []}]
        if primary
        else []
    )
    if symptom:
        findings.append(
            {"rule": symptom, "stage": "use", "role": "symptom", "severity": "critical", "explained_by": [primary]}
        )
    return {
        "name": name,
        "verdict": "failing" if primary else "healthy",
        "first_broken_stage": "storage" if primary else None,
        "primary": {"rule": primary} if primary else None,
        "findings": findings,
        "missing": [],
        "changes_before_failure": [],
    }


def diagnosis(*nodes: dict[str, t.Any]) -> dict[str, t.Any]:
    clusters: dict[str, list[str]] = {}
    for entry in nodes:
        if entry["primary"]:
            clusters.setdefault(entry["primary"]["rule"], []).append(entry["name"])
    causes = [{"rule": rule, "nodes": names} for rule, names in clusters.items()]
    return {"nodes": list(nodes), "cluster": {"not_seen": []}, "fleet": {"causes": causes}}


def test_what_is_as_expected_is_no_problem() -> None:
    expect = Expectation(("failing",), "storage", symptoms={"expired": "disk-full"})
    case = cases.Case("a", "compound", "disk-full", (), expect)
    assert judge.problems_of_case(diagnosis(node("node1", "disk-full", "expired")), case, "node1") == []


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        (Expectation(("expired",), "storage"), "verdict is failing"),
        (Expectation(("failing",), "use"), "first broken stage is storage"),
        (Expectation(("failing",), "storage", contributing=("expired",)), "not a cause of its own"),
        (Expectation(("failing",), "storage", symptoms={"expired": "denied"}), "not explained by denied"),
        (Expectation(("failing",), "storage", not_seen="forbidden"), "because forbidden"),
    ],
)
def test_what_differs_is_said(expect: Expectation, said: str) -> None:
    case = cases.Case("a", "compound", "disk-full", (), expect)
    problems = judge.problems_of_case(diagnosis(node("node1", "disk-full", "expired")), case, "node1")
    assert len(problems) == 1
    assert said in problems[0]


def test_a_finding_on_a_node_that_nothing_was_injected_on_is_said() -> None:
    placed = [(cases.of_fault(fault("a")), "node1")]
    found = diagnosis(node("node1", "disk-full"), node("node2", "denied"))
    assert len(judge.problems_of_others(found, placed, ["node1", "node2"])) == 1
    assert judge.problems_of_others(found, placed, ["node1"]) == []
    assert judge.predictions(found, placed, ["node1", "node2"]) == [
        {"case": "a", "node": "node1", "expected": "disk-full", "found": "disk-full"},
        {"case": None, "node": "node2", "expected": None, "found": "denied"},
    ]


def test_the_fleet_must_list_a_node_under_its_cause() -> None:
    found = diagnosis(node("node1", "disk-full"))
    found["fleet"]["causes"] = []
    assert len(judge.problems_of_others(found, [(cases.of_fault(fault("a")), "node1")], ["node1"])) == 1


def test_what_the_audit_identity_may_not_see_is_said() -> None:
    found = diagnosis(node("node1", "disk-full"))
    found["cluster"]["not_seen"] = [
        {"subject": "csr_info.csrs", "reason": "forbidden"},
        {"subject": "x", "reason": "timeout"},
    ]
    problems = judge.problems_of_others(found, [(cases.of_fault(fault("a")), "node1")], ["node1"])
    assert problems == ["the cluster's csr_info.csrs was not seen: forbidden"]


def test_precision_and_recall() -> None:
    """One right, one wrong name, one missed, one false alarm, one rightly quiet: 1 of 3 named, 1 of 3 to be named."""
    rows = [("a", "a"), ("b", "a"), ("c", None), (None, "a"), (None, None)]
    score = metrics._score([{"expected": e, "found": f} for e, f in rows], lambda rule: rule is not None)
    assert score == {"right": 1, "expected": 3, "found": 3, "precision": 0.333, "recall": 0.333}


@pytest.mark.parametrize("case", COMPOUNDS, ids=lambda case: case.name)
def test_compound_names_faults_and_rules_there_are(case: cases.Case) -> None:
    assert len(case.faults) > 1
    named = {case.rule, *case.expect.contributing, *case.expect.symptoms, *case.expect.symptoms.values()}
    assert named <= RULES
    assert sum("edit_manifest" in part.inject for part in case.faults) <= 1, "each puts back the manifest it found"
