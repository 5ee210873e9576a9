# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin in real plays: over a local connection, and to hosts that cannot be probed."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.kubecare.kubelet_certs.plugins.action.node_probe import ARGUMENT_SPEC, _access
from ansible_collections.kubecare.kubelet_certs.plugins.doc_fragments import api_module, k8s_auth
from ansible_collections.kubecare.kubelet_certs.plugins.modules import node_probe
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError, deadline
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.reply import reason_of


def _play(
    folder: pathlib.Path, hosts: dict[str, dict[str, t.Any]], options: dict[str, t.Any], *arguments: str
) -> dict[str, t.Any]:
    """Runs the action on hosts; host → result. The play must not fail."""
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    tasks = [{"kubecare.kubelet_certs.node_probe": options}]
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "home" / "tmp"),
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    import ansible_collections.kubecare.kubelet_certs as collection

    root = pathlib.Path(next(iter(collection.__path__))).parents[2]
    environment.setdefault("ANSIBLE_COLLECTIONS_PATH", str(root))
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.yml", "play.yml", "-v", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    results = {}
    for host in hosts:
        start = done.stdout.index(f"ok: [{host}] => ") + len(f"ok: [{host}] => ")
        results[host] = json.JSONDecoder().raw_decode(done.stdout[start:])[0]
    return results


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_writes_evidence_of_this_machine(tmp_path: pathlib.Path, arguments: tuple[str, ...]) -> None:
    options = {"dest": str(tmp_path / "run"), "api_probe": False, "log_since_seconds": 60}
    hosts: dict[str, dict[str, t.Any]] = {
        "here": {"ansible_connection": "local"},
        "../up": {"ansible_connection": "local"},
    }
    results = _play(tmp_path, hosts, options, *arguments)
    assert results["here"]["changed"] is False
    assert results["here"]["reachable"] is True
    assert "evidence" not in results["here"]
    path = pathlib.Path(results["here"]["dest"])
    assert path == tmp_path / "run" / "nodes" / "here.json"
    assert path.stat().st_mode & 0o777 == 0o600
    evidence = json.loads(path.read_text())
    assert evidence["inventory_hostname"] == "here"
    assert evidence["hostname"] == os.uname().nodename
    assert evidence["root"] is (os.geteuid() == 0)
    assert evidence["clock"]["offset_seconds"] in (-1, 0, 1)
    assert sorted(p.name for p in (tmp_path / "run" / "nodes").iterdir()) == sorted(
        pathlib.Path(result["dest"]).name for result in results.values()
    )


def test_returns_evidence_without_dest(tmp_path: pathlib.Path) -> None:
    result = _play(tmp_path, {"here": {"ansible_connection": "local"}}, {"api_probe": False})["here"]
    assert "dest" not in result
    assert result["evidence"]["not_seen"] == result["not_seen"]


def test_hosts_that_cannot_be_probed(tmp_path: pathlib.Path) -> None:
    ssh = {"ansible_connection": "ssh", "ansible_port": 1, "ansible_ssh_common_args": "-F /dev/null"}
    local = {"ansible_connection": "local", "ansible_become": True, "ansible_become_user": "nobody"}
    tool = tmp_path / "sudo"
    tool.write_text("#!/bin/sh\necho 'sudo: a password is required for hunter2pw' >&2\nexit 1\n")
    tool.chmod(0o755)
    hosts = {
        "refused": {**ssh, "ansible_host": "127.0.0.1"},
        "unknown": {**ssh, "ansible_host": "no-such-name.invalid"},
        "sudo": {**local, "ansible_become_exe": str(tool), "ansible_become_flags": ""},
        "no_sudo": {**local, "ansible_become_exe": "/no/such/sudo", "ansible_become_flags": ""},
        "fine": {"ansible_connection": "local"},
    }
    results = _play(tmp_path, hosts, {"dest": str(tmp_path / "run"), "api_probe": False})
    assert results["fine"]["reachable"] is True
    for host, reason in {
        "refused": "unreachable",
        "unknown": "unreachable",
        "sudo": "not_permitted",
        "no_sudo": None,
    }.items():
        assert results[host]["reachable"] is False
        (entry,) = results[host]["not_seen"]
        assert entry["subject"] == "node"
        assert entry["message"]
        assert reason in (None, entry["reason"])
        assert json.loads((tmp_path / "run" / "nodes" / f"{host}.json").read_text())["reachable"] is False


