# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``connection`` and ``api_server``: what a node meets on its way to the API server, and what this machine met."""

from __future__ import annotations

import re
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    once,
    seconds_since,
)

_USER = re.compile(r"User \\*\"([^\"\\]{1,300})")


def connection_signals(view: View) -> Data:
    """From the node to ``kubeconfig.server``.

    ``identity``: the user name the API server gives the node's certificate, also where it refuses it something (403).
    ``server_of_cluster``: what presented itself to the node has a certificate of this cluster's CA, or the very one that the control node
    met. ``server_known``: the host is one by which the cluster is called. ``faulty_addresses``: of a name with several addresses, those that
    fail while another one is well.
    """
    network = dig(view.probe, "network")
    resolved = dig(network, "resolved")
    presented = dig(network, "server_certificates")
    kubeconfig = dig(view.probe, str(dig(network, "source") or "kubeconfig"))
    server = presented[0] if presented and "error" not in presented[0] else None
    status = dig(network, "authentication", "http_status")
    left = seconds_since(dig(server, "not_after"), view.now)
    return {
        "host": dig(network, "host"),
        "port": dig(network, "port"),
        "via_proxy": dig(network, "via_proxy"),
        "direct": dig(network, "direct"),
        "server": dig(kubeconfig, "server"),
        "kubeconfig": dig(kubeconfig, "path"),
        "server_known": known_host(view.cluster, dig(network, "host")),
        "resolved": None if resolved is None else bool(resolved),
        "resolved_to": resolved,
        "resolve_error": dig(network, "resolve_error"),
        "connect": dig(network, "connect"),
        "connect_error": dig(network, "connect_error"),
        "tls": dig(network, "tls"),
        "tls_error": dig(network, "tls_error"),
        "server_trusted": dig(network, "server_trusted"),
        "server_name_matches": dig(network, "server_name_matches"),
        "server_issuer": dig(server, "issuer"),
        "server_serial": dig(server, "serial"),
        "server_names": [*(dig(server, "dns_names") or ()), *(dig(server, "ip_addresses") or ())] if server else None,
        "server_of_cluster": _of_cluster(view.cluster, server),
        "client_certificate_requested": dig(network, "client_certificate_requested"),
        "faulty_addresses": _faulty(dig(network, "addresses"), view.now),
        "server_not_after": dig(server, "not_after"),
        "server_expired": None if left is None else left > 0,
        "trusted_issuers": [
            cert.get("subject") for cert in dig(kubeconfig, "ca", "certificates") or () if "error" not in cert
        ],
        "ca_fingerprint": _first_fingerprint(dig(kubeconfig, "ca", "certificates")),
        "http_status": status,
        "identity": dig(network, "authentication", "username") or _user_of(dig(network, "authentication", "message")),
        "authentication_message": dig(network, "authentication", "message"),
    }


def api_server_signals(view: View) -> Data:
    """The API server as the control node met it."""
    return {**_api_server(view.cluster), "policies_naming_node": _policies_naming(view)}


@once
def _api_server(cluster: Cluster) -> Data:
    info = cluster.control_plane_info
    return {
        "url": dig(info, "api_server", "url"),
        "reachable": dig(info, "api_server", "reachable"),
        "error": dig(info, "api_server", "error", "message"),
        "presents": bool(dig(info, "api_server", "serving_certificates")),
        "version": dig(info, "api_server", "version"),
        "ready": dig(info, "api_server", "readyz", "ok"),
        "failing_checks": [
            check.get("name") for check in dig(info, "api_server", "readyz", "checks") or () if check.get("ok") is False
        ],
        "etcd_ok": _etcd_ok(cluster),
        "etcd_faulty": _etcd_faulty(cluster),
        "etcd_full": _etcd_full(cluster),
        "etcd_alarms": [entry for entry in _etcd(cluster) if _is_full(entry)],
        "servers": known_hosts(cluster),
        "bootstrap_tokens": _flag(cluster, "enable-bootstrap-token-auth", "false", "true"),
        "node_authorizer": _flag(cluster, "authorization-mode", "AlwaysAllow", "Node"),
        "authorization_modes": _flags(cluster).get("authorization-mode"),
        "csr_api": _csr_api(cluster),
        "cluster_ca_fingerprint": _first_fingerprint(dig(info, "cluster_ca", "certificates")),
    }


def _first_fingerprint(certificates: list[Data] | None) -> str | None:
    return certificates[0].get("fingerprint_sha256") if certificates else None


@once
def cluster_cas(cluster: Cluster) -> list[Data]:
    """The CA certificates that the cluster hands out, by either ConfigMap; [] where none was seen."""
    info = cluster.control_plane_info
    found = [*(dig(info, "cluster_ca", "certificates") or ()), *(dig(info, "cluster_info", "certificates") or ())]
    return [cert for cert in found if isinstance(cert, dict) and "error" not in cert]


@once
def known_hosts(cluster: Cluster) -> list[str]:
    """The names and addresses by which the API server is called: by us, by kubeadm, and those of its own certificate."""
    info = cluster.control_plane_info
    leaf = next((cert for cert in dig(info, "api_server", "serving_certificates") or () if isinstance(cert, dict)), {})
    urls = (dig(info, "api_server", "url"), dig(info, "cluster_info", "server"))
    hosts = [host_of(url) for url in urls] + [*(leaf.get("dns_names") or ()), *(leaf.get("ip_addresses") or ())]
    return list(dict.fromkeys(host.lower() for host in hosts if isinstance(host, str) and host))


