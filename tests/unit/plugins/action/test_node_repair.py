# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin in real plays, as the role takes a node's steps one after the other. What each act does is in ``plugin_utils/repair``."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.probe.conftest import Authority, b64

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can repair a node")


def play(folder: pathlib.Path, steps: list[dict[str, t.Any]]) -> subprocess.CompletedProcess[str]:
    """The role's tasks for each step, on this machine as the node."""
    import ansible_collections.kubecare.kubelet_certs as collection

    step = {"name": "kubecare.kubelet_certs.remediate", "tasks_from": "node_step", "public": True}
    loop = {"loop": steps, "loop_control": {"loop_var": "_kubelet_certs_step"}}
    made = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"kubelet_certs_become": False, "kubelet_certs_repair_timeout": 10},
        "tasks": [{"ansible.builtin.include_role": step, **loop}],
    }
    (folder / "play.yml").write_text(json.dumps([made]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "HOME": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(pathlib.Path(next(iter(collection.__path__))).parents[2]),
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", "play.yml", "-v"],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("meddled", [False, True])
def test_a_step_may_write_the_file_that_a_step_before_it_wrote_and_no_other_hand_may(
    tmp_path: pathlib.Path, meddled: bool
) -> None:
    old, new = Authority("old"), Authority("new")
    client = old.issue("system:node:worker-7", "system:nodes")
    pki, kubeconfig = tmp_path / "pki", tmp_path / "kubelet.conf"
    pki.mkdir()
    current = pki / "kubelet-client-current.pem"
    current.write_text(client.certificate + client.key)
    kubeconfig.write_text(
        f"apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {b64(old.pair.certificate)}\n    server: https://api:6443\n"
        "  name: c\ncontexts:\n- context:\n    cluster: c\n    user: u\n  name: x\ncurrent-context: x\nkind: Config\n"
        f"users:\n- name: u\n  user:\n    client-certificate-data: {b64(client.certificate)}\n    client-key-data: {b64(client.key)}\n"
    )
    places = {"node": "worker-7", "pki_path": str(pki), "kubeconfig": str(kubeconfig)}
    bound = {"files": {str(kubeconfig): hashlib.sha256(kubeconfig.read_bytes()).hexdigest()}}
    steps = [
        {"id": "1", "act": "use_rotating_kubeconfig", "parameters": places, "bound_to": bound},
        {"id": "2", "act": "refresh_ca", "parameters": {**places, "ca_pem": new.pair.certificate}, "bound_to": bound},
    ]
    if meddled:
        kubeconfig.write_text(kubeconfig.read_text() + "# by another hand\n")
    before = kubeconfig.read_text()
    done = play(tmp_path, steps)
    after = kubeconfig.read_text()
    if meddled:
        assert done.returncode != 0
        assert f"1: moved: {kubeconfig} is not as it was when the plan was made" in done.stdout
        assert after == before
    else:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        assert f"client-certificate: {current}" in after
        assert f"certificate-authority-data: {b64(new.pair.certificate)}" in after
    assert client.key not in done.stdout
