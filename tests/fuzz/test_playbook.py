# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs of ansible-playbook: templates in evidence stay text, and secrets on a node are in no output, not even with -vvvv."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import planted
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.probe.conftest import Authority, Node

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "playbooks/files/example-evidence"


def playbook(folder: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``ansible-playbook`` of this Python, with an empty home."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBE", "K8S_"))
    }
    environment.update(
        HOME=str(folder),
        ANSIBLE_COLLECTIONS_PATH=next(
            path for path in sys.path if (pathlib.Path(path) / "ansible_collections/kubecare").is_dir()
        ),
        ANSIBLE_LOCALHOST_WARNING="False",
    )
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    return subprocess.run(
        [program, *words], cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def test_templates_in_evidence_are_text(tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(EXAMPLE, run_dir)
    payload = f"{{{{ lookup('pipe', 'touch {tmp_path}/pwned') }}}}{{{{ 7*191 }}}}"

    def change(value: t.Any, key: str = "") -> t.Any:
        if isinstance(value, dict):
            return {name: change(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [change(item, key) for item in value]
        hostile = isinstance(value, str) and key in (
            "name",
            "message",
            "hostname",
            "version",
            "requestor",
            "summary",
            "image",
        )
        return f"{value} {payload}" if hostile else value

    for path in run_dir.rglob("*.json"):
        path.chmod(0o600)
        path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    done = playbook(tmp_path, "kubecare.kubelet_certs.rediagnose", "-vvv", "-e", f"kubelet_certs_run_dir={run_dir}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "pwned").exists()
    assert "{{ lookup(" in page and "{{ 7*191 }}" in page
    assert "1337" not in page + done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("verbosity", ["-v", "-vvvv"])
def test_no_secret_is_in_the_output(tmp_path: pathlib.Path, verbosity: str) -> None:
    node = Node(tmp_path / "node", Authority())
    key = planted.keys()[0]
    secrets = ["Zq9first7777", "Zq9second888", *planted.parts_of(key)]
    (node.pki / "kubelet.key").write_text(key)
    node.write_kubeconfig(f"token: {secrets[0]}\npassword: {secrets[1]}")
    node.run_kubelet(f"--kubeconfig={node.kubeconfig}", "--token", secrets[0], environment=[f"X={secrets[1]}"])
    flat = key.replace("\n", "\\n")
    log = tmp_path / "kubelet.log"
    stamp = time.strftime("I%m%d %H:%M:%S.000000")
    log.write_text(
        f"{stamp} 1 a.go:1] unauthorized password={secrets[0]} {flat}\n{stamp} 1 a.go:1] x509: Bearer {secrets[1]}\n"
    )
    task: dict[str, t.Any] = {
        "proc_path": str(node.proc),
        "kubeconfig": str(node.kubeconfig),
        "pki_path": str(node.pki),
        "log_file": str(log),
        "kubelet_unit": "none-such",
        "manifests_path": str(node.manifests),
        "api_probe": False,
    }
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {"kubecare.kubelet_certs.node_probe": task, "register": "seen"},
                {"ansible.builtin.set_stats": {"data": {"evidence": "{{ seen.evidence }}"}}},
                {"ansible.builtin.fail": {"msg": "{{ seen }}"}},
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(plays))
    done = playbook(tmp_path, "play.yml", verbosity)
    said = done.stdout + done.stderr
    assert "worker-7" in said or "inventory_hostname" in said
    assert [secret for secret in secrets if secret in said] == []
    assert "PRIVATE KEY" not in said
