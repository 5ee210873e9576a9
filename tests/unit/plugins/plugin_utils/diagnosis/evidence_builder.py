# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evidence of a healthy cluster, one worker and one control-plane node, and the few words with which a case changes it."""

from __future__ import annotations

import copy
import typing as t
from datetime import datetime, timedelta, timezone

from .layouts import lay_out

Data = dict[str, t.Any]

NODE = "worker-1"
NOW = "2026-11-23T20:00:00Z"
_NOW = datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc)
_SIGNERS = {"client": "kubernetes.io/kube-apiserver-client-kubelet", "serving": "kubernetes.io/kubelet-serving"}


def ago(seconds: float) -> str:
    """The time so many seconds before NOW; negative is after it."""
    return (_NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def certificate(used_percent: float = 30, lifetime: int = 365 * 86400, **changes: t.Any) -> Data:
    """A certificate record with so much of its life used; more than 100 has expired."""
    used = lifetime * used_percent / 100
    return {
        "subject": f"O=system:nodes,CN=system:node:{NODE}",
        "common_name": f"system:node:{NODE}",
        "organizations": ["system:nodes"],
        "issuer": "CN=kubernetes",
        "serial": "5e11a1",
        "not_before": ago(used),
        "not_after": ago(used - lifetime),
        "dns_names": [],
        "ip_addresses": [],
        "emails": [],
        "uris": [],
        "key_usages": ["digital signature"],
        "extended_key_usages": ["client auth"],
        "is_ca": False,
        "public_key": "ECDSA P-256",
        "public_key_sha256": "ab" * 32,
        "subject_key_id": None,
        "authority_key_id": "cd" * 20,
        "fingerprint_sha256": "ef" * 32,
        **changes,
    }


def csr(
    state: str = "pending",
    signer: str = "client",
    age: int = 300,
    requestor: str | None = None,
    request: Data | None = None,
    **changes: t.Any,
) -> Data:
    """A request of the node, made ``age`` seconds ago."""
    decided = {"denied": "Denied", "failed": "Failed"}.get(state, "Approved")
    condition = {"type": decided, "status": "True", "reason": "R", "message": "M", "last_update": ago(age - 1)}
    return {
        "name": f"csr-{state}-{age}",
        "uid": "u",
        "created": ago(age),
        "signer_name": _SIGNERS[signer],
        "requestor": requestor or f"system:node:{NODE}",
        "groups": ["system:nodes"],
        "node": NODE,
        "usages": ["digital signature", f"{signer if signer == 'client' else 'server'} auth"],
        "request": {
            "common_name": f"system:node:{NODE}",
            "organizations": ["system:nodes"],
            "dns_names": [NODE] if signer == "serving" else [],
            "ip_addresses": ["10.0.0.1"] if signer == "serving" else [],
            "emails": [],
            "uris": [],
            **(request or {}),
        },
        "error": None,
        "conditions": [] if state == "pending" else [condition],
        "state": state,
        "state_since": ago(age - 1),
        "certificate": None,
        **changes,
    }


def _review(user: str) -> Data:
    return {"user": user, "allowed": True, "reason": "", "granted_by": ["binding"]}


def _worker() -> Data:
    pki = "/var/lib/kubelet/pki"

    def file(name: str, cert: Data) -> Data:
        return {"path": f"{pki}/{name}", "type": "link", "target": f"{pki}/x.pem", "target_exists": True, "mode": "0600",
                "owner": "root", "modified": cert["not_before"], "certificates": [cert], "has_key": True, "key_matches": True}  # fmt: skip

    serving = certificate(
        extended_key_usages=["server auth"], serial="5e22", dns_names=[NODE], ip_addresses=["10.0.0.1"]
    )
    ca = certificate(
        10,
        10 * 365 * 86400,
        subject="CN=kubernetes",
        common_name="kubernetes",
        is_ca=True,
        serial="ca",
        subject_key_id="cd" * 20,
        fingerprint_sha256="ca" * 32,
    )
    server = certificate(subject="CN=kube-apiserver", common_name="kube-apiserver", serial="5e33")
    return {
        "collected_at": NOW,
        "inventory_hostname": NODE,
        "reachable": True,
        "root": True,
        "hostname": NODE,
        "addresses": ["10.0.0.1"],
        "clock": {"time": NOW, "offset_seconds": 0, "synchronized": True, "boot_time": ago(5e6), "uptime_seconds": 5000000,
                  "suspended_seconds": 0, "previous_boot_end": ago(5e6 + 60)},
        "kubelet": {
            "binary": "kubelet", "pid": 812, "state": "S", "started": ago(4e6), "version": None,
            "flags": {"kubeconfig": "/etc/kubernetes/kubelet.conf", "bootstrap-kubeconfig": "/etc/kubernetes/bootstrap-kubelet.conf"},
            "unit": {"name": "kubelet.service", "load_state": "loaded", "active_state": "active", "sub_state": "running",
                     "result": "success", "unit_file_state": "enabled", "restarts": 0, "main_exit_status": 0, "inactive_since": None,
                     "active_since": ago(4e6), "main_started": ago(4e6)},
        },
        "kubeconfig": {
            "path": "/etc/kubernetes/kubelet.conf", "exists": True, "modified": ago(1e7), "server": "https://api:6443", "error": None,
            "ca": {"source": "data", "certificates": [ca]},
            "user": {"kind": "client_certificate_file", "client_certificate": f"{pki}/kubelet-client-current.pem",
                     "client_key": f"{pki}/kubelet-client-current.pem", "certificates": []},
        },
        "bootstrap_kubeconfig": {"path": "/etc/kubernetes/bootstrap-kubelet.conf", "exists": False, "user": None},
        "config": {"path": "/var/lib/kubelet/config.yaml", "exists": True, "rotate_certificates": True, "server_tls_bootstrap": True,
                   "tls_cert_file": None, "unset": [], "modified": ago(9e6), "feature_gates": {}, "misspelled": [],
                   "layers": [{"path": "/var/lib/kubelet/config.yaml", "modified": ago(9e6), "rotate_certificates": True,
                               "server_tls_bootstrap": True}]},
        "pki": {"path": pki, "exists": True, "writable": True, "immutable": False,
                "history": {"client": {"files": 3, "last_hour": 0}, "serving": {"files": 3, "last_hour": 0}},
                "files": [file("kubelet-client-current.pem", certificate()), file("kubelet-server-current.pem", serving)],
                "filesystem": {"type": "ext4", "mount_point": "/", "read_only": False, "read_only_on_host": False, "size_bytes": 10**10, "free_bytes": 10**9,
                               "inodes": 10**6, "inodes_free": 10**5}},
        "denials": {"selinux": None, "lines": []},
        "log": {"source": "journal", "since": ago(86400), "first": ago(86000), "last": ago(10), "lines": 100, "counts": {},
                "entries": [], "dropped": 0, "longest_down": None},
        "network": {"host": "api", "port": 6443, "via_proxy": None, "resolved": ["10.0.0.9"], "resolve_error": None, "connect": "ok",
                    "connect_error": None, "tls": "ok", "tls_error": None, "server_certificates": [server], "server_trusted": True,
                    "server_name_matches": True, "client_certificate_requested": True, "addresses": [],
                    "authentication": {"http_status": 201, "username": f"system:node:{NODE}", "message": None}},
        "serving": {"address": "10.0.0.1", "port": 10250, "connect": "ok", "certificates": [serving], "error": None},
        "healthz": {"address": "127.0.0.1", "port": 10248, "answer": "answered", "http_status": 200},
        "control_plane": None,
        "not_seen": [],
    }  # fmt: skip


def _control_plane_host() -> Data:
    host = _worker()
    name = "cp-1"
    host.update(inventory_hostname=name, hostname=name, addresses=["10.0.0.9"])
    for entry in host["pki"]["files"]:
        entry["certificates"] = [
            {
                **entry["certificates"][0],
                "common_name": f"system:node:{name}",
                "public_key_sha256": "cc" * 32,
                "serial": "c" + entry["certificates"][0]["serial"],
                "ip_addresses": ["10.0.0.9"],
            }
        ]
    host["serving"]["certificates"] = host["pki"]["files"][1]["certificates"]
    ca = "/etc/kubernetes/pki/ca"
    host["control_plane"] = {
        "manifests": {
            "kube-apiserver": {
                "path": "/etc/kubernetes/manifests/kube-apiserver.yaml",
                "modified": ago(9e6),
                "flags": {"authorization-mode": "Node,RBAC", "enable-bootstrap-token-auth": "true"},
            },
            "kube-controller-manager": {
                "path": "/etc/kubernetes/manifests/kube-controller-manager.yaml",
                "modified": ago(9e6),
                "flags": {
                    "cluster-signing-cert-file": f"{ca}.crt",
                    "cluster-signing-key-file": f"{ca}.key",
                    "controllers": "*,bootstrapsigner,tokencleaner",
                    "use-service-account-credentials": "true",
                },
            },
        },
        "files": [
            {"path": f"{ca}.crt", "modified": ago(9e6), "certificates": [], "has_key": True, "key_matches": True}
        ],
    }
    return host


def healthy() -> Data:
    """The evidence of a healthy cluster at NOW; a fresh copy each time."""
    user, bootstrap, controller = (
        f"system:node:{NODE}",
        "system:bootstrap:abcdef",
        "system:serviceaccount:kube-system:certificate-controller",
    )
    return copy.deepcopy(
        {
            "manifest": {},
            "cluster": {
                "node_info": {
                    "collected_at": NOW,
                    "nodes": [_node(NODE, "10.0.0.1"), _node("cp-1", "10.0.0.9")],
                    "not_seen": [],
                },
                "csr_info": {"collected_at": NOW, "csrs": [], "last_issued": {}, "not_seen": []},
                "rbac_info": {
                    "collected_at": NOW,
                    "reviews": {
                        "node_create_csr": _review(user), "node_list_csr": _review(user), "node_watch_csr": _review(user), "node_selfnodeclient": _review(user),
                        "bootstrap_create_csr": _review(bootstrap), "bootstrap_nodeclient": _review(bootstrap),
                        "approver_update_approval": _review(controller), "approver_approve_client": _review(controller),
                        "approver_create_review": _review(controller),
                        "signer_update_status": _review(controller), "signer_sign_client": _review(controller), "signer_sign_serving": _review(controller),
                    },
                    "bindings": [], "roles": [], "not_seen": [],
                },
                "control_plane_info": {
                    "collected_at": NOW,
                    "api_server": {"url": "https://api:6443", "reachable": True, "error": None, "version": "v1.36.3", "time": NOW, "time_offset_seconds": 0,
                                   "readyz": {"ok": True, "checks": [{"name": "etcd", "ok": True, "message": ""}]},
                                   "serving_certificates": [certificate(serial="5e33", dns_names=["api"], ip_addresses=["10.0.0.9"])]},
                    "client_ca": {"certificates": []}, "cluster_ca": {"certificates": _worker()["kubeconfig"]["ca"]["certificates"]},
                    "approvers": [], "admission": [],
                    "cluster_info": {"server": "https://api:6443", "certificates": [], "tokens": ["knowns"]},
                    "controller_manager": {"lease": {"holder": "cp-1_x", "acquired": ago(9e6), "renewed": ago(2), "duration_seconds": 15},
                                           "pods": [{"name": "kube-controller-manager-cp-1", "ready": True, "restarts": 0, "started": ago(9e6), "flags": {}}]},
                    "not_seen": [],
                },
            },
            "nodes": {NODE: _worker(), "cp-1": _control_plane_host()},
        }
    )  # fmt: skip


def _node(name: str, address: str) -> Data:
    return {
        "name": name, "uid": name, "created": ago(3e7), "labels": {}, "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready", "last_transition": ago(3e7)}],
        "kubelet_version": "v1.36.3", "lease": {"holder": name, "renewed": ago(4), "duration_seconds": 40}, "events": [],
    }  # fmt: skip


