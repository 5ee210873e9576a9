# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The static pods of the control plane, with the flags, mounts and probes that kubeadm gives them.

What differs from kubeadm: the image is the lab's own and the binary comes from the machine, and the controller manager's
leader election is quick, so that a restart is felt within seconds.
"""

from __future__ import annotations

import typing as t

import yaml

from .settings import API_PORT, IMAGE, MACHINE_BIN, SERVICE_CIDR, Json

PKI = "/etc/kubernetes/pki"


def api_server(address: str) -> str:
    """The manifest of kube-apiserver, YAML."""
    flags = [
        f"--advertise-address={address}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={PKI}/ca.crt",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        f"--etcd-cafile={PKI}/etcd/ca.crt",
        f"--etcd-certfile={PKI}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={PKI}/apiserver-etcd-client.key",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        f"--proxy-client-cert-file={PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={PKI}/front-proxy-client.key",
        "--requestheader-allowed-names=front-proxy-client",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--secure-port={API_PORT}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
    ]
    probe = {"host": address, "port": API_PORT, "scheme": "HTTPS"}
    container = {
        "command": ["kube-apiserver", *flags],
        "livenessProbe": _probe({**probe, "path": "/livez"}, 8),
        "readinessProbe": {
            "failureThreshold": 3,
            "httpGet": {**probe, "path": "/readyz"},
            "periodSeconds": 1,
            "timeoutSeconds": 15,
        },
        "startupProbe": _probe({**probe, "path": "/livez"}, 24),
    }
    return _manifest("kube-apiserver", container, {"k8s-certs": PKI})


def controller_manager(signing_duration: str) -> str:
    """The manifest of kube-controller-manager, YAML. ``signing_duration`` is how long what it signs is valid (Go's notation)."""
    kubeconfig = "/etc/kubernetes/controller-manager.conf"
    flags = [
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--client-ca-file={PKI}/ca.crt",
        "--cluster-name=kubernetes",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-duration={signing_duration}",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--controllers=*,bootstrapsigner,tokencleaner",
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=true",
        "--leader-elect-lease-duration=5s",
        "--leader-elect-renew-deadline=4s",
        "--leader-elect-retry-period=1s",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/sa.key",
        "--use-service-account-credentials=true",
    ]
    probe = {"host": "127.0.0.1", "path": "/healthz", "port": 10257, "scheme": "HTTPS"}
    container = {
        "command": ["kube-controller-manager", *flags],
        "livenessProbe": _probe(probe, 8),
        "startupProbe": _probe(probe, 24),
    }
    return _manifest("kube-controller-manager", container, {"k8s-certs": PKI}, {"kubeconfig": kubeconfig})


def _probe(target: Json, failures: int) -> Json:
    return {
        "failureThreshold": failures,
        "httpGet": target,
        "initialDelaySeconds": 1,
        "periodSeconds": 10,
        "timeoutSeconds": 15,
    }


def _manifest(name: str, container: Json, folders: dict[str, str], files: t.Mapping[str, str] | None = None) -> str:
    volumes = [{"name": key, "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for key, path in folders.items()]
    volumes += [
        {"name": key, "hostPath": {"path": path, "type": "FileOrCreate"}} for key, path in (files or {}).items()
    ]
    mounts: list[Json] = [
        {"name": volume["name"], "mountPath": volume["hostPath"]["path"], "readOnly": True}  # type: ignore[index]
        for volume in volumes
    ]
    volumes.append({"name": "binaries", "hostPath": {"path": MACHINE_BIN, "type": "Directory"}})
    mounts.append({"name": "binaries", "mountPath": "/usr/local/bin", "readOnly": True})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": {"kubecare.test/revision": "0"},
            "labels": {"component": name, "tier": "control-plane"},
            "name": name,
            "namespace": "kube-system",
        },
        "spec": {
            "containers": [
                {
                    "name": name,
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    **container,
                    "volumeMounts": mounts,
                }
            ],
            "hostNetwork": True,
            "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 5,
            "volumes": volumes,
        },
    }
    return yaml.safe_dump(pod, sort_keys=False, width=1000)
