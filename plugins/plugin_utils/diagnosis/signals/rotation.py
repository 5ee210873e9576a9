# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``rotation``, ``kubeconfig`` and ``bootstrap``: is rotation on, from which credentials does the kubelet start.

Sources: ``KubeletConfiguration`` (rotateCertificates has no default in v1beta1 ``defaults.go``: unset is off),
``pkg/kubelet/certificate/bootstrap/bootstrap.go`` (what a kubelet without a valid certificate needs).
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.connection import (
    cluster_cas,
    host_of,
    known_host,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig

_TRUE = frozenset(("true", "t", "1", ""))


def rotation_signals(view: View) -> Data:
    """``client`` and ``serving``: true, false or None (unknown); ``*_source``: flag, file, default or None."""
    client, client_source = _switch(view.probe, "rotate-certificates", "rotate_certificates")
    serving, serving_source = _switch(view.probe, "rotate-server-certificates", "server_tls_bootstrap")
    return {
        "client": client,
        "client_source": client_source,
        "serving": serving,
        "serving_source": serving_source,
        "config": dig(view.probe, "config", "path"),
    }


def kubeconfig_signals(view: View) -> Data:
    """Where the kubelet's kubeconfig points, and which kind of credentials it names."""
    kubeconfig = dig(view.probe, "kubeconfig")
    kind = dig(kubeconfig, "user", "kind")
    return {
        "path": dig(kubeconfig, "path"),
        "exists": dig(kubeconfig, "exists"),
        "server": dig(kubeconfig, "server"),
        "error": dig(kubeconfig, "error"),
        "user_kind": kind,
        "client_certificate": dig(kubeconfig, "user", "client_certificate"),
        "embedded": None if kind is None else kind == "client_certificate_data",
        "modified": dig(kubeconfig, "modified"),
    }


def bootstrap_signals(view: View, client_certificate: Data) -> Data:
    """``needed``: the kubelet holds no valid client certificate; ``possible``: a bootstrap kubeconfig with a user is there."""
    bootstrap = dig(view.probe, "bootstrap_kubeconfig")
    expired, present = client_certificate["expired"], client_certificate["present"]
    needed = True if present is False or expired else None if present is None else False
    if dig(view.probe, "kubeconfig", "user", "kind") in ("exec", "token", "token_file"):
        needed = False
    exists = dig(bootstrap, "exists")
    server_known = known_host(view.cluster, host_of(dig(bootstrap, "server")))
    ca_known = _ca_known(view, dig(bootstrap, "ca", "certificates"))
    kind = dig(bootstrap, "user", "kind")
    return {
        "needed": needed,
        "kubeconfig": dig(bootstrap, "path"),
        "kubeconfig_exists": False if view.probe is not None and bootstrap is None and _looked(view.probe) else exists,
        "user_kind": kind,
        "token_id": dig(bootstrap, "user", "token_id"),
        "token_known": _token_known(view, dig(bootstrap, "user", "token_id")),
        "server": dig(bootstrap, "server"),
        "server_known": server_known,
        "ca_known": ca_known,
        "stale": _stale(exists, server_known, ca_known),
        "ca_fingerprint": next(
            (dig(cert, "fingerprint_sha256") for cert in dig(bootstrap, "ca", "certificates") or ()), None
        ),
        "possible": None if exists is None else bool(exists and kind not in (None, "none")),
    }


def _stale(exists: bool | None, server_known: bool | None, ca_known: bool | None) -> bool | None:
    """Whether the bootstrap kubeconfig names a CA or an address that is not the cluster's; False where there is none."""
    if not exists:
        return exists
    if server_known is False or ca_known is False:
        return True
    return None if ca_known is None else False


def _token_known(view: View, token_id: str | None) -> bool | None:
    """Whether cluster-info is signed with the token, so that it exists and has not expired; a token may also be there and not sign."""
    tokens = dig(view.cluster.control_plane_info, "cluster_info", "tokens")
    return None if tokens is None or not token_id else token_id in tokens


def _ca_known(view: View, certificates: list[Data] | None) -> bool | None:
    """Whether one of the bootstrap kubeconfig's CAs is one of the cluster's."""
    known = {cert.get("fingerprint_sha256") for cert in cluster_cas(view.cluster)}
    mine = {dig(cert, "fingerprint_sha256") for cert in certificates or ()}
    return None if not known or not mine or None in mine else bool(known & mine)


def _looked(probe: Data) -> bool:
    """Whether the absence of a bootstrap kubeconfig was seen (no such flag), rather than not looked for."""
    missing = {entry.get("subject") for entry in probe.get("not_seen") or ()}
    return dig(probe, "kubelet", "flags") is not None and not missing & {"bootstrap_kubeconfig", "kubelet.flags"}


def _switch(probe: Data | None, flag: str, key: str) -> tuple[bool | None, str | None]:
    flags = dig(probe, "kubelet", "flags")
    if flags is not None and flag in flags:
        return str(flags[flag]).lower() in _TRUE, "flag"
    config = dig(probe, "config")
    written = dig(config, key)
    if isinstance(written, bool):
        return written, "file"
    if config is not None and key in (config.get("unset") or ()):
        return False, "default"
    return None, None
