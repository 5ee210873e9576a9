# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real playbook ``remediate`` and its role, with stand-ins for what touches a node or the cluster: which hosts are acted on together, in
what order, and what is left alone when one does not heal."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import SCHEMA, check_plan

Data = dict[str, t.Any]

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACTION = """
import os
from ansible.plugins.action import ActionBase

def note(*words):
    with open(os.environ["STAND_IN_LOG"], "a") as file:
        file.write(" ".join(words) + "\\n")

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        host = task_vars["inventory_hostname"]
        if not __name__.endswith("node_repair"):
            return {"changed": False}
        note(host, *task_vars["ansible_play_batch"])
        done = host not in os.environ["STAND_IN_FAILING"].split()
        return {"changed": done, "status": "done" if done else "failed", "message": "as told", "after": {}}
"""
LOOKUP = """
from ansible.plugins.lookup import LookupBase

class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return [EVIDENCE]
"""
FILTER = """
import os

def diagnose(evidence, **options):
    sick = os.environ["STAND_IN_SICK"].split()
    named = lambda name: {"name": name, "verdict": "failing" if name in sick else "healthy", "findings": [], "summary": "is as it was"}
    return {"nodes": [named(name) for name in NAMES]}

class FilterModule:
    def filters(self):
        return {"diagnose": diagnose}
"""
WORKERS = [f"worker-{number}" for number in range(1, 5)]
CONTROL_PLANES = ["control-1", "control-2", "control-3"]
STAND_INS = (
    "node_repair",
    "node_probe",
    "cluster_repair",
    "csr_approval",
    "control_plane_info",
    "node_info",
    "csr_info",
    "rbac_info",
)


class Remediation:
    """A copy of the collection with stand-ins, and an inventory of four workers and three control planes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.log, self.run_dir = folder / "log", folder / "run"
        collection = folder / "collections/ansible_collections/kubecare/kubelet_certs"
        for part in ("plugins", "roles/remediate", "playbooks", "meta"):
            shutil.copytree(ROOT / part, collection / part, ignore=shutil.ignore_patterns("__pycache__"))
        for role in ("collect", "diagnose", "report"):
            (collection / "roles" / role / "tasks").mkdir(parents=True)
            (collection / "roles" / role / "tasks/main.yml").write_text("---\n[]\n")
        for name in STAND_INS:
            (collection / f"plugins/action/{name}.py").write_text(ACTION)
        evidence = {"nodes": {host: {"control_plane": True} for host in CONTROL_PLANES}, "cluster": {}}
        (collection / "plugins/lookup/evidence.py").write_text(LOOKUP.replace("EVIDENCE", repr(evidence)))
        names = repr([*WORKERS, *CONTROL_PLANES])
        (collection / "plugins/filter/diagnose.py").write_text(FILTER.replace("NAMES", names))
        (self.run_dir / "nodes").mkdir(parents=True)
        for host, probe in evidence["nodes"].items():
            (self.run_dir / f"nodes/{host}.json").write_text(json.dumps({"inventory_hostname": host, **probe}))
        hosts = {name: {"ansible_connection": "local"} for name in (*WORKERS, *CONTROL_PLANES)}
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def run(
        self, plan: Data, sick: str = "", failing: str = "", **variables: t.Any
    ) -> subprocess.CompletedProcess[str]:
        """Act on a plan; the nodes ``sick`` do not heal, on the hosts ``failing`` the act fails."""
        (self.folder / "plan.json").write_text(json.dumps(plan))
        given = {
            "kubelet_certs_plan_file": str(self.folder / "plan.json"),
            "kubelet_certs_run_dir": str(self.run_dir),
            "kubelet_certs_remediate": True,
            "kubelet_certs_become": False,
            "kubelet_certs_heal_attempts": 1,
            "kubelet_certs_heal_pause": 1,
            **variables,
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBE", "K8S_"))},
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "home/tmp"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "STAND_IN_LOG": str(self.log),
            "STAND_IN_SICK": sick,
            "STAND_IN_FAILING": failing,
        }
        playbook = "kubecare.kubelet_certs.remediate"
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.json", playbook, "-e", json.dumps(given)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )

    def batches(self) -> list[list[str]]:
        """The hosts that were acted on, those of a batch of the play together, in order."""
        found: dict[tuple[str, ...], list[str]] = {}
        for line in self.log.read_text().splitlines():
            host, *batch = line.split()
            found.setdefault(tuple(batch), []).append(host)
        assert all(sorted(hosts) == sorted(batch) for batch, hosts in found.items())
        return [sorted(batch) for batch in found]


@pytest.fixture
def remediation(tmp_path: pathlib.Path) -> Remediation:
    return Remediation(tmp_path)


def plan_of(workers: t.Sequence[str], control_planes: t.Sequence[str]) -> Data:
    """A plan that restarts the kubelet of each of these."""
    nodes = [*((name, False) for name in workers), *((name, True) for name in control_planes)]
    steps = [
        {
            "id": f"restart_kubelet:{name}",
            "act": "restart_kubelet",
            "module": "node_repair",
            "node": name,
            "host": name,
            "control_plane": control_plane,
            "answers": [{"node": name, "rule": "kubelet-stopped", "title": "It was stopped"}],
            "risk": "low",
            "title": "Restart the kubelet",
            "commands": [],
            "changes": [],
            "needs": [],
            "parameters": {
                "node": name,
                "pki_path": "/var/lib/kubelet/pki",
                "unit": "kubelet.service",
                "wait_for_new_certificate": False,
            },
            "bound_to": {"files": {}},
            "verified_by": "",
        }
        for name, control_plane in nodes
    ]
    return check_plan(
        {
            "schema": SCHEMA,
            "made_at": "2026-01-01T00:00:00Z",
            "evidence_at": "2026-01-01T00:00:00Z",
            "cluster": {"api_url": None, "version": None},
            "nodes": [{"name": name, "host": name, "control_plane": control_plane} for name, control_plane in nodes],
            "steps": steps,
            "procedures": [],
        }
    )


def test_workers_in_batches_then_control_planes_one_at_a_time(remediation: Remediation) -> None:
    """The second control plane does not heal: the third is left alone."""
    done = remediation.run(plan_of(WORKERS, CONTROL_PLANES), sick="control-2", kubelet_certs_batch=[1, 3])
    batches = [["worker-1"], ["worker-2", "worker-3", "worker-4"], ["control-1"], ["control-2"]]
    assert remediation.batches() == batches, done.stdout[-3000:]
    assert done.returncode != 0
    assert "Not healed, so nothing more is touched: control-2: it is failing: is as it was" in done.stdout


@pytest.mark.parametrize("what", ["sick", "failing"])
def test_nothing_more_is_touched_when_the_first_does_not_heal(remediation: Remediation, what: str) -> None:
    done = remediation.run(plan_of(WORKERS, CONTROL_PLANES), **{what: "worker-1"})
    assert remediation.batches() == [["worker-1"]], done.stdout[-3000:]
    assert done.returncode != 0
    assert "failed=1" in done.stdout


def test_a_plan_that_takes_control_planes_for_workers_is_refused(remediation: Remediation) -> None:
    done = remediation.run(plan_of([*WORKERS, *CONTROL_PLANES], []))
    assert not remediation.log.exists()
    assert done.returncode != 0
    assert "nodes[4].control_plane" in done.stdout
