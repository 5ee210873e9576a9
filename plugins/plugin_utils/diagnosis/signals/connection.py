# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``connection`` and ``api_server``: what a node meets on its way to the API server, and what this machine met."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)


def connection_signals(view: View) -> Data:
    """From the node to ``kubeconfig.server``. ``identity``: the user name the API server gives the node's certificate."""
    network = dig(view.probe, "network")
    resolved = dig(network, "resolved")
    presented = dig(network, "server_certificates")
    server = presented[0] if presented and "error" not in presented[0] else None
    status = dig(network, "authentication", "http_status")
    left = seconds_since(dig(server, "not_after"), view.now)
    return {
        "host": dig(network, "host"),
        "port": dig(network, "port"),
        "via_proxy": dig(network, "via_proxy"),
        "resolved": None if resolved is None else bool(resolved),
        "resolve_error": dig(network, "resolve_error"),
        "connect": dig(network, "connect"),
        "connect_error": dig(network, "connect_error"),
        "tls": dig(network, "tls"),
        "tls_error": dig(network, "tls_error"),
        "server_trusted": dig(network, "server_trusted"),
        "server_name_matches": dig(network, "server_name_matches"),
        "server_issuer": dig(server, "issuer"),
        "server_not_after": dig(server, "not_after"),
        "server_expired": None if left is None else left > 0,
        "trusted_issuers": [
            cert.get("subject")
            for cert in dig(view.probe, "kubeconfig", "ca", "certificates") or ()
            if "error" not in cert
        ],
        "ca_fingerprint": _first_fingerprint(dig(view.probe, "kubeconfig", "ca", "certificates")),
        "http_status": status,
        "identity": dig(network, "authentication", "username"),
        "authentication_message": dig(network, "authentication", "message"),
    }


def api_server_signals(view: View) -> Data:
    """The API server as the control node met it."""
    info = view.cluster.control_plane_info
    return {
        "url": dig(info, "api_server", "url"),
        "reachable": dig(info, "api_server", "reachable"),
        "error": dig(info, "api_server", "error", "message"),
        "version": dig(info, "api_server", "version"),
        "ready": dig(info, "api_server", "readyz", "ok"),
        "failing_checks": [
            check.get("name") for check in dig(info, "api_server", "readyz", "checks") or () if check.get("ok") is False
        ],
        "cluster_ca_fingerprint": _first_fingerprint(dig(info, "cluster_ca", "certificates")),
    }


def _first_fingerprint(certificates: list[Data] | None) -> str | None:
    return certificates[0].get("fingerprint_sha256") if certificates else None
