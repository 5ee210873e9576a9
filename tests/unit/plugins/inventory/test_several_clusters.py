# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs of ansible-playbook over several clusters: each API server is asked with its own credentials, nodes of one name stay apart."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
NODES = "/api/v1/nodes"

Data = dict[str, t.Any]


def run_play(folder: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``ansible-playbook`` of this Python, with an empty home."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBE", "K8S_"))
    }
    environment |= {
        "HOME": str(folder),
        "NO_PROXY": "*",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_COLLECTIONS_PATH": next(
            path for path in sys.path if (pathlib.Path(path) / "ansible_collections/kubecare").is_dir()
        ),
    }
    command = [sys.executable, "-m", "ansible.cli.playbook", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


@pytest.fixture
def servers(api_server: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Two API servers, in each a node of the same name."""
    other = type(api_server)()
    found = {"prod": api_server, "test": other}
    for server in found.values():
        server.serve_list(NODES, [{"metadata": {"name": "node1", "labels": {}}, "spec": {}, "status": {}}])
    yield found
    other.close()


def written(folder: pathlib.Path, servers: dict[str, t.Any], **more: t.Any) -> str:
    """A hand-written inventory of both clusters."""
    groups = {
        name: {
            "vars": {"kubelet_certs_cluster": name},
            "hosts": {f"node1.{name}": {"kubelet_certs_node_name": "node1", "ansible_connection": "local", **more}},
        }
        for name in servers
    }
    clusters = {name: {"host": server.url, "api_key": f"{name}s-t0ken"} for name, server in servers.items()}
    content = {"all": {"vars": {"kubelet_certs_clusters": clusters}, "children": groups}}
    (folder / "hosts.yml").write_text(json.dumps(content))
    return "hosts.yml"


def test_each_cluster_is_asked_for_itself_and_reported_for_itself(
    tmp_path: pathlib.Path, servers: dict[str, t.Any]
) -> None:
    done = run_play(
        tmp_path, "-i", written(tmp_path, servers), "kubecare.kubelet_certs.diagnose", "-vvv",
        "-e", f"kubelet_certs_run_dir={tmp_path}/run", "-e", "kubelet_certs_collect_nodes=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "s-t0ken" not in done.stdout + done.stderr
    for name, server in servers.items():
        assert {asked.headers["Authorization"] for asked in server.asked} == {f"Bearer {name}s-t0ken"}
        folder = tmp_path / "run" / "clusters" / name
        manifest = json.loads((folder / "manifest.json").read_text())
        assert (manifest["cluster_name"], manifest["hosts"]) == (name, [f"node1.{name}"])
        diagnosis = json.loads((folder / "diagnosis.json").read_text())
        assert diagnosis["cluster"]["name"] == name
        assert diagnosis["cluster"]["api_url"] == server.url
        assert [node["name"] for node in diagnosis["nodes"]] == ["node1"]
        assert (folder / "report.html").exists()
        assert f"Cluster   {name}: " in done.stdout
        assert f'id="cluster-{name}"' in (tmp_path / "run" / "report.html").read_text()
    limited = run_play(
        tmp_path, "-i", "hosts.yml", "kubecare.kubelet_certs.diagnose", "--limit", "test",
        "-e", f"kubelet_certs_run_dir={tmp_path}/limited", "-e", "kubelet_certs_collect_nodes=false",
    )  # fmt: skip
    assert limited.returncode == 0, limited.stdout[-3000:]
    assert [path.name for path in (tmp_path / "limited" / "clusters").iterdir()] == ["test"]


def test_a_host_of_no_cluster_stops_the_run_before_anything_is_asked(
    tmp_path: pathlib.Path, servers: dict[str, t.Any]
) -> None:
    done = run_play(
        tmp_path, "-i", written(tmp_path, servers, kubelet_certs_cluster="elsewhere"), "kubecare.kubelet_certs.diagnose",
        "-e", f"kubelet_certs_run_dir={tmp_path}/run",
    )  # fmt: skip
    assert done.returncode != 0
    assert "the variable kubelet_certs_cluster names none of prod, test" in " ".join(
        (done.stdout + done.stderr).split()
    )
    assert [server.asked for server in servers.values()] == [[], []]


def test_several_clusters_are_not_remediated_at_once(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(ROOT / "playbooks/files/example-evidence", tmp_path / "run" / "clusters" / name)
    done = run_play(tmp_path, "kubecare.kubelet_certs.rediagnose", "-e", f"kubelet_certs_run_dir={tmp_path}/run")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "run/clusters/b/report.html").exists()
    play: list[Data] = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "roles": ["kubecare.kubelet_certs.remediate"],
            "vars": {"kubelet_certs_clusters": {"a": {}, "b": {}}, "kubelet_certs_run_dir": str(tmp_path / "run")},
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    refused = run_play(tmp_path, "play.yml")
    assert refused.returncode != 0
    assert "One cluster is mended at a time" in refused.stdout + refused.stderr


def test_an_address_from_a_node_is_no_word_for_what_its_certificate_may_hold(
    tmp_path: pathlib.Path, api_server: t.Any
) -> None:
    status = {"addresses": [{"type": "InternalIP", "address": "10.0.0.66"}]}
    api_server.serve_list(NODES, [{"metadata": {"name": "node1", "labels": {}}, "spec": {}, "status": status}])
    (tmp_path / "x.cluster_nodes.yml").write_text(
        json.dumps({"plugin": "kubecare.kubelet_certs.cluster_nodes", "host": api_server.url, "api_key": "t0ken"})
    )
    (tmp_path / "hosts.ini").write_text("written ansible_host=10.0.0.7\n")
    template = ROOT / "roles/remediate/templates/expected_nodes.json.j2"
    task = {
        "ansible.builtin.copy": {
            "dest": "out.json",
            "content": f"{{{{ lookup('ansible.builtin.template', '{template}') }}}}",
        }
    }
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    done = run_play(tmp_path, "-i", "x.cluster_nodes.yml", "-i", "hosts.ini", "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "node1": {"addresses": [], "dns_names": []},
        "written": {"addresses": ["10.0.0.7"], "dns_names": []},
    }