def _dated(name: str, age: int, used: float = 10, **leaf: t.Any) -> Data:
    """A file of the store with a time in its name, written ``age`` seconds ago."""
    return {
        "path": f"/var/lib/kubelet/pki/{name}", "type": "file", "target": None, "target_exists": None, "modified": ago(age),
        "certificates": [certificate(used, **{"serial": "5e44", "public_key_sha256": "77" * 32, "fingerprint_sha256": "78" * 32, **leaf})],
        "has_key": True, "key_matches": True, "size_bytes": 1200, "error": None,
    }  # fmt: skip


def changed(case: Data) -> Data:
    """The healthy evidence with a case's changes.

    ``set``: path with slashes → value; ``csrs``: requests (arguments of ``csr``);
    ``flood``: so many issued ones of others; ``log``: category → age in seconds of one line;
    ``files``: dated files beside the others (arguments of ``_dated``).
    ``client_used`` / ``serving_used``: percent of the lifetime used, of the file on disk; ``embedded_used``: of data in the kubeconfig.
    ``layout``: of another distribution (``layouts.yml``).
    """
    evidence = healthy()
    worker = evidence["nodes"][NODE]
    for index, key in enumerate(("client_used", "serving_used")):
        if key in case:
            entry = worker["pki"]["files"][index]
            entry["certificates"] = [certificate(case[key], dns_names=[NODE], ip_addresses=["10.0.0.1"])]
            entry["modified"] = case.get("stored", entry["certificates"][0]["not_before"])
            if key == "serving_used":
                worker["serving"]["certificates"] = entry["certificates"]
            elif "stored" in case:  # by the kubelet itself, which says so
                seen = {"count": 1, "first": case["stored"], "last": case["stored"]}
                worker["log"].update(first=min(case["stored"], ago(86000)), counts={"rotated": seen})
    if "embedded_used" in case:
        worker["kubeconfig"]["user"].update(
            kind="client_certificate_data", client_certificate=None, certificates=[certificate(case["embedded_used"])]
        )
    if "layout" in case:
        lay_out(evidence, NODE, case["layout"])
    evidence["cluster"]["csr_info"]["csrs"] = [csr(**request) for request in case.get("csrs", ())]
    evidence["cluster"]["csr_info"]["csrs"] += [csr("issued", node="other") for _other in range(case.get("flood", 0))]
    for made in case.get("files", ()):
        worker["pki"]["files"].append(_dated(**made))
    for category, age in case.get("log", {}).items():
        worker["log"]["counts"][category] = {"count": 1, "first": ago(age), "last": ago(age)}
    for age in dict.fromkeys(case.get("log", {}).values()):
        categories = [category for category, seen in case["log"].items() if seen == age]
        entry = {"time": ago(age), "categories": categories, "message": f"E {' '.join(categories)}"}
        worker["log"]["entries"].append(entry)
    for path, value in case.get("set", {}).items():
        target: t.Any = evidence
        *parents, last = path.split("/")
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        target[int(last) if isinstance(target, list) else last] = value
    config = worker["config"]
    if config and config["layers"] and f"nodes/{NODE}/config/layers" not in case.get("set", {}):
        config["layers"][0]["rotate_certificates"] = config["rotate_certificates"]
    return evidence
