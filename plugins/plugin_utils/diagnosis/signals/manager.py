# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""More signals ``controller_manager``: as whom it acts, whether it crashes, what it said last; and ``control_plane_certificates``."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    dig,
    seconds_since,
)

STALE_NODE_SECONDS = 60
"""A node whose lease is older has no kubelet that would tell the API server how its pods are."""

OF_THE_ACCOUNT = (
    "approver_update_approval",
    "approver_approve_client",
    "signer_update_status",
    "signer_sign_client",
    "signer_sign_serving",
)
"""Reviews asked for the certificate controller's service account."""


def manager_signals(cluster: Cluster, flags: Data | None, alive: bool | None, now: str) -> Data:
    """``own_identity``: it acts as itself, not as the service accounts of its controllers (``--use-service-account-credentials`` is
    false by default). ``crashing``: a container of it ended and is not ready. ``waiting_to_lead``: one runs, and none leads.
    """
    pods = _current_pods(cluster, now)
    crash = next((pod for pod in pods or () if _crashed(pod)), None)
    ended = dig(crash, "last_termination")
    credentials = _credentials(cluster, now)
    return {
        "controllers": None if flags is None else flags.get("controllers") or "*",
        "own_identity": None if flags is None else str(flags.get("use-service-account-credentials")).lower() != "true",
        "crashing": None if pods is None else crash is not None,
        "crash": None
        if crash is None
        else {
            "pod": crash.get("name"),
            "restarts": crash.get("restarts"),
            "waiting": crash.get("waiting"),
            "reason": dig(ended, "reason"),
            "message": dig(ended, "message"),
            "exit_code": dig(ended, "exit_code"),
            "finished": dig(ended, "finished"),
        },
        "waiting_to_lead": _waiting_to_lead(cluster, pods, flags, alive),
        "credentials": credentials,
        "log": _log(cluster),
    }


def _waiting_to_lead(cluster: Cluster, pods: list[Data] | None, flags: Data | None, alive: bool | None) -> bool | None:
    """One is ready, and none leads: the lease is old, or there is none although the flags let it elect a leader (the default)."""
    if alive is None and flags is not None and str(flags.get("leader-elect")).lower() != "false":
        gaps = dig(cluster.control_plane_info, "not_seen") or ()
        if any(gap.get("subject") == "controller_manager.lease" and gap.get("reason") == "not_found" for gap in gaps):
            alive = False
    if pods is None or alive is None:
        return None
    return alive is False and any(pod.get("ready") for pod in pods)


def effective_reviews(rbac: Data, own_identity: bool | None) -> Data:
    """The reviews, without those of an account that the controller manager does not act as: what it may is then unknown of them."""
    if own_identity is not True:
        return rbac
    return {name: review for name, review in rbac.items() if name not in OF_THE_ACCOUNT}


def control_plane_certificates(cluster: Cluster, now: str) -> list[Data] | None:
    """The certificates that every rotation depends on and the kubelets do not renew: ``what``, ``path``, validity; None when none was seen.

    ``due``: it has used 70 % of its lifetime, after which one that renews itself would have been renewed.
    """
    found: list[Data] = []
    presented = dig(cluster.control_plane_info, "api_server", "serving_certificates") or ()
    if presented:
        _add(found, "the API server's serving certificate", None, presented[0], now)
    for host in cluster.control_plane_hosts:
        flags = dig(host, "manifests", "kube-apiserver", "flags")
        for what, flag in (
            ("the API server's serving certificate", "tls-cert-file"),
            ("the API server's certificate for kubelets", "kubelet-client-certificate"),
        ):
            path = dig(flags, flag)
            entry = next((e for e in dig(host, "files") or () if path and e.get("path") == path), None)
            for certificate in (dig(entry, "certificates") or ())[:1]:
                _add(found, what, f"{host.get('host')}:{path}", certificate, now)
        user = dig(host, "manager_kubeconfig", "user", "certificates")
        for certificate in (user or ())[:1]:
            path = f"{host.get('host')}:{dig(host, 'manager_kubeconfig', 'path')}"
            _add(found, "the controller manager's certificate", path, certificate, now)
    return sorted(found, key=lambda entry: str(entry["not_after"])) or None


def _add(found: list[Data], what: str, path: str | None, certificate: Data, now: str) -> None:
    lifetime = seconds_since(certificate.get("not_before"), certificate.get("not_after") or "")
    left = seconds_since(certificate.get("not_after"), now)
    if lifetime is None or left is None or any(entry["serial"] == certificate.get("serial") for entry in found):
        return
    found.append(
        {
            "what": what,
            "path": path or "presented",
            "serial": certificate.get("serial"),
            "not_after": certificate.get("not_after"),
            "seconds_left": -left,
            "expired": left > 0,
            "due": -left <= lifetime * 0.3,
        }
    )


def _current_pods(cluster: Cluster, now: str) -> list[Data] | None:
    """Its pods on nodes whose kubelet still reports: of the others the record is old, and says nothing."""
    pods = dig(cluster.control_plane_info, "controller_manager", "pods")
    if pods is None:
        return None
    seen = dig(cluster.node_info, "collected_at") or now
    silent = {
        node.get("name")
        for node in dig(cluster.node_info, "nodes") or ()
        if (seconds_since(dig(node, "lease", "renewed"), seen) or 0) > STALE_NODE_SECONDS
    }
    return [pod for pod in pods if pod.get("node") not in silent]


def _crashed(pod: Data) -> bool:
    if pod.get("waiting") == "CrashLoopBackOff":
        return True
    return pod.get("ready") is False and dig(pod, "last_termination", "exit_code") not in (None, 0)


def _credentials(cluster: Cluster, now: str) -> Data | None:
    """The certificate in the controller manager's kubeconfig, the one that ends first of all control-plane hosts'."""
    found: list[Data] = []
    for host in cluster.control_plane_hosts:
        kubeconfig = dig(host, "manager_kubeconfig")
        certificates = dig(kubeconfig, "user", "certificates") or _of_file(
            host, dig(kubeconfig, "user", "client_certificate")
        )
        for certificate in certificates[:1]:
            left = seconds_since(certificate.get("not_after"), now)
            if left is not None:
                found.append(
                    {
                        "host": host.get("host"),
                        "path": dig(kubeconfig, "path"),
                        "common_name": certificate.get("common_name"),
                        "not_before": certificate.get("not_before"),
                        "not_after": certificate.get("not_after"),
                        "expired": left > 0,
                        "issuer_key": certificate.get("authority_key_id"),
                    }
                )
    return min(found, key=lambda entry: str(entry["not_after"]), default=None)


def _of_file(host: Data, path: str | None) -> list[Data]:
    entry = next((e for e in dig(host, "files") or () if path and e.get("path") == path), None)
    return list(dig(entry, "certificates") or ())


def _log(cluster: Cluster) -> list[Data] | None:
    logs = [dig(host, "manager_log") for host in cluster.control_plane_hosts]
    known = [entries for entries in logs if entries is not None]
    lines = [{"time": line.get("time"), "message": line["message"]} for entries in known for line in entries]
    return sorted(lines, key=lambda line: str(line["time"])) if known else None
