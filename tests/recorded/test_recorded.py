# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evidence judged again, offline: what was recorded from the lab, and what its matrix has just collected on this machine.

A run in ``tests/fixtures`` (by ``make record``; see ``tests/lab/kubelab/recording.py``) must lead to what its cases expect, by the comparison
that the matrix itself makes. A run folder of the matrix (``build/lab/<run>``) must lead to the very diagnosis that was made live.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import read_evidence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))

from kubelab import cases, judge  # noqa: E402

EXAMPLE = ROOT / "playbooks/files/example-evidence"
CASES = cases.load_all()
RUNS = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "tests/fixtures").glob("*.json"))}
RECORDED = [(path, case, node) for path, run in RUNS.items() for case, node in run["placed"].items()]
LIVE = sorted(path.parent for path in (ROOT / "build/lab").glob("*/diagnosis.json"))


def diagnosis_of(evidence: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", diagnose_filter(evidence))


@functools.cache
def diagnosis_of_run(path: pathlib.Path) -> dict[str, t.Any]:
    return diagnosis_of({part: RUNS[path][part] for part in ("manifest", "cluster", "nodes")})


def test_evidence_was_recorded() -> None:
    assert EXAMPLE.is_dir()
    assert len(RECORDED) >= 14


def test_each_node_of_the_example_gets_its_own_cause() -> None:
    """As ``tests/lab/example.py`` injected them."""
    nodes = diagnosis_of(read_evidence(str(EXAMPLE)))["nodes"]
    assert {node["name"]: judge.primary(node) for node in nodes} == {
        "cp1": "auto-approval-binding-missing",
        "node1": "kubeconfig-embedded-certificate",
        "node2": "auto-approval-binding-missing",
        "node3": "api-server-name-unresolved",
    }


@pytest.mark.parametrize(("path", "case", "node"), RECORDED, ids=[case for _path, case, _node in RECORDED])
def test_recorded_evidence_leads_to_what_was_injected(path: pathlib.Path, case: str, node: str) -> None:
    assert judge.problems_of_case(diagnosis_of_run(path), CASES[case], node) == []


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_recorded_evidence_says_nothing_false_of_the_other_nodes(path: pathlib.Path) -> None:
    placed = [(CASES[case], node) for case, node in RUNS[path]["placed"].items()]
    assert judge.problems_of_others(diagnosis_of_run(path), placed, list(RUNS[path]["nodes"])) == []


@pytest.mark.parametrize("folder", LIVE, ids=lambda folder: folder.name)
def test_the_same_offline_as_live(folder: pathlib.Path) -> None:
    live = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert diagnosis_of(read_evidence(str(folder))) == live
