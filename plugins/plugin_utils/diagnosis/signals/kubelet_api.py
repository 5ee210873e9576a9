# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``kubelet_api``: the kubelet's own port, and whether it and the API server trust each other there."""

from __future__ import annotations

import ipaddress

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.store import leaf_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
"""The taint of a node that waits for its cloud controller manager (``k8s.io/cloud-provider/api``)."""

START_SECONDS = 20
"""How long a kubelet may need from its start until its port is open."""

INITIALIZE_SECONDS = 30
"""How long a cloud controller manager may need for a new node."""


def kubelet_api_signals(view: View, serving: Data, running: bool | None) -> Data:
    """``closed``: a kubelet runs, should serve, and nothing answers on its port. ``template``: the kubelet has an address to ask a serving
    certificate for (``pkg/kubelet/certificate/kubelet.go``: newGetTemplateFn). ``lacks``: addresses of the Node that the certificate served
    does not hold. ``trusted``, ``trusts``: does the API server know the certificate served, and does the kubelet know the API server's.
    """
    probe = view.probe
    connect = dig(probe, "serving", "connect")
    up = seconds_since(dig(probe, "kubelet", "started"), view.now)
    off = dig(probe, "config", "enable_server") is False
    presented = leaf_of(dig(probe, "serving") or {})
    authority, authority_file = _of_api_server(view, "kubelet-certificate-authority")
    client, client_file = _of_api_server(view, "kubelet-client-certificate")
    own_ca = dig(probe, "client_ca_file", "certificates")
    flags = _flags(view)
    chain = dig(probe, "serving", "certificates") or []
    return {
        "port": dig(probe, "serving", "port"),
        "connect": connect,
        "error": dig(probe, "serving", "error"),
        "closed": None
        if connect is None or running is None
        else bool(running and not off and connect != "ok" and up is not None and up >= START_SECONDS),
        "uptime_seconds": up,
        "issuer": presented.get("issuer"),
        "subject": presented.get("subject"),
        "names": [*(presented.get("dns_names") or ()), *(presented.get("ip_addresses") or ())] if presented else None,
        "node_ips": _ips(view),
        "node_addresses": None
        if dig(view.node, "addresses") is None
        else [f"{a.get('type')} {a.get('address')}" for a in view.node["addresses"]]
        if view.node
        else None,
        "template": _template(view),
        "lacks": _lacking(_ips(view), presented) if presented and serving["self_signed"] is False else None,
        "verified": None if flags is None else bool(flags.get("kubelet-certificate-authority")),
        "authority_file": authority_file,
        "trusted": _signed_by(chain, authority) if presented and authority else None,
        "api_client_file": client_file,
        "api_client_issuer": client[0].get("issuer") if client else None,
        "api_client_issuer_key": client[0].get("authority_key_id") if client else None,
        "client_ca_keys": [c["subject_key_id"] for c in own_ca or () if c.get("subject_key_id")],
        "client_ca_file": dig(probe, "client_ca_file", "path"),
        "client_ca_subjects": [c.get("subject") for c in own_ca or () if "error" not in c],
        "trusts": _signed_by(client, own_ca) if client and own_ca else None,
        "cloud_provider": dig(probe, "kubelet", "flags", "cloud-provider"),
        "uninitialized": _uninitialized(view),
        "created": dig(view.node, "created"),
    }


def _uninitialized(view: View) -> bool | None:
    taints = dig(view.node, "taints")
    if taints is None:
        return None
    waits = any(taint.get("key") == UNINITIALIZED for taint in taints)
    age = seconds_since(dig(view.node, "created"), view.now)
    return waits and (age is None or age >= INITIALIZE_SECONDS)


def _ips(view: View) -> list[str] | None:
    """The Node's InternalIP and ExternalIP addresses."""
    addresses = dig(view.node, "addresses")
    if addresses is None:
        return None
    return [str(a.get("address")) for a in addresses if a.get("type") in ("InternalIP", "ExternalIP")]


def _template(view: View) -> bool | None:
    """Whether there is an IP address, or, with the gate AllowDNSOnlyNodeCSR, a name."""
    ips = _ips(view)
    if ips is None or ips:
        return None if ips is None else True
    return bool(dig(view.probe, "config", "feature_gates", "AllowDNSOnlyNodeCSR") and dig(view.node, "addresses"))


def _lacking(wanted: list[str] | None, certificate: Data) -> list[str] | None:
    if wanted is None:
        return None
    held = {_address(text) for text in certificate.get("ip_addresses") or ()}
    return [text for text in wanted if _address(text) not in held]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _flags(view: View) -> Data | None:
    for host in view.cluster.control_plane_hosts:
        flags = dig(host, "manifests", "kube-apiserver", "flags")
        if isinstance(flags, dict):
            return flags
    return None


def _of_api_server(view: View, flag: str) -> tuple[list[Data], str | None]:
    """The certificates of the file that a flag of the API server names, as its own node sees them, and that file's path."""
    for host in view.cluster.control_plane_hosts:
        path = dig(host, "manifests", "kube-apiserver", "flags", flag)
        for entry in dig(host, "files") or ():
            if path and entry.get("path") == path:
                return [c for c in entry.get("certificates") or () if "error" not in c], path
    return [], None


def _signed_by(chain: list[Data], authorities: list[Data]) -> bool:
    """Whether a certificate of the chain names one of the authorities as its issuer, by name and, where both have one, by key id."""
    for certificate in chain:
        for authority in authorities:
            if certificate.get("fingerprint_sha256") and certificate.get("fingerprint_sha256") == authority.get(
                "fingerprint_sha256"
            ):
                return True
            ids = (certificate.get("authority_key_id"), authority.get("subject_key_id"))
            if certificate.get("issuer") == authority.get("subject") and (None in ids or ids[0] == ids[1]):
                return True
    return False
