# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans from outside in real runs of the role: what is right is taken up, and no template in what is not is ever evaluated."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

PLAN: dict[str, t.Any] = {
    "schema": "kubecare.kubelet_certs/plan/1",
    "made_at": "2026-11-25T07:00:00Z",
    "evidence_at": "2026-11-25T07:00:00Z",
    "cluster": {"api_url": "https://api:6443", "version": None},
    "nodes": [{"name": "worker-7", "host": "localhost", "control_plane": False}],
    "steps": [],
    "procedures": [
        {"rule": "signing-ca-expired", "title": "…", "nodes": ["worker-7"], "risk": "high", "why": "…", "steps": []}
    ],
}


def run(folder: pathlib.Path, extra: t.Any, *before: str) -> subprocess.CompletedProcess[str]:
    """The role, as it plans for a run folder, with extra variables as a file of JSON."""
    import ansible_collections.kubecare.kubelet_certs as collection

    checkout = pathlib.Path(next(iter(collection.__path__)))
    shutil.copytree(checkout / "playbooks/files/example-evidence", folder / "run")
    (folder / "extra.json").write_text(json.dumps({"kubelet_certs_run_dir": str(folder / "run"), **extra}))
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "roles": [{"role": f"kubecare.kubelet_certs.{role}"} for role in (*before, "remediate")],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "HOME": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(checkout.parents[2]),
        "ANSIBLE_SHOW_CUSTOM_STATS": "True",
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", "play.yml", "-v", "-e", "@extra.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def hostile(folder: pathlib.Path) -> dict[str, t.Any]:
    """A plan with templates everywhere, each of which would make the file ``pwned``."""
    call = f"lookup('pipe', 'touch {folder}/pwned')"
    plan = copy.deepcopy(PLAN)
    plan["procedures"][0]["title"] = f"{{{{ {call} }}}}"
    plan["procedures"][0][f"{{{{ {call} }}}}"] = 1
    plan["cluster"]["version"] = f"{{% set x = {call} %}}"
    plan["steps"] = [{"parameters": {"remove": [f"{{{{ {call} }}}}"]}}]
    return plan


@pytest.mark.parametrize("form", ["variable", "file"])
def test_a_plan_from_outside_is_taken_up(tmp_path: pathlib.Path, form: str) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    extra = {
        "variable": {"kubelet_certs_plan": PLAN},
        "file": {"kubelet_certs_plan_file": "{{ playbook_dir }}/plan.json"},
    }
    done = run(tmp_path, extra[form])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert json.loads((tmp_path / "run/plan.json").read_text()) == PLAN
    assert "signing-ca-expired" in done.stdout


def test_without_one_a_plan_is_made(tmp_path: pathlib.Path) -> None:
    done = run(tmp_path, {}, "diagnose")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert json.loads((tmp_path / "run/plan.json").read_text())["nodes"] != PLAN["nodes"]


@pytest.mark.parametrize("form", ["variable", "text", "file", "instead of a plan"])
def test_no_template_in_a_plan_is_evaluated(tmp_path: pathlib.Path, form: str) -> None:
    plan = hostile(tmp_path)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    extra: dict[str, dict[str, t.Any]] = {
        "variable": {"kubelet_certs_plan": plan},
        "text": {"kubelet_certs_plan": json.dumps(plan)},
        "file": {"kubelet_certs_plan_file": str(tmp_path / "plan.json")},
        "instead of a plan": {"kubelet_certs_plan": plan["procedures"][0]["title"]},
    }
    done = run(tmp_path, extra[form])
    assert not (tmp_path / "pwned").exists()
    assert done.returncode != 0
    assert "checked_plan: the plan is " in done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "run/plan.json").exists()
