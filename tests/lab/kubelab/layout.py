# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of each machine, laid out as kubeadm does, written to a *seed* folder that becomes part of the machine's root."""

from __future__ import annotations

import os
import pathlib
import shutil
import uuid

import yaml

from . import manifests, pki
from .settings import API_NAME, API_PORT, BRIDGE_ADDRESS, CONTROL_PLANE, Json, Machine

API_URL = f"https://{API_NAME}:{API_PORT}"
CURRENT = "var/lib/kubelet/pki/kubelet-client-current.pem"


def cluster_pki(directory: pathlib.Path, address: str) -> None:
    """Fill ``directory`` as kubeadm fills /etc/kubernetes/pki. ``address`` is the control plane's."""
    authority = pki.Authority.create("kubernetes")
    front_proxy = pki.Authority.create("front-proxy-ca")
    etcd = pki.Authority.create("etcd-ca")
    authority.save(directory)
    front_proxy.save(directory, "front-proxy-ca")
    etcd.save(directory / "etcd")
    names = [CONTROL_PLANE, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += ["kubernetes.default.svc.cluster.local", API_NAME, "10.96.0.1", address]
    local = [CONTROL_PLANE, "localhost", address, "127.0.0.1", "::1"]
    admins = ["kubeadm:cluster-admins"]
    leafs = {
        "apiserver": authority.issue("kube-apiserver", usages=[pki.SERVER], names=names),
        "apiserver-kubelet-client": authority.issue("kube-apiserver-kubelet-client", admins),
        "front-proxy-client": front_proxy.issue("front-proxy-client"),
        "apiserver-etcd-client": etcd.issue("kube-apiserver-etcd-client"),
        "etcd/server": etcd.issue(CONTROL_PLANE, usages=[pki.SERVER, pki.CLIENT], names=local),
    }
    for name, (certificate, key) in leafs.items():
        pki.write(directory / f"{name}.crt", certificate)
        pki.write(directory / f"{name}.key", key, 0o600)
    private, public = pki.new_key_pair()
    pki.write(directory / "sa.key", private, 0o600)
    pki.write(directory / "sa.pub", public)


def kubeconfig(authority: pki.Authority, server: str, user: str, credentials: Json) -> str:
    """A kubeconfig as kubeadm writes it, YAML; ``credentials`` is the content of its one user."""
    cluster = "kubernetes"
    context = f"{user}@{cluster}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "clusters": [
                {
                    "cluster": {"certificate-authority-data": pki.base64_text(authority.pem), "server": server},
                    "name": cluster,
                }
            ],
            "contexts": [{"context": {"cluster": cluster, "user": user}, "name": context}],
            "current-context": context,
            "kind": "Config",
            "users": [{"name": user, "user": credentials}],
        },
        sort_keys=False,
        width=100000,
    )


def embedded(certificate: bytes, key: bytes) -> Json:
    """Credentials that carry the certificate and its key."""
    return {
        "client-certificate-data": pki.base64_text(certificate),
        "client-key-data": pki.base64_text(key),
    }


def kubelet_configuration(control_plane: bool) -> str:
    """/var/lib/kubelet/config.yaml: kubeadm's, and what a kubelet inside a container of the lab needs."""
    config: Json = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": "0s", "enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "0s", "cacheUnauthorizedTTL": "0s"}},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "rotateCertificates": True,
        "serverTLSBootstrap": True,
        "staticPodPath": "/etc/kubernetes/manifests",
        "resolvConf": "/etc/resolv.conf",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
    }
    if control_plane:
        config["fileCheckFrequency"] = "2s"
    return yaml.safe_dump(config, sort_keys=False)


def bootstrap_kubeconfig(authority: pki.Authority, token: str) -> str:
    """/etc/kubernetes/bootstrap-kubelet.conf, with the bootstrap token."""
    return kubeconfig(authority, API_URL, "tls-bootstrap-token-user", {"token": token})


def client_kubeconfig(authority: pki.Authority, node: str) -> str:
    """/etc/kubernetes/kubelet.conf of a node, which names the certificate that the kubelet rotates."""
    current = f"/{CURRENT}"
    return kubeconfig(
        authority,
        API_URL,
        f"system:node:{node}" if node == CONTROL_PLANE else "default-auth",
        {"client-certificate": current, "client-key": current},
    )


