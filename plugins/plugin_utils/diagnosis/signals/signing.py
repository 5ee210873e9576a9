# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``signing``: what the controller manager signs kubelets' certificates with: its flags, its files, its CA certificate.

Which files count: ``cmd/kube-controller-manager/app/certificates.go``. As soon as a pair is named for one signer, the general pair counts
for none; both at once end the controller manager. The certificate file must hold exactly one certificate, at its start as at each
request (``pkg/controller/certificates/signer/ca_provider.go``).
"""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    dig,
    seconds_since,
)

BACKDATE_SECONDS = 300
"""How far back the signer dates a certificate (``pkg/controller/certificates/signer/signer.go``)."""
DEFAULT_DURATION_SECONDS = 365 * 86400
WAIT_SECONDS = 15 * 60
"""How long the kubelet waits for one request (``certificateWaitTimeout``)."""

SIGNER_NAMES = ("kubelet-client", "kubelet-serving", "kube-apiserver-client", "legacy-unknown")
CONTROLLER_NAMES = ("certificatesigningrequest-signing-controller", "csrsigning")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def duration_of(text: str | None) -> int | None:
    """A Go duration such as ``8760h0m0s`` in whole seconds; None when it is none."""
    parts = _DURATION.findall(text or "")
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return int(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def signing_signals(cluster: Cluster, flags: Data | None, now: str) -> Data:
    """Every value None where flags or files were not seen. ``flags`` are the controller manager's.

    ``pair_named``: the signer of kubelets' client certificates has both files. ``only_others``: pairs are named for other signers, and
    so none for this one. ``key_on_hosts``: the CA's key lies on a control-plane host at all (false: the CA is kept elsewhere).
    ``missing_files``: files that the flags name and that are not there. ``lifetime_seconds``: of what it signs.
    """
    named = _named(flags)
    entries = _entries(cluster, named["cert_file"])
    certificates = [cert for cert in dig(entries[0][1], "certificates") or () if "error" not in cert] if entries else []
    ca = certificates[0] if certificates else {}
    left = seconds_since(ca.get("not_after"), now)
    duration = None
    if flags is not None:
        given = flags.get("cluster-signing-duration")
        duration = duration_of(given) if given else DEFAULT_DURATION_SECONDS
    count = len(certificates) + (dig(entries[0][1], "certificates_dropped") or 0) if entries else 0
    return {
        **named,
        "controller_off": _controller_off(flags),
        "key_on_hosts": _key_on_hosts(cluster),
        "missing_files": _missing_files(entries, named),
        "certificate_count": count or None,
        "subject": ca.get("subject"),
        "fingerprint": ca.get("fingerprint_sha256"),
        "not_before": ca.get("not_before"),
        "not_after": ca.get("not_after"),
        "seconds_left": None if left is None else -left,
        "expired": None if left is None else left > 0,
        "ends_first": None if left is None or duration is None else -left < (_lifetime(duration) or 0),
        "expired_seconds": left if left is not None and left > 0 else None,
        "ca": ca or None,
        "duration": dig(flags, "cluster-signing-duration"),
        "duration_seconds": duration,
        "lifetime_seconds": _lifetime(duration),
        "window_seconds": None if duration is None else int((_lifetime(duration) or 0) * 0.3),
        "hosts": _by_host(entries),
        "disagree": _disagree(_by_host(entries)),
    }


def _named(flags: Data | None) -> Data:
    if flags is None:
        return dict.fromkeys(("pair_named", "only_others", "both_named", "cert_file", "key_file"))
    specific = {name: _pair(flags, f"cluster-signing-{name}-") for name in SIGNER_NAMES}
    any_specific, general = any(any(pair) for pair in specific.values()), _pair(flags, "cluster-signing-")
    certificate, key = specific["kubelet-client"] if any_specific else general
    return {
        "pair_named": bool(certificate and key),
        "only_others": any_specific and not (certificate or key) and not all(general),
        "both_named": any_specific and all(general),
        "cert_file": certificate,
        "key_file": key,
    }


def _pair(flags: Data, prefix: str) -> tuple[str | None, str | None]:
    return flags.get(f"{prefix}cert-file") or None, flags.get(f"{prefix}key-file") or None


def _controller_off(flags: Data | None) -> bool | None:
    """Whether ``--controllers`` leaves the signing controller out, by name or by not naming it."""
    if flags is None:
        return None
    chosen = [item.strip() for item in str(flags.get("controllers") or "*").split(",")]
    if any(f"-{name}" in chosen for name in CONTROLLER_NAMES):
        return True
    return "*" not in chosen and not any(name in chosen for name in CONTROLLER_NAMES)


def _lifetime(duration: int | None) -> int | None:
    """Validity of what is signed: of short ones the 5 minutes of back-dating come on top (``signer.go``)."""
    if duration is None:
        return None
    return duration + BACKDATE_SECONDS if duration < 8 * 3600 else duration


def _entries(cluster: Cluster, path: str | None) -> list[tuple[str, Data]]:
    """``(host, file)`` for the file of that path on each control-plane host."""
    return [
        (str(host.get("host") or "control plane"), entry)
        for host in cluster.control_plane_hosts
        for entry in dig(host, "files") or ()
        if path and entry.get("path") == path
    ]


def _missing_files(entries: list[tuple[str, Data]], named: Data) -> list[str] | None:
    if not entries:
        return None
    gone = [named["cert_file"] for _host, entry in entries if entry.get("error") == "does not exist"]
    gone += [entry.get("key_path") or named["key_file"] for _host, entry in entries if entry.get("key_exists") is False]
    return sorted({path for path in gone if path})


def _key_on_hosts(cluster: Cluster) -> bool | None:
    """Whether any CA certificate of the control-plane hosts has its key beside it; None when no such file says."""
    known = [
        entry.get("key_exists")
        for host in cluster.control_plane_hosts
        for entry in dig(host, "files") or ()
        if any(cert.get("is_ca") for cert in entry.get("certificates") or ()) and entry.get("key_exists") is not None
    ]
    if known:
        return any(known)
    bare = [
        entry.get("has_key")
        for host in cluster.control_plane_hosts
        for entry in dig(host, "files") or ()
        if str(entry.get("path")).endswith("/ca.crt")
    ]
    if any(bare):
        return True
    return False if bare and all(has is False for has in bare) else None


def _by_host(entries: list[tuple[str, Data]]) -> list[Data]:
    found = []
    for host, entry in entries:
        certificates = [cert for cert in entry.get("certificates") or () if "error" not in cert]
        if certificates and certificates[0].get("fingerprint_sha256"):
            found.append(
                {
                    "host": host,
                    "path": entry.get("path"),
                    "subject": certificates[0].get("subject"),
                    "public_key": certificates[0].get("public_key_sha256"),
                    "fingerprint": certificates[0].get("fingerprint_sha256"),
                    "not_before": certificates[0].get("not_before"),
                }
            )
    return found


def _disagree(hosts: list[Data]) -> bool | None:
    """Whether control-plane hosts would sign with different keys; None with fewer than two hosts seen."""
    if len(hosts) < 2:
        return None
    return len({entry["public_key"] for entry in hosts}) > 1
