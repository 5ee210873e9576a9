# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where other distributions keep things: found from the process, its unit and its files, and only then by what is usual."""

from __future__ import annotations

import datetime
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import log_time

if t.TYPE_CHECKING:
    from .conftest import Node


def _process(
    node: Node, comm: str, *arguments: str, parent: tuple[int, str] | None = None, hidden: bool = False
) -> None:
    """The process 812 of that name; ``hidden``: as K3s does, its arguments as one text."""
    node.run_kubelet()
    process = node.proc / "812"
    (process / "comm").write_text(f"{comm}\n")
    separator = b" " if hidden else b"\0"
    (process / "cmdline").write_bytes(separator.join(a.encode() for a in arguments) + b"\0" * (9 if hidden else 1))
    if parent:
        fields = ["S", str(parent[0]), *["0"] * 48]
        fields[19] = "10000"
        (process / "stat").write_text(f"812 ({comm}) {' '.join(fields)}\n")
        (node.proc / str(parent[0])).mkdir()
        (node.proc / str(parent[0]) / "comm").write_text(f"{parent[1]}\n")


def _unit(node: Node, name: str, command: str, *lines: str) -> None:
    """What systemctl says of the unit, and that the process is in it."""
    shown = node.root / "shown"
    start = f"ExecStart={{ path=/x ; argv[]={command} ; ignore_errors=no ; pid=0 }}"
    state = ["LoadState=loaded", "ActiveState=active", "SubState=running"]
    shown.write_text("\n".join([f"Id={name}.service", *state, *lines, start]) + "\n")
    node.tool("systemctl", f'case "$*" in *"show {name} "*) cat {shown} ;; *) exit 1 ;; esac')
    node.settings["KCP_UNIT"] = ""
    if (node.proc / "812").exists():
        (node.proc / "812/cgroup").write_text(f"0::/system.slice/{name}.service\n")


def _agent(node: Node) -> pathlib.Path:
    """The agent's folder of K3s and RKE2."""
    agent = node.root / "data/agent"
    (agent / "etc/kubelet.conf.d").mkdir(parents=True)
    (agent / "logs").mkdir()
    for name in ("client-kubelet", "serving-kubelet"):
        pair = node.authority.issue("system:node:worker-7" if name.startswith("client") else "worker-7", "system:nodes")
        (agent / f"{name}.crt").write_text(pair.certificate)
        (agent / f"{name}.key").write_text(pair.key)
    node.write_kubeconfig(
        f"client-certificate: {agent}/client-kubelet.crt\nclient-key: {agent}/client-kubelet.key",
        agent / "kubelet.kubeconfig",
    )
    (agent / "etc/kubelet.conf.d/00-defaults.conf").write_text(
        f"kind: KubeletConfiguration\nauthentication:\n  x509:\n    clientCAFile: {node.root}/ca.crt\ntlsCertFile: {agent}/serving-kubelet.crt\n"
    )
    return agent


def _check_agent(evidence: dict[str, t.Any], agent: pathlib.Path) -> None:
    assert evidence["kubelet"]["data_dir"] == str(agent.parent)
    assert evidence["kubeconfig"]["path"] == f"{agent}/kubelet.kubeconfig"
    assert evidence["kubeconfig"]["user"]["client_certificate"] == f"{agent}/client-kubelet.crt"
    assert evidence["pki"]["path"] == str(agent)
    files = {os.path.basename(entry["path"]): entry for entry in evidence["pki"]["files"]}
    assert files["client-kubelet.crt"]["certificates"][0]["common_name"] == "system:node:worker-7"
    assert files["client-kubelet.crt"]["key_matches"] is True
    assert evidence["config"]["path"] == f"{agent}/etc/kubelet.conf.d/00-defaults.conf"
    assert evidence["config"]["drop_ins"] == []
    assert evidence["config"]["tls_cert_file"] == f"{agent}/serving-kubelet.crt"
    assert "rotate_certificates" in evidence["config"]["unset"]
    assert evidence["client_ca_file"]["certificates"][0]["is_ca"] is True


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "hidden arguments"])
@pytest.mark.parametrize("by", ["flag", "environment"])
def test_k3s_with_a_data_directory_of_its_own(node: Node, tools: list[str], hidden: bool, by: str) -> None:
    agent = _agent(node)
    words = ["/usr/local/bin/k3s", "agent"] + (["--data-dir", str(agent.parent)] if by == "flag" else [])
    _process(node, "k3s-agent", *(words[:2] if hidden else words), hidden=hidden)
    variables = [] if by == "flag" else [f'Environment=A=1 "K3S_DATA_DIR={agent.parent}" K3S_TOKEN=topsecret99']
    _unit(
        node,
        "k3s-agent",
        " ".join([*words, "--config", "/etc/rancher/k3s/config.yaml", "--kubelet-arg=v=2"]),
        *variables,
    )
    evidence = node.probe(tools)
    kubelet = evidence["kubelet"]
    assert (kubelet["binary"], kubelet["unit"]["name"]) == ("k3s", "k3s-agent.service")
    assert "config" not in (kubelet["flags"] or {}), "the flag is K3s' own"
    _check_agent(evidence, agent)
    assert "topsecret99" not in str(evidence)