def seed_machine(seed: pathlib.Path, machine: Machine, ssh_public_key: str, host_keys: pathlib.Path) -> None:
    """What a machine has before it joins a cluster: its identity, its way to the others, its SSH keys."""
    etc = seed / "etc"
    pki.write(etc / "hostname", f"{machine.name}\n")
    pki.write(etc / "machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    hosts = f"127.0.0.1 localhost\n{machine.address} {machine.name}\n"
    pki.write(etc / "hosts", hosts)
    pki.write(etc / "resolv.conf", f"nameserver {BRIDGE_ADDRESS}\noptions timeout:1 attempts:1\n")
    pki.write(seed / "root/.ssh/authorized_keys", ssh_public_key, 0o600)
    (seed / "root").chmod(0o700)
    (seed / "root/.ssh").chmod(0o700)
    for source in sorted(host_keys.iterdir()):
        target = etc / "ssh" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    pki.write(seed / "var/lib/kubelet/config.yaml", kubelet_configuration(machine.is_control_plane))
    flags = f'KUBELET_KUBEADM_ARGS="--hostname-override={machine.name} --node-ip={machine.address}"\n'
    pki.write(seed / "var/lib/kubelet/kubeadm-flags.env", flags, 0o600)
    (etc / "kubernetes/manifests").mkdir(parents=True, exist_ok=True)
    (seed / "var/lib/kubelet/pki").mkdir(parents=True, exist_ok=True)


def join_hosts(seed: pathlib.Path, api_address: str) -> None:
    """Let a machine resolve the API server's name."""
    with (seed / "etc/hosts").open("a") as stream:
        stream.write(f"{api_address} {API_NAME}\n")


def seed_worker(seed: pathlib.Path, authority: pki.Authority, token: str) -> None:
    """What ``kubeadm join`` writes before the kubelet starts."""
    pki.write(seed / "etc/kubernetes/pki/ca.crt", authority.pem)
    pki.write(seed / "etc/kubernetes/bootstrap-kubelet.conf", bootstrap_kubeconfig(authority, token), 0o600)


def seed_control_plane(seed: pathlib.Path, machine: Machine, cluster: pathlib.Path, signing_duration: str) -> None:
    """What ``kubeadm init`` writes. ``cluster`` is the folder that :func:`cluster_pki` filled."""
    kubernetes = seed / "etc/kubernetes"
    shutil.copytree(cluster, kubernetes / "pki", dirs_exist_ok=True)
    authority = pki.Authority.load(cluster)
    local = f"https://{machine.address}:{API_PORT}"
    for name, user, organizations, server in (
        ("admin.conf", "kubernetes-admin", ["kubeadm:cluster-admins"], API_URL),
        ("super-admin.conf", "kubernetes-super-admin", ["system:masters"], API_URL),
        ("controller-manager.conf", "system:kube-controller-manager", [], local),
        ("scheduler.conf", "system:kube-scheduler", [], local),
    ):
        content = kubeconfig(authority, server, user, embedded(*authority.issue(user, organizations)))
        pki.write(kubernetes / name, content, 0o600)
    pki.write(kubernetes / "kubelet.conf", client_kubeconfig(authority, machine.name), 0o600)
    store_client_certificate(seed, *authority.issue(f"system:node:{machine.name}", ["system:nodes"]))
    pki.write(kubernetes / "manifests/kube-apiserver.yaml", manifests.api_server(machine.address), 0o600)
    pki.write(
        kubernetes / "manifests/kube-controller-manager.yaml", manifests.controller_manager(signing_duration), 0o600
    )


def store_client_certificate(root: pathlib.Path, certificate: bytes, key: bytes) -> None:
    """Put a client certificate where the kubelet does, the way it does: a file with a time in its name, and a symlink."""
    directory = root / os.path.dirname(CURRENT)
    name = f"kubelet-client-{pki.now():%Y-%m-%d-%H-%M-%S}.pem"
    pki.write(directory / name, certificate + key, 0o600)
    current = root / CURRENT
    current.unlink(missing_ok=True)
    current.symlink_to(f"/{os.path.dirname(CURRENT)}/{name}")


def cluster_objects(authority: pki.Authority, token: str, expiration: str) -> str:
    """The objects that ``kubeadm init`` leaves in a cluster for nodes to join and rotate, YAML; and the lab approver's."""
    group = "system:bootstrappers:kubeadm:default-node-token"
    approve = "system:certificates.k8s.io:certificatesigningrequests"
    token_id, token_secret = token.split(".")
    info = yaml.safe_load(kubeconfig(authority, API_URL, "", {}))
    info.update(contexts=None, users=None)
    info["clusters"][0]["name"] = info["current-context"] = ""
    approver = "kubecare-lab:kubelet-serving-approver"
    objects: list[Json] = [
        _binding("kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins"),
        _binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", group),
        _binding("kubeadm:node-autoapprove-bootstrap", f"{approve}:nodeclient", group),
        _binding("kubeadm:node-autoapprove-certificate-rotation", f"{approve}:selfnodeclient", "system:nodes"),
        _role("kubeadm:get-nodes", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]),
        _binding("kubeadm:get-nodes", "kubeadm:get-nodes", group),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cluster-info", "namespace": "kube-public"},
            "data": {"kubeconfig": yaml.safe_dump(info, sort_keys=False, width=100000)},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "kubeadm:bootstrap-signer-clusterinfo", "namespace": "kube-public"},
            "rules": [
                {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"], "verbs": ["get"]}
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "kubeadm:bootstrap-signer-clusterinfo", "namespace": "kube-public"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "kubeadm:bootstrap-signer-clusterinfo",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:anonymous"}],
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": token_id,
                "token-secret": token_secret,
                "expiration": expiration,
                "auth-extra-groups": group,
                "usage-bootstrap-authentication": "true",
                "usage-bootstrap-signing": "true",
            },
        },
        _role(
            approver,
            [
                {
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["certificatesigningrequests"],
                    "verbs": ["get", "list", "watch"],
                },
                {
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["certificatesigningrequests/approval"],
                    "verbs": ["update"],
                },
                {
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["signers"],
                    "resourceNames": ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"],
                    "verbs": ["approve"],
                },
            ],
        ),
        _binding(approver, approver, approver, "User"),
    ]
    return yaml.safe_dump_all(objects, sort_keys=False, width=100000)


def _role(name: str, rules: list[Json]) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(name: str, role: str, subject: str, kind: str = "Group") -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
    }
