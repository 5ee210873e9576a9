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

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.connection import (
    cluster_cas,
    host_of,
    known_host,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    latest,
    seconds_since,
)

_TRUE = frozenset(("true", "t", "1", ""))


def rotation_signals(view: View) -> Data:
    """``client`` and ``serving``: true, false or None (unknown); ``*_source``: flag, file, configz, default or None; ``*_setting`` says both
    in words, one of four: true, false, unset so the default, unknown. ``running``: whether the process started with rotation on.
    """
    client, client_source = switch(view.probe, "rotate-certificates", "rotate_certificates")
    serving, serving_source = switch(view.probe, "rotate-server-certificates", "server_tls_bootstrap")
    layers = [layer for layer in dig(view.probe, "config", "layers") or () if isinstance(layer, dict)]
    said = [layer for layer in layers if layer.get("rotate_certificates") is not None]
    first = layers[0] if layers else {}
    misspelled = dig(view.probe, "config", "misspelled")
    changed = latest([dig(view.probe, "config", "modified"), *(layer.get("modified") for layer in layers)])
    started = dig(view.probe, "kubelet", "started")
    newer = None if started is None else seconds_since(started, changed) if changed else None
    gate = _gate(view.probe)
    return {
        "client_setting": _setting(client, client_source),
        "serving_setting": _setting(serving, serving_source),
        "serving_gate": gate,
        "file_says": first.get("rotate_certificates"),
        "overridden": None
        if client is None or not layers
        else first.get("rotate_certificates") is True and client is False,
        "overridden_by": _overridden_by(client, client_source, said),
        "misspelled": misspelled,
        "misspelling_matters": None
        if misspelled is None
        else any((serving if _of_serving(key) else client) is False for key in misspelled),
        "running": _running(view.probe, started),
        "config_changed": changed,
        "config_newer": None if newer is None else newer > NEWER_SECONDS,
        "client": client,
        "client_source": client_source,
        "serving": serving,
        "serving_source": serving_source,
        "config": dig(view.probe, "config", "path"),
        "read_from": "/configz"
        if dig(view.probe, "config", "source") == "configz"
        else dig(view.probe, "config", "path"),
    }


NEWER_SECONDS = 5
"""The start of a process is known to a second or two only."""


def _setting(value: bool | None, source: str | None) -> str | None:
    if value is None:
        return "unknown"
    if source == "default":
        return "unset, so this version's default, false"
    return f"{'true' if value else 'false'} {_BY.get(str(source), _BY['file'])}"


_BY = {"flag": "by a flag", "file": "by the configuration file", "configz": "as the running kubelet says"}


def _overridden_by(client: bool | None, source: str | None, said: t.Sequence[Data]) -> str | None:
    if client is not False:
        return None
    return "the flag --rotate-certificates" if source == "flag" else str(said[-1].get("path")) if said else None


def _of_serving(key: str) -> bool:
    return "server" in key.lower()


def _gate(probe: Data | None) -> bool | None:
    """RotateKubeletServerCertificate: by flag, by file, else True (on by default since 1.12); None where the file was not read."""
    gates = dict(dig(probe, "config", "feature_gates") or {})
    for pair in str(dig(probe, "kubelet", "flags", "feature-gates") or "").split(","):
        name, _equals, value = pair.partition("=")
        gates[name.strip()] = value.strip().lower() in _TRUE
    if gates.get("RotateKubeletServerCertificate") is not None:
        return bool(gates["RotateKubeletServerCertificate"])
    return None if dig(probe, "config", "feature_gates") is None else True


def _running(probe: Data | None, started: str | None) -> bool | None:
    """Whether this process logged ``Client rotation is on`` at its start (level 0, always printed); None where the log does not reach back."""
    log = dig(probe, "log")
    if started is None or dig(log, "counts") is None:
        return None
    age = seconds_since(started, dig(log, "counts", "rotation_enabled", "last") or "")
    if age is not None and age >= -NEWER_SECONDS:
        return True
    covered = seconds_since(started, dig(log, "first") or "")
    return False if covered is not None and covered <= NEWER_SECONDS else None


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
        "by_certificate": _by_certificate(view.probe, kind),
        "modified": dig(kubeconfig, "modified"),
        "user": dig(kubeconfig, "user", "name"),
        "flag": _names_kubeconfig(view.probe),
        "rotated_file": f"{dig(view.probe, 'pki', 'path')}/kubelet-client-current.pem"
        if dig(view.probe, "pki", "path")
        else None,
        "elsewhere": _elsewhere(view.probe),
    }


def _by_certificate(probe: Data | None, kind: str | None) -> bool | None:
    """Whether the kubelet signs in by a client certificate. Where its kubeconfig is not seen: its metrics count no call of a credential
    plugin, and it has a connection, or there would be no answer of it. (That it signs in by a token from a file is passed over: no
    installer of Kubernetes' makes kubelets do so.)"""
    if kind is not None:
        return kind in ("client_certificate_file", "client_certificate_data")
    calls = dig(probe, "metrics", "exec_plugin_calls")
    return None if calls is None else calls == 0


def _names_kubeconfig(probe: Data | None) -> bool | None:
    """Whether the kubelet was given a kubeconfig. None where its own flags are not to be seen (it runs inside k3s, say)."""
    flags = dig(probe, "kubelet", "flags")
    if flags is None or dig(probe, "kubelet", "binary") not in (None, "kubelet"):
        return None
    return bool(flags.get("kubeconfig"))


def _elsewhere(probe: Data | None) -> bool | None:
    """Whether the kubeconfig names another file than the one that rotation keeps current, and no link to it."""
    named, folder = dig(probe, "kubeconfig", "user", "client_certificate"), dig(probe, "pki", "path")
    if dig(probe, "kubeconfig", "user", "kind") != "client_certificate_file" or not named or not folder:
        return None
    current = f"{folder}/kubelet-client-current.pem"
    by_path = {entry.get("path"): entry for entry in dig(probe, "pki", "files") or () if isinstance(entry, dict)}
    entry = by_path.get(named, {})
    return named != current and not (entry.get("type") == "link" and entry.get("target") == current)


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


def switch(probe: Data | None, flag: str, key: str) -> tuple[bool | None, str | None]:
    """A boolean of the configuration and where it is from: a flag goes before the file and its drop-ins, and both are in ``/configz``."""
    flags = dig(probe, "kubelet", "flags")
    if flags is not None and flag in flags:
        return str(flags[flag]).lower() in _TRUE, "flag"
    config = dig(probe, "config")
    written = dig(config, key)
    if isinstance(written, bool):
        return written, "configz" if dig(config, "source") == "configz" else "file"
    if config is not None and key in (config.get("unset") or ()):
        return False, "default"
    return None, None
