# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lays a worker out as another distribution does: its paths, unit, process names and files, around the same real kubelet.

What is a distribution's own (its supervisor, its snap) is a script that stands in for it: it has its name and its arguments, and starts the
kubelet as that distribution does. Real are the kubelet, the API server it talks to, the certificates, the unit and the log.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import yaml

from . import certificates, init, layout, pki, running
from .settings import Json, LabError

UNITS = "/usr/lib/systemd/system"
AWAY = "/usr/local/lib/lab-away"
KUBELET = "/usr/bin/kubelet"
RKE2_KUBELET = "/var/lib/rancher/rke2/data/v1.36.3-rke2r1/bin/kubelet"
SNAP, SNAP_DATA, SNAP_COMMON = "/snap/microk8s/9044", "/var/snap/microk8s/9044", "/var/snap/microk8s/common"

#: A kubelet that is none by its process's name: those of K3s and MicroK8s are part of a larger process.
INSIDE = "/usr/local/lib/lab-inside"

K3S = f"""#!/bin/sh
# Stands in for K3s: an agent with the kubelet inside. K3s hides its arguments but for the first.
[ "$1" = agent ] && [ "$2" = --data-dir ] || exit 2
printf k3s-agent >/proc/$$/comm
{INSIDE} --kubeconfig="$3/agent/kubelet.kubeconfig" --config-dir="$3/agent/etc/kubelet.conf.d" $(cat "$3/agent/etc/lab-flags")
exit $?
"""

RKE2 = f"""#!/bin/sh
# Stands in for RKE2: an agent with the kubelet as a child process, and the kubelet's log in a file.
[ "$1" = agent ] || exit 2
agent=/var/lib/rancher/rke2/agent
{RKE2_KUBELET} --kubeconfig=$agent/kubelet.kubeconfig --config-dir=$agent/etc/kubelet.conf.d --cert-dir=$agent \\
    --tls-cert-file=$agent/serving-kubelet.crt --tls-private-key-file=$agent/serving-kubelet.key --client-ca-file=$agent/client-ca.crt \\
    $(cat $agent/etc/lab-flags) >>$agent/logs/kubelet.log 2>&1
exit $?
"""

MICROK8S = f"""#!/bin/sh
# Stands in for kubelite: a kubelet inside, with the arguments of its file.
for argument; do case $argument in --kubelet-args-file=*) file=${{argument#*=}} ;; esac; done
{INSIDE} $(sed -e 's#${{SNAP_DATA}}#{SNAP_DATA}#g' -e 's#${{SNAP_COMMON}}#{SNAP_COMMON}#g' "$file")
exit $?
"""

UNIT = """[Unit]
Description={title}
After=network-online.target containerd.service lab-machine.service

[Service]
ExecStart={command}
Restart=always
RestartSec=5
"""


class Layout(t.NamedTuple):
    """The unit and its command, and the files by path: content, mode."""

    unit: str
    command: str
    files: dict[str, tuple[str, str]]
    links: dict[str, str]


def lay_out(state: pathlib.Path, node: str, name: str, lifetime: str, used: float, expired_for: str | None) -> None:
    """Makes ``node`` one of that distribution, with a client certificate of that age, and starts it."""
    makers = {"k3s": _k3s, "rke2": _rke2, "microk8s": _microk8s, "eks": _eks}
    if name not in makers:
        raise LabError(f"There is no layout {name}: {', '.join(makers)}.")
    authority = pki.Authority.load(state / "pki")
    start, end = certificates.validity(lifetime, used, expired_for)
    address = next(machine.address for machine in init.Plan.load(state).machines if machine.name == node)
    client = authority.issue(f"system:node:{node}", ["system:nodes"], not_before=start, not_after=end)
    serving = authority.issue(node, usages=[pki.SERVER], names=[node, address])
    plan = makers[name](authority, node, address, client, serving)
    away = f"systemctl stop kubelet; mkdir -p {AWAY}; mv {UNITS}/kubelet.service {UNITS}/kubelet.service.d {AWAY}/"
    running.on(state, node, "sh", "-c", f"{away}; rm -f {certificates.PKI}/kubelet-client-*")
    links = {INSIDE: KUBELET, **plan.links}
    for path, target in links.items():
        running.on(state, node, "sh", "-c", 'mkdir -p "${1%/*}" && ln -sfn "$2" "$1"', "sh", path, target)
    unit = UNIT.format(title=f"The lab's {name}", command=plan.command)
    for path, (content, mode) in {**plan.files, f"/etc/systemd/system/{plan.unit}.service": (unit, "644")}.items():
        running.on(state, node, "mkdir", "-p", path.rpartition("/")[0])
        certificates.put(state, node, path, content, mode)
    running.on(state, node, "sh", "-c", f"systemctl daemon-reload && systemctl start {plan.unit}")


