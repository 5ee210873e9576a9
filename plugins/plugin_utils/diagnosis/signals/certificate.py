# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``client_certificate`` and ``serving_certificate``: which one is in use, and how much of its life is spent.

The kubelet draws its rotation deadline between 70 and 90 % of the lifetime (client-go,
``util/certificate/certificate_manager.go``: ``nextRotationDeadline``), so only what is past 90 % is overdue.
"""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.rotation import switch
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)

ROTATION_FROM_PERCENT = 70
ROTATION_UNTIL_PERCENT = 90

_UNKNOWN: Data = dict.fromkeys(
    (
        "present",
        "source",
        "stored",
        "not_before",
        "not_after",
        "seconds_left",
        "lifetime_seconds",
        "used_percent",
        "expired",
        "not_yet_valid",
        "overdue",
        "rotation_from",
        "rotation_until",
        "rotation_opens_in_seconds",
        "rotation_closes_in_seconds",
        "common_name",
        "organizations",
        "serial",
        "issuer",
        "issuer_key",
        "key_matches",
    )
)


def client_signals(view: View) -> Data:
    """The client certificate the kubelet authenticates with.

    Embedded data in the kubeconfig is what the kubelet starts from (``isClientConfigStillValid`` looks at nothing else), so it comes
    before the rotated file; ``rotated`` then holds the file's own validity.
    """
    probe = view.probe
    if probe is None:
        return {**_UNKNOWN, "rotated": _UNKNOWN}
    on_disk = _from_file(_current_file(probe, "client"), view.now)
    kind = dig(probe, "kubeconfig", "user", "kind")
    embedded = dig(probe, "kubeconfig", "user", "certificates") if kind == "client_certificate_data" else None
    if embedded:
        in_use = {**_validity(embedded[0], view.now), "source": dig(probe, "kubeconfig", "path"), "key_matches": None}
        in_use["stored"] = dig(probe, "kubeconfig", "modified")
    else:
        in_use = on_disk if on_disk["present"] is not None else _told(view) or on_disk
    return {**in_use, "rotated": on_disk}


def _told(view: View) -> Data | None:
    """By the kubelet's metrics, where its files are not seen: when the certificate in use ends. That is the end of one that was issued
    to this node, and so known whole, or else nothing but its end is known, and not how much of its life is spent."""
    ends = dig(view.probe, "metrics", "client_not_after")
    left = seconds_since(ends, view.now)
    if ends is None or left is None:
        return None
    for csr in view.csrs or ():
        of_client = csr.get("signer_name") == "kubernetes.io/kube-apiserver-client-kubelet"
        apart = seconds_since(dig(csr, "certificate", "not_after"), ends) if of_client else None
        if apart is not None and abs(apart) <= ROUNDING_SECONDS:
            return {
                **_validity(csr["certificate"], view.now),
                "source": f"the kubelet's metrics and CSR {csr.get('name')}",
            }
    known = {"present": True, "not_after": ends, "seconds_left": -left, "expired": left > 0}
    return {**_UNKNOWN, **known, "source": "the kubelet's metrics"}


ROUNDING_SECONDS = 2
"""The kubelet cuts the time to live to whole seconds, and its answer carries whole seconds too."""


def serving_signals(view: View) -> Data:
    """The serving certificate: on disk, and whether what is served on the kubelet's port is the same one."""
    probe = view.probe
    if probe is None:
        return {**_UNKNOWN, **dict.fromkeys(("served", "served_matches_disk", "self_signed", "mode"))}
    on_disk = _from_file(_current_file(probe, "serving"), view.now)
    presented = dig(probe, "serving", "certificates")
    served = presented[0] if presented else None
    record = on_disk
    if (record["present"] is False or dig(probe, "way") == "api") and served and "error" not in served:
        record = {**_validity(served, view.now), "source": "served", "key_matches": None, "stored": None}
    handshake = dig(probe, "serving", "connect")
    return {
        **record,
        "served": None if handshake is None else bool(served),
        "served_matches_disk": served["serial"] == on_disk["serial"]
        if served and served.get("serial") and on_disk["present"]
        else None,
        "self_signed": "-ca@" in (served.get("issuer") or "") if served and "error" not in served else None,
        "mode": serving_mode(probe),
    }