def known_host(cluster: Cluster, host: str | None) -> bool | None:
    """Whether ``host`` is one of them; None where the API server's certificate was not seen, which alone names them all, and for the
    node itself, where a balancer of its own may listen (k3s, kubespray)."""
    if not host or host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    if not dig(cluster.control_plane_info, "api_server", "serving_certificates"):
        return None
    known = known_hosts(cluster)
    parent = host.lower().partition(".")[2]
    return host.lower() in known or f"*.{parent}" in known


def host_of(url: str | None) -> str | None:
    """The host of a URL; None where it is none."""
    try:
        return urllib.parse.urlsplit(url or "").hostname
    except ValueError:
        return None


def _of_cluster(cluster: Cluster, server: Data | None) -> bool | None:
    """By the very certificate, else by the key id of its issuer (names do not tell: every CA of kubeadm's is ``CN=kubernetes``)."""
    if server is None:
        return None
    met = dig(cluster.control_plane_info, "api_server", "serving_certificates") or ()
    if server.get("fingerprint_sha256") in {cert.get("fingerprint_sha256") for cert in met if isinstance(cert, dict)}:
        return True
    clients = [
        cert for cert in dig(cluster.control_plane_info, "client_ca", "certificates") or () if "error" not in cert
    ]
    keys = {cert.get("subject_key_id") for cert in (*cluster_cas(cluster), *clients)}
    issuer = server.get("authority_key_id")
    return None if not issuer or not keys or None in keys else issuer in keys


def _faulty(addresses: list[Data] | None, now: str) -> list[Data] | None:
    """The addresses that do not work, where at least one other does; [] where the name has one address alone."""
    if not isinstance(addresses, list):
        return None
    faulty = [{**entry, "fault": fault} for entry in addresses if (fault := _fault(entry, now))]
    return faulty if len(faulty) < len(addresses) else []


def _fault(entry: Data, now: str) -> str | None:
    if ":" in str(dig(entry, "address")) and dig(entry, "connect") == "unreachable":
        return None  # a node without IPv6 does not take that way
    if dig(entry, "connect") not in ("ok", None):
        return f"{entry['connect']}"
    if dig(entry, "tls") not in ("ok", None):
        return f"TLS: {entry.get('error') or entry['tls']}"
    if dig(entry, "server_trusted") is False:
        return f"its certificate is of another CA, {entry.get('issuer')}"
    if (seconds_since(dig(entry, "not_after"), now) or 0) > 0:
        return f"its certificate ended {entry.get('not_after')}"
    if dig(entry, "server_name_matches") is False:
        return "its certificate is for another name"
    status = dig(entry, "http_status")
    return f"HTTP {status}" if isinstance(status, int) and status in (401, 403, *range(500, 600)) else None


def _user_of(message: str | None) -> str | None:
    found = _USER.search(message) if isinstance(message, str) else None
    return found.group(1) if found else None


def _etcd(cluster: Cluster) -> list[Data]:
    """What each control-plane node that was asked met at its etcd."""
    return [
        entry for host in cluster.control_plane_hosts for entry in dig(host, "etcd") or () if isinstance(entry, dict)
    ]


def _etcd_ok(cluster: Cluster) -> bool | None:
    """By the API server's own check, else whether any control-plane node that was asked can use it (to be full is another matter)."""
    checks = dig(cluster.control_plane_info, "api_server", "readyz", "checks")
    mine = [check.get("ok") for check in checks or () if isinstance(check, dict) and "etcd" in str(check.get("name"))]
    if mine:
        return all(mine)
    asked = _etcd(cluster)
    return False if asked and len(_etcd_faulty(cluster)) == len(asked) else None


def _etcd_faulty(cluster: Cluster) -> list[Data]:
    """The endpoints that take no connection from the API server's own machine, or say that they are not well."""
    return [
        entry
        for entry in _etcd(cluster)
        if entry.get("connect") in ("refused", "unreachable", "timeout")
        or (entry.get("healthy") is False and not _is_full(entry))
    ]


def _etcd_full(cluster: Cluster) -> bool | None:
    """Whether a member has the alarm NOSPACE: then the whole of etcd takes no writes. ``/readyz`` does not tell."""
    said = [entry for entry in _etcd(cluster) if entry.get("healthy") is not None]
    return any(map(_is_full, said)) if said else None


def _is_full(entry: Data) -> bool:
    return "NOSPACE" in str(entry.get("reason"))


def _flags(cluster: Cluster) -> Data:
    """The API server's flags, of the first control-plane node whose manifest was read."""
    manifests = (dig(host, "manifests", "kube-apiserver", "flags") for host in cluster.control_plane_hosts)
    return next((flags for flags in manifests if isinstance(flags, dict) and flags), {})


def _flag(cluster: Cluster, name: str, default: str, wanted: str) -> bool | None:
    """Whether ``wanted`` is among the flag's values; None where no manifest was read."""
    flags = _flags(cluster)
    return wanted in str(flags.get(name, default)).split(",") if flags else None


def _policies_naming(view: View) -> list[str] | None:
    """The admission policies that name this very node's user and that its log complains of; None where they were not listed."""
    policies = dig(view.cluster.control_plane_info, "admission")
    if not isinstance(policies, list):
        return None
    said = " ".join(str(dig(entry, "message")) for entry in dig(view.probe, "log", "entries") or ())
    naming = [policy for policy in policies if view.name in (dig(policy, "nodes") or ())]
    return [str(policy["name"]) for policy in naming if dig(policy, "name") and f"'{policy['name']}'" in said]


def _csr_api(cluster: Cluster) -> bool | None:
    """Whether the API server serves certificate signing requests."""
    if dig(cluster.csr_info, "csrs") is not None:
        return True
    missing = [entry for entry in dig(cluster.csr_info, "not_seen") or () if dig(entry, "subject") == "csrs"]
    return False if any(entry.get("reason") == "not_found" for entry in missing) else None