def put_back(state: pathlib.Path, node: str) -> None:
    """Makes ``node`` one of kubeadm's again, stopped."""
    script = f"""
systemctl stop kubelet k3s-agent rke2-agent snap.microk8s.daemon-kubelite
rm -rf /etc/systemd/system/kubelet.service /usr/bin/aws-iam-authenticator /etc/kubernetes/kubelet /var/lib/kubelet/kubeconfig
rm -rf /etc/systemd/system/k3s-agent.service /etc/systemd/system/rke2-agent.service
rm -rf /etc/systemd/system/snap.microk8s.daemon-kubelite.service /var/lib/rancher /srv/k3s /usr/local/bin/k3s /usr/local/bin/rke2
find /var/snap/microk8s -xdev -mindepth 1 -delete
rm -rf /snap {INSIDE}
[ ! -e {AWAY}/kubelet.service ] || mv {AWAY}/kubelet.service {AWAY}/kubelet.service.d {UNITS}/
systemctl daemon-reload
"""
    running.on(state, node, "sh", "-c", script, check=False)


def _k3s(authority: pki.Authority, node: str, address: str, client: Pair, serving: Pair) -> Layout:
    folder = "/srv/k3s"
    files = _rancher(f"{folder}/agent", authority, node, address, client, serving)
    files["/usr/local/bin/k3s"] = (K3S, "755")
    return Layout("k3s-agent", f"/usr/local/bin/k3s agent --data-dir {folder}", files, {})


def _rke2(authority: pki.Authority, node: str, address: str, client: Pair, serving: Pair) -> Layout:
    agent = "/var/lib/rancher/rke2/agent"
    files = _rancher(agent, authority, node, address, client, serving)
    files[f"{agent}/logs/kubelet.log"] = ("", "644")
    files["/usr/local/bin/rke2"] = (RKE2, "755")
    return Layout("rke2-agent", "/usr/local/bin/rke2 agent", files, {RKE2_KUBELET: KUBELET})


def _microk8s(authority: pki.Authority, node: str, address: str, client: Pair, serving: Pair) -> Layout:
    kubeconfig = layout.kubeconfig(authority, layout.API_URL, "kubelet", layout.embedded(*client))
    arguments = [
        "--kubeconfig=${SNAP_DATA}/credentials/kubelet.config",
        "--cert-dir=${SNAP_DATA}/certs",
        "--client-ca-file=${SNAP_DATA}/certs/ca.crt",
        "--anonymous-auth=false",
        "--root-dir=${SNAP_COMMON}/var/lib/kubelet",
        "--config=${SNAP_DATA}/args/lab-kubelet.yaml",
        f"--hostname-override={node}",
        f"--node-ip={address}",
    ]
    files = {
        f"{SNAP}/kubelite": (MICROK8S, "755"),
        f"{SNAP_DATA}/args/kubelet": ("\n".join(arguments) + "\n", "660"),
        f"{SNAP_DATA}/args/lab-kubelet.yaml": (_configuration(f"{SNAP_DATA}/certs/ca.crt"), "660"),
        f"{SNAP_DATA}/credentials/kubelet.config": (kubeconfig, "660"),
        f"{SNAP_DATA}/certs/ca.crt": (authority.pem.decode(), "660"),
        f"{SNAP_DATA}/certs/kubelet.crt": (serving[0].decode(), "660"),
        f"{SNAP_DATA}/certs/kubelet.key": (serving[1].decode(), "600"),
        f"{SNAP_COMMON}/var/lib/kubelet/.lab": ("", "600"),
    }
    command = (
        f"{SNAP}/kubelite --proxy-args-file={SNAP_DATA}/args/kube-proxy --kubelet-args-file={SNAP_DATA}/args/kubelet"
    )
    links = {"/var/snap/microk8s/current": SNAP_DATA, "/snap/microk8s/current": SNAP}
    return Layout("snap.microk8s.daemon-kubelite", f"{command} --start-control-plane=false", files, links)


