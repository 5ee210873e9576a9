# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evidence judged again, offline: what was recorded from the lab, and what its matrix has just collected on this machine.

``tests/fixtures/<fault>`` (by ``lab.py record``) must lead to the fault's own expectation in ``tests/lab/faults``. A run folder of the
matrix (``build/lab/<case>``) must lead to the very diagnosis that was made live.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import read_evidence

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "playbooks/files/example-evidence"
RECORDED = sorted(path.parent for path in (ROOT / "tests/fixtures").glob("*/manifest.json"))
LIVE = sorted(path.parent for path in (ROOT / "build/lab").glob("*/diagnosis.json"))


def diagnosis_of(folder: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", diagnose_filter(read_evidence(str(folder))))


def primary(node: dict[str, t.Any]) -> str | None:
    return node["primary"]["rule"] if node["primary"] else None


def test_evidence_was_recorded() -> None:
    assert EXAMPLE.is_dir()
    assert len(RECORDED) >= 14


def test_each_node_of_the_example_gets_its_own_cause() -> None:
    """As ``tests/lab/example.py`` injected them."""
    assert {node["name"]: primary(node) for node in diagnosis_of(EXAMPLE)["nodes"]} == {
        "cp1": "auto-approval-binding-missing",
        "node1": "kubeconfig-embedded-certificate",
        "node2": "auto-approval-binding-missing",
        "node3": "api-server-name-unresolved",
    }


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recorded_evidence_leads_to_the_cause_that_was_injected(folder: pathlib.Path) -> None:
    fault = yaml.safe_load((ROOT / f"tests/lab/faults/{folder.name}.yml").read_text(encoding="utf-8"))
    expect = fault.get("expect") or {}
    nodes = {node["name"]: node for node in diagnosis_of(folder)["nodes"]}
    node = nodes[fault.get("node", "node2")]
    assert primary(node) == fault["rule"]
    assert node["first_broken_stage"] == expect.get("stage")
    verdict = expect.get("verdict", [])
    assert not verdict or node["verdict"] in ([verdict] if isinstance(verdict, str) else verdict)
    for other in nodes.values():
        assert primary(other) in (None, fault["rule"])


@pytest.mark.parametrize("folder", LIVE, ids=lambda folder: folder.name)
def test_the_same_offline_as_live(folder: pathlib.Path) -> None:
    live = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert diagnosis_of(folder) == live
