# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for what was recorded from the lab: which acts for each case, and that every plan passes its own check.

``acts.yml`` has the steps of each recorded run. What these recordings do not have yet (they are older than what a plan is bound to) is put in.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import check_plan
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import make_plan
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.show import plan_lines

Data = dict[str, t.Any]

FIXTURES = sorted((pathlib.Path(__file__).resolve().parents[1] / "fixtures").glob("*.json"))
EXPECTED: dict[str, list[str]] = yaml.safe_load(
    (pathlib.Path(__file__).parent / "acts.yml").read_text(encoding="utf-8")
)
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def evidence_of(path: pathlib.Path) -> Data:
    run = json.loads(path.read_text(encoding="utf-8"))
    evidence: Data = {part: run[part] for part in ("manifest", "cluster", "nodes")}
    info = evidence["cluster"].get("control_plane_info") or {}
    if info.get("cluster_ca"):
        info["cluster_ca"].setdefault("pem", CA)
    for csr in (evidence["cluster"].get("csr_info") or {}).get("csrs") or ():
        csr.setdefault("request_sha256", "a" * 64)
    return evidence


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_acts_of_every_recording(path: pathlib.Path) -> None:
    evidence = evidence_of(path)
    plan = make_plan(evidence, diagnose_filter(evidence))
    assert [re.sub(r":csr-\w+", f":{s['node']}", s["id"]) for s in plan["steps"]] == EXPECTED.get(path.stem, [])
    hosts = list(evidence["nodes"])
    assert check_plan(json.loads(json.dumps(plan)), hosts) == plan
    assert len(plan_lines(plan)) > 0
    assert not re.search(r"PRIVATE KEY|[a-z0-9]{6}\.[a-z0-9]{16}", json.dumps(plan))


def test_a_plan_is_the_same_each_time() -> None:
    evidence = evidence_of(FIXTURES[0])
    assert make_plan(evidence, diagnose_filter(evidence)) == make_plan(evidence, diagnose_filter(evidence))


def test_what_is_left_out_becomes_a_procedure() -> None:
    path = next(path for path in FIXTURES if path.stem == "auto-approval-binding-missing")
    evidence = evidence_of(path)
    plan = make_plan(evidence, diagnose_filter(evidence), acts=["restart_kubelet"])
    assert plan["steps"] == []
    assert [(p["rule"], "restore_rbac" in p["why"]) for p in plan["procedures"]] == [
        ("auto-approval-binding-missing", True)
    ]