def _eks(authority: pki.Authority, node: str, address: str, client: Pair, serving: Pair) -> Layout:
    """Its authenticator answers with a certificate instead of a token, as the lab's API server knows no IAM."""
    del serving  # the one that the kubelet got by CSR stays
    status = {"clientCertificateData": client[0].decode(), "clientKeyData": client[1].decode()}
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    command = {"command": "/usr/bin/aws-iam-authenticator", "args": ["token", "-i", "lab"], "interactiveMode": "Never"}
    kubeconfig = yaml.safe_load(
        layout.kubeconfig(
            authority, layout.API_URL, "kubelet", {"exec": {"apiVersion": credential["apiVersion"], **command}}
        )
    )
    kubeconfig["clusters"][0]["cluster"] = {
        "certificate-authority": "/etc/kubernetes/pki/ca.crt",
        "server": layout.API_URL,
    }
    config: Json = yaml.safe_load(_configuration("/etc/kubernetes/pki/ca.crt"))
    config["serverTLSBootstrap"] = True
    files = {
        "/usr/bin/aws-iam-authenticator": (f"#!/bin/sh\ncat <<'ANSWER'\n{json.dumps(credential)}\nANSWER\n", "700"),
        "/etc/kubernetes/kubelet/config.json": (json.dumps(config, indent=2), "644"),
        "/var/lib/kubelet/kubeconfig": (yaml.safe_dump(kubeconfig, sort_keys=False), "644"),
    }
    flags = "--config=/etc/kubernetes/kubelet/config.json --kubeconfig=/var/lib/kubelet/kubeconfig"
    start = f"{KUBELET} {flags} --hostname-override={node} --node-ip={address}"
    return Layout("kubelet", start, files, {})


Pair = tuple[bytes, bytes]


def _rancher(
    agent: str, authority: pki.Authority, node: str, address: str, client: Pair, serving: Pair
) -> dict[str, tuple[str, str]]:
    """What K3s and RKE2 have in common: the agent's folder."""
    user = {"client-certificate": f"{agent}/client-kubelet.crt", "client-key": f"{agent}/client-kubelet.key"}
    kubeconfig = yaml.safe_load(layout.kubeconfig(authority, layout.API_URL, "user", user))
    kubeconfig["clusters"][0]["cluster"] = {"certificate-authority": f"{agent}/server-ca.crt", "server": layout.API_URL}
    files = {
        "client-kubelet.crt": (client[0].decode(), "644"),
        "client-kubelet.key": (client[1].decode(), "600"),
        "serving-kubelet.crt": (serving[0].decode(), "644"),
        "serving-kubelet.key": (serving[1].decode(), "600"),
        "client-ca.crt": (authority.pem.decode(), "644"),
        "server-ca.crt": (authority.pem.decode(), "644"),
        "kubelet.kubeconfig": (yaml.safe_dump(kubeconfig, sort_keys=False), "600"),
        "etc/kubelet.conf.d/00-defaults.conf": (
            _configuration(f"{agent}/client-ca.crt", f"{agent}/serving-kubelet"),
            "600",
        ),
        "etc/lab-flags": (f"--hostname-override={node} --node-ip={address}\n", "644"),
    }
    return {f"{agent}/{name}": value for name, value in files.items()}


def _configuration(client_ca: str, serving: str | None = None) -> str:
    """The lab's KubeletConfiguration without a word about rotation."""
    config: Json = yaml.safe_load(layout.kubelet_configuration(control_plane=False))
    del config["rotateCertificates"], config["serverTLSBootstrap"]
    config["authentication"]["x509"]["clientCAFile"] = client_ca
    if serving:
        config.update(tlsCertFile=f"{serving}.crt", tlsPrivateKeyFile=f"{serving}.key")
    return yaml.safe_dump(config, sort_keys=False)