def test_arguments_that_k3s_hands_to_its_kubelet(node: Node, shell: list[str]) -> None:
    agent = _agent(node)
    words = [
        "k3s",
        "server",
        "-d",
        str(agent.parent),
        "--kubelet-arg=rotate-certificates=true",
        "--kubelet-arg",
        "node-ip=10.0.0.1",
    ]
    _process(node, "k3s-server", *words, "--config", "/k3s.yaml", "-v", "3")
    assert node.probe(shell)["kubelet"]["flags"] == {"rotate-certificates": "true", "node-ip": "10.0.0.1"}


def test_a_kubectl_of_k3s_is_no_node(node: Node, tools: list[str]) -> None:
    _process(node, "k3s", "k3s", "kubectl", "get", "nodes")
    assert node.probe(tools)["kubelet"]["pid"] is None


def test_rke2_and_the_log_of_its_kubelet(node: Node, shell: list[str]) -> None:
    agent = _agent(node)
    _process(
        node, "kubelet", "kubelet", f"--kubeconfig={agent}/kubelet.kubeconfig", f"--cert-dir={agent}",
        f"--config-dir={agent}/etc/kubelet.conf.d", parent=(700, "rke2"),
    )  # fmt: skip
    _unit(node, "rke2-agent", f"/usr/local/bin/rke2 agent --data-dir={agent.parent}")
    moment = datetime.datetime.now(datetime.timezone.utc)
    stamp = time.strftime("%m%d %H:%M:%S")  # the kubelet writes its log in the node's own time
    (agent / "logs/kubelet.log").write_text(
        f'I{stamp}.000001     812 server.go:1] "Starting"\n'
        f'E{stamp}.000002     812 reflector.go:1] "Failed to watch" err="failed to list *v1.Node: Unauthorized"\n'
    )
    evidence = node.probe(shell)
    assert (evidence["kubelet"]["parent"], evidence["kubelet"]["flags_source"]) == ("rke2", "process")
    _check_agent(evidence, agent)
    assert (evidence["log"]["source"], evidence["log"]["lines"]) == ("file", 2)
    last = datetime.datetime.fromisoformat(evidence["log"]["counts"]["unauthorized"]["last"])
    assert abs((last - moment).total_seconds()) < 30


def test_rke2_that_is_stopped(node: Node, tools: list[str]) -> None:
    agent = _agent(node)
    for file in (node.proc / "812").iterdir():
        file.unlink()
    (node.proc / "812").rmdir()
    _unit(node, "rke2-agent", f"/usr/local/bin/rke2 agent --data-dir {agent.parent}")
    node.settings["KCP_UNIT"] = "rke2-agent"
    evidence = node.probe(tools)
    assert evidence["kubelet"]["pid"] is None
    assert evidence["kubeconfig"]["path"] == f"{agent}/kubelet.kubeconfig"
    assert evidence["pki"]["path"] == str(agent)


def test_microk8s_and_the_file_with_its_flags(node: Node, shell: list[str]) -> None:
    data = node.root / "snap/9044"
    (data / "args").mkdir(parents=True)
    (data / "certs").mkdir()
    (data / "certs/kubelet.crt").write_text(node.leaf.certificate)
    (data / "certs/kubelet.key").write_text(node.leaf.key)
    (data / "args/kubelet").write_text(
        "--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n--cert-dir=${SNAP_DATA}/certs\n--client-ca-file=${SNAP_DATA}/certs/ca.crt\n"
        '--anonymous-auth=false\n--root-dir=${SNAP_COMMON}/var/lib/kubelet\n--eviction-hard="memory.available<100Mi"\n'
    )
    _process(
        node,
        "kubelite",
        "/snap/microk8s/9044/kubelite",
        f"--proxy-args-file={data}/args/kube-proxy",
        f"--kubelet-args-file={data}/args/kubelet",
    )
    _unit(node, "snap.microk8s.daemon-kubelite", "/usr/bin/snap run microk8s.daemon-kubelite")
    evidence = node.probe(shell)
    kubelet = evidence["kubelet"]
    assert (kubelet["binary"], kubelet["flags_source"]) == ("kubelite", "process")
    assert kubelet["flags"] == {
        "kubeconfig": f"{data}/credentials/kubelet.config",
        "cert-dir": f"{data}/certs",
        "client-ca-file": f"{data}/certs/ca.crt",
        "root-dir": f"{node.root}/snap/common/var/lib/kubelet",
    }
    assert [os.path.basename(entry["path"]) for entry in evidence["pki"]["files"]] == ["kubelet.crt"]


@pytest.mark.parametrize(
    ("zone", "expected"), [("+0000", "10:00:00"), ("+0530", "04:30:00"), ("-0700", "17:00:00"), ("junk", "10:00:00")]
)
def test_the_zone_of_a_log_file(zone: str, expected: str) -> None:
    now = datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc)
    assert log_time("E1123_10:00:00.000001_812", now, zone) == f"2026-11-23T{expected}Z"
