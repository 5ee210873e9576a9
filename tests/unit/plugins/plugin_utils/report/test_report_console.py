# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import unicodedata

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import width
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples

FLEETS = [samples.one_failing, samples.fleet_of_41, samples.fleet_of_2000, samples.hostile_fleet]


def shown(value: samples.Record, columns: int = 80, rows: int = 24) -> str:
    return console.plain(console.render(value, "/runs/1/report.html", columns, rows))


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("columns", [80, 100])
def test_it_fits_one_screen(fleet: object, columns: int) -> None:
    lines = shown(fleet(), columns).split("\n")  # type: ignore[operator]
    assert sum(max(1, math.ceil(width(line) / columns)) for line in lines) <= 24
    assert not [line for line in lines if width(line) > columns and "$ " not in line]


def test_a_failing_node_says_verdict_stage_cause_proof_and_next_step() -> None:
    text = shown(samples.one_failing())
    assert "worker-7  FAILING   stage 6/9 approval · since 19:40 (25 min ago)" in text
    assert "cause   No binding lets nodes have their renewals approved" in text
    assert 'proof   "SubjectAccessReview: group system:nodes may not create' in text
    assert "[rbac_info reviews.node_selfnodeclient, 20:04]" in text
    assert "before  19:34 kube-controller-manager.yaml changed" in text
    assert f"$ {samples.BINDING['fix']['steps'][0]['command']}\n" in text
    assert text.endswith("Report    /runs/1/report.html")


def test_an_independent_finding_is_told_below_the_primary_cause_in_three_lines() -> None:
    node = samples.failing("worker-7")
    disk = samples.at_risk("x")["primary"]
    node["findings"] = [*node["findings"], {**disk, "role": "contributing"}]
    text = shown(samples.diagnosis([node]), rows=30)
    assert text.index("  cause   ") < text.index("  besides The disk with the certificates is nearly full")
    assert 'proof   "proof of pki-disk-nearly-full"  [csr_info csrs, 19:40]' in text
    assert text.count("  next    ") == 2
    assert "besides" not in shown(samples.diagnosis([node]), rows=14)
    node["findings"] += [{**disk, "rule": f"other-{index}", "role": "contributing"} for index in range(3)]
    assert "besides 2 more findings: see the report" in shown(samples.diagnosis([node]), rows=50)


def test_a_node_at_risk_says_when_its_next_rotation_is() -> None:
    node = samples.at_risk("worker-1")
    assert "worker-1  AT RISK" in shown(samples.diagnosis([node]), 100)
    assert "next rotation from 3 h on" in shown(samples.diagnosis([node]), 100)
    node["foresight"]["rotation_opens_in_seconds"] = -5
    assert "rotation is due" in shown(samples.diagnosis([node]), 100)


def test_healthy_nodes_take_one_line_with_the_next_rotation() -> None:
    text = shown(samples.one_failing())
    assert "✔ 2 healthy" in text
    assert "next rotation 2027-04-07 to 2027-06-19 (worker-5)" in text
    assert "worker-6" not in text


def test_a_fleet_is_told_by_cause() -> None:
    text = shown(samples.fleet_of_41(), 100)
    assert "34 of 36 affected nodes: No binding lets nodes have their renewals approved" in text
    assert text.index("worker-41") < text.index("worker-1  FAILING") < text.index("worker-35") < text.index("worker-36")
    assert "and 27 more" in text or "and 26 more" in text or "and 25 more" in text
    assert "Not seen  events: forbidden (cluster)" in text
    assert "clock.synchronized: missing_tool (35 nodes)" in text.replace("\n          ", " ")


def test_a_cause_is_told_in_full_once_and_all_who_have_it_are_failing() -> None:
    nodes = [samples.failing("a"), {**samples.expired("b"), "primary": samples.BINDING}]
    text = shown(samples.diagnosis(nodes), rows=50)
    assert text.count("  cause   ") == 1
    assert "2 of 2 failing nodes: No binding" in text
    assert "a  FAILING   No binding" in text or "b  EXPIRED   No binding" in text


def test_of_nodes_with_one_cause_the_most_urgent_is_told() -> None:
    late, soon = samples.failing("late"), samples.failing("soon")
    soon["certificates"] = {**soon["certificates"], "client": samples.certificate(364, 1)}
    text = shown(samples.diagnosis([late, soon]), rows=50)
    assert "soon  FAILING" in text and "  also    late" in text


def test_what_does_not_fit_is_counted() -> None:
    nodes = []
    for index in range(40):
        node = samples.failing(f"n{index:02}")
        node["primary"] = {**node["primary"], "rule": f"rule-{index}", "title": f"Cause {index}"}
        nodes.append(node)
    text = shown(samples.diagnosis(nodes))
    told = [line for line in text.split("\n") if line.startswith("✖ ")]
    assert len(told) >= 5
    assert f"… and {40 - len(told)} more nodes: see the report" in text
    assert "and 36 more causes: see the report" in text


@pytest.mark.parametrize("fleet", FLEETS)
def test_no_control_character_reaches_the_terminal(fleet: object) -> None:
    text = shown(fleet())  # type: ignore[operator]
    assert {unicodedata.category(char) for char in text.replace("\n", "")}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize("command", ["kubectl " + "x" * 400, "cat <<E\nrm\nE"])
def test_a_command_is_whole_or_not_there(command: str) -> None:
    node = samples.failing("n")
    steps = [{"text": "Do it", "command": command}]
    node["primary"] = {**node["primary"], "fix": {"steps": steps, "risk": "low", "task": None}}
    text = shown(samples.diagnosis([node]))
    assert "$ " not in text
    assert "copy it from the report" in text


def test_an_unreachable_cluster_and_an_empty_one_are_said() -> None:
    value = samples.diagnosis([samples.unknown("u")])
    value["cluster"].update(reachable=False, version=None)
    text = shown(value)
    assert "API SERVER UNREACHABLE" in text
    assert "version" not in text
    assert "healthy" not in text
    assert "unseen  node_probe: unreachable ssh:" in text
    assert "Nodes     none" in shown(samples.diagnosis([]))