def test_auto_takes_the_first_way_that_reaches_the_node(tmp_path: pathlib.Path, api_server: t.Any, alone: None) -> None:
    """Neither an SSH server nor a pod: the API alone is left, and of a Node that it does not know, nothing."""
    node = {"metadata": {"name": "worker-7"}, "status": {"addresses": []}}
    api_server.serve_list("/api/v1/nodes", [node])
    api_server.serve_list("/api/v1/namespaces/kubelet-certs-probe/pods", [])
    api_server.routes["/api/v1/nodes/worker-7/proxy/healthz"] = api_server.reply(200, b"ok")
    ssh = {"ansible_connection": "ssh", "ansible_port": 1, "ansible_host": "127.0.0.1"}
    hosts: dict[str, dict[str, t.Any]] = {
        "Worker-7": {**ssh, "ansible_ssh_common_args": "-F /dev/null"},
        "there": {"ansible_connection": "local", "node": "worker-7"},
        "no_name!": {"ansible_connection": "local"},
    }
    options = {
        "way": "auto",
        "host": api_server.url,
        "api_key": "secret-token",
        "node_name": "{{ node | default(omit) }}",
    }
    results = _play(tmp_path, hosts, options)
    assert {name: result["way"] for name, result in results.items()} == {
        "Worker-7": "api",
        "there": "api",
        "no_name!": None,
    }
    tried = {name: [(entry["way"], entry["reason"]) for entry in result["tried"]] for name, result in results.items()}
    assert tried == {
        "Worker-7": [("ssh", "unreachable"), ("pod", "not_found")],
        "there": [("ssh", "disabled"), ("pod", "not_found")],
        "no_name!": [("ssh", "disabled"), ("pod", "not_found"), ("api", "not_found")],
    }
    assert results["Worker-7"]["evidence"]["tried"] == results["Worker-7"]["tried"]
    assert [entry["message"][:6] for entry in results["no_name!"]["not_seen"]] == ["by ssh", "by pod", "by api"]
    assert "secret-token" not in str(results)


def test_each_host_asks_the_api_server_of_its_own_cluster(
    tmp_path: pathlib.Path, api_server: t.Any, alone: None
) -> None:
    api_server.serve_list("/api/v1/nodes", [{"metadata": {"name": "worker-7"}, "status": {"addresses": []}}])
    api_server.routes["/api/v1/nodes/worker-7/proxy/healthz"] = api_server.reply(200, b"ok")
    local = {"ansible_connection": "local", "name": "worker-7"}
    hosts: dict[str, dict[str, t.Any]] = {
        "ours": {**local, "to": {"host": api_server.url, "api_key": "secret-token"}},
        "theirs": {**local, "to": {"host": "https://127.0.0.1:1"}},
    }
    results = _play(tmp_path, hosts, {"way": "api", "node_name": "{{ name }}", "access": "{{ to }}"})
    assert results["ours"]["way"] == "api"
    assert (results["theirs"]["way"], results["theirs"]["not_seen"][0]["reason"]) == (None, "unreachable")
    assert _access({"verify_ssl": "no", "context": "prod"}) == {"validate_certs": False, "context": "prod"}
    with pytest.raises(AnsibleActionFail, match="option access: hots"):
        _access({"hots": api_server.url})
    assert "secret-token" not in str(results)


def test_auto_without_a_way_to_the_api_server(tmp_path: pathlib.Path, alone: None) -> None:
    result = _play(tmp_path, {"here": {"ansible_connection": "local"}}, {"way": "auto"})["here"]
    assert result["reachable"] is False
    assert "nothing says how to reach the API server" in result["not_seen"][1]["message"]


SSH = """#!/bin/sh
[ "$*" = "-o ControlPersist" ] && exit 1
for command; do :; done
said=$(cat | sh -c "$command")
{end}
"""


def test_what_came_before_the_connection_broke_is_kept(tmp_path: pathlib.Path) -> None:
    """A connection that hangs is among ``tests/running``."""
    hosts = {}
    for name, end in {
        "cut": "printf '%s\\n' \"$said\" | sed '/ \\[ config/,$d'; echo Broken pipe >&2; exit 255",
        "other": "echo Welcome",
        "flood": "head -c 5000000 /dev/zero | tr '\\0' x",
    }.items():
        ssh = tmp_path / name
        ssh.write_text(SSH.replace("{end}", end))
        ssh.chmod(0o755)
        hosts[name] = {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    results = _play(tmp_path, hosts, {"api_probe": False})
    for name, reachable, reason, words in (
        ("cut", True, "unreachable", "answer ended before this was said: "),
        ("other", False, "error", "8 characters came, none of them the probe's"),
        ("flood", False, "too_large", "5000000 characters came"),
    ):
        assert results[name]["reachable"] is reachable
        gaps = {gap["subject"]: gap for gap in results[name]["not_seen"]}
        gap = gaps["config" if reachable else "node"]
        assert gap["reason"] == reason
        assert words in gap["message"]
    evidence = results["cut"]["evidence"]
    assert evidence["hostname"] == os.uname().nodename
    assert evidence["config"] is evidence["network"] is None


def test_the_deadline_rings_and_gives_back_the_alarm() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_arguments: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.6)
        with pytest.raises(NoAnswerInTimeError), deadline(1):
            time.sleep(5)
        assert not rung
        time.sleep(1.2)
        assert rung == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Failed to connect to the host via ssh: ssh: connect to host h port 22: Connection timed out", "timeout"),
        ("root@h: Permission denied (publickey,password).", "unauthorized"),
        ("Incorrect sudo password", "not_permitted"),
        ("ssh: connect to host h port 22: Connection refused", "unreachable"),
    ],
)
def test_reason(message: str, reason: str) -> None:
    assert reason_of(message, "unreachable") == reason


def test_the_documentation_is_of_the_same_options() -> None:
    documented = yaml.safe_load(node_probe.DOCUMENTATION)["options"]
    for fragment in (api_module, k8s_auth):
        documented |= yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: (option["type"], option.get("default")) for name, option in documented.items()} == {
        name: (option["type"], option.get("default")) for name, option in ARGUMENT_SPEC.items()
    }