def serving_mode(probe: Data) -> str | None:
    """``rotated`` (serverTLSBootstrap, which goes before a file), ``static`` (a file named by hand), ``self_signed`` (made once by the
    kubelet and never renewed), None where the configuration was not seen: ``cmd/kubelet/app/server.go`` (InitializeTLS), ``kubelet.go``.
    """
    rotated, _source = switch(probe, "rotate-server-certificates", "server_tls_bootstrap")
    if rotated is None:
        return None
    return "rotated" if rotated else "static" if _static_file(probe) else "self_signed"


def _static_file(probe: Data) -> str | None:
    return t.cast(
        "str | None", dig(probe, "kubelet", "flags", "tls-cert-file") or dig(probe, "config", "tls_cert_file")
    )


def _current_file(probe: Data, subject: t.Literal["client", "serving"]) -> Data | None:
    """The evidence of the file in use; ``{}`` when it was looked for and is not there, None when it could not be looked for.

    A kubeconfig that could not be read may name another file than the store's, or none.
    """
    files = dig(probe, "pki", "files")
    if files is None:
        return None
    by_path = {entry.get("path"): entry for entry in files if isinstance(entry, dict)}
    if subject == "client":
        wanted = [dig(probe, "kubeconfig", "user", "client_certificate")]
        name = "kubelet-client-current.pem"
    else:
        wanted = [_static_file(probe)]
        name = "kubelet.crt" if serving_mode(probe) == "self_signed" else "kubelet-server-current.pem"
    if subject == "client" or serving_mode(probe) != "static":
        wanted.append(f"{dig(probe, 'pki', 'path')}/{name}")
    for path in wanted:
        if path and path in by_path and by_path[path].get("target_exists") is not False:
            return by_path[path]
    if subject == "serving":
        names = ("serving-kubelet.crt", "kubelet.crt")
        return next((by_path[path] for name in names if (path := f"{dig(probe, 'pki', 'path')}/{name}") in by_path), {})
    kubeconfig = dig(probe, "kubeconfig")
    return None if dig(kubeconfig, "exists") is not False and dig(kubeconfig, "user") is None else {}


def _from_file(entry: Data | None, now: str) -> Data:
    if entry is None:
        return dict(_UNKNOWN)
    certificates = [cert for cert in entry.get("certificates") or () if "error" not in cert]
    if not certificates:
        unread = bool(entry) and entry.get("certificates") is None
        return {**_UNKNOWN, "present": None if unread else False, "source": entry.get("path")}
    return {
        **_validity(certificates[0], now),
        "source": entry.get("path"),
        "stored": entry.get("modified"),
        "key_matches": entry.get("key_matches"),
    }


def _validity(certificate: Data, now: str) -> Data:
    if not certificate.get("not_before") or not certificate.get("not_after"):
        return dict(_UNKNOWN)
    not_before, not_after, moment = (
        parse_time(certificate["not_before"]),
        parse_time(certificate["not_after"]),
        parse_time(now),
    )
    lifetime = max(int((not_after - not_before).total_seconds()), 1)
    used = (moment - not_before).total_seconds() / lifetime * 100
    return {
        "present": True,
        "source": None,
        "stored": None,
        "not_before": certificate["not_before"],
        "not_after": certificate["not_after"],
        "seconds_left": int((not_after - moment).total_seconds()),
        "lifetime_seconds": lifetime,
        "used_percent": round(min(max(used, 0), 999), 1),
        "expired": moment > not_after,
        "not_yet_valid": moment < not_before,
        "overdue": used > ROTATION_UNTIL_PERCENT,
        "rotation_from": format_time(not_before + timedelta(seconds=lifetime * ROTATION_FROM_PERCENT // 100)),
        "rotation_until": format_time(not_before + timedelta(seconds=lifetime * ROTATION_UNTIL_PERCENT // 100)),
        "rotation_opens_in_seconds": int((not_before - moment).total_seconds())
        + lifetime * ROTATION_FROM_PERCENT // 100,
        "rotation_closes_in_seconds": int((not_before - moment).total_seconds())
        + lifetime * ROTATION_UNTIL_PERCENT // 100,
        "common_name": certificate.get("common_name"),
        "organizations": certificate.get("organizations"),
        "serial": certificate.get("serial"),
        "issuer": certificate.get("issuer"),
        "issuer_key": certificate.get("authority_key_id"),
        "key_matches": None,
    }
