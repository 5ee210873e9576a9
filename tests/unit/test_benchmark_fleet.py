# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet of the benchmarks is what the role collect would have written, and is judged as what it was made of was."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json, write_lists
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import read_evidence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "benchmarks"))

import fleet  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    target = tmp_path_factory.mktemp("fleet")
    fleet.write(target, 100, 800, 2000)
    return target


def test_the_files_are_as_they_are_collected(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    again = tmp_path / "again.json"
    for path in [*folder.glob("cluster/*.json"), *folder.glob("nodes/*.json")]:
        write = write_lists if path.parent.name == "cluster" else write_json
        write(str(again), json.loads(path.read_text(encoding="utf-8")))
        assert again.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), path


def test_the_counts_and_names(folder: pathlib.Path) -> None:
    evidence = read_evidence(str(folder))
    nodes, csrs = evidence["cluster"]["node_info"]["nodes"], evidence["cluster"]["csr_info"]["csrs"]
    assert (len(nodes), len(csrs), sum(len(node["events"]) for node in nodes)) == (101, 800, 2000)
    assert (
        len({csr["name"] for csr in csrs})
        == len({csr["request_sha256"] if "request_sha256" in csr else csr["uid"] for csr in csrs})
        == 800
    )
    assert [csr["name"] for csr in csrs] == [
        csr["name"] for csr in sorted(csrs, key=lambda csr: (csr["created"], csr["name"]))
    ]
    assert evidence["manifest"]["hosts"] == list(evidence["nodes"])


def test_the_same_twice(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    fleet.write(tmp_path, 100, 800, 2000)
    for path in folder.rglob("*.json"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_each_node_is_judged_as_the_recorded_one(folder: pathlib.Path) -> None:
    diagnosis = diagnose_filter(read_evidence(str(folder)))
    _healthy, broken = fleet.kinds(8, 20)
    assert diagnosis["fleet"]["verdicts"]["healthy"] == 97
    assert len(broken) > 30
    causes = {node["name"]: node["primary"]["rule"] for node in diagnosis["nodes"] if node["primary"]}
    wanted = {
        fleet.node_name(number): broken[number // fleet.BROKEN_EVERY % len(broken)].case for number in range(0, 100, 33)
    }
    assert {name: case.startswith(causes[name]) for name, case in wanted.items()} == dict.fromkeys(wanted, True)
