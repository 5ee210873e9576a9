# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of any age, put into a machine the way its kubelet does it."""

from __future__ import annotations

import datetime
import pathlib
import re

from . import layout, pki, running
from .settings import CONTROL_PLANE, LabError

PKI = "/var/lib/kubelet/pki"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

#: Arguments: folder, name of the timestamped file, access and modification time of it. The content comes on standard input.
STORE = """
set -eu
umask 077
mkdir -p -m 755 "$1"
cat >"$1/$2"
touch -d "$3" "$1/$2"
rm -f "$1/kubelet-client-current.pem"
ln -s "$1/$2" "$1/kubelet-client-current.pem"
"""


def seconds(text: str) -> int:
    """A duration such as ``90s``, ``1h`` or ``7d``, in seconds."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match:
        raise LabError(f"{text} is no duration: 90s, 15m, 1h or 7d are.")
    return int(match[1]) * UNITS[match[2]]


def validity(lifetime: str, used: float, expired_for: str | None) -> tuple[datetime.datetime, datetime.datetime]:
    """From when until when a certificate is valid that has used so many percent of its lifetime, or expired so long ago."""
    span = datetime.timedelta(seconds=seconds(lifetime))
    end = pki.now() + span * (1 - used / 100)
    if expired_for:
        end = pki.now() - datetime.timedelta(seconds=seconds(expired_for))
    return end - span, end


def age(state: pathlib.Path, node: str, lifetime: str, used: float, expired_for: str | None, restart: bool) -> None:
    """Give a node a client certificate of the lab's CA with the age asked for, and restart its kubelet, which then acts on it."""
    start, end = validity(lifetime, used, expired_for)
    certificate, key = _client(state, node, start, end)
    name = f"kubelet-client-{start:%Y-%m-%d-%H-%M-%S}.pem"
    content = (certificate + key).decode()
    running.on(state, node, "sh", "-c", STORE, "sh", PKI, name, f"{start:%F %T}Z", stdin=content)
    if restart:
        restart_kubelet(state, node)


def embed(state: pathlib.Path, node: str, lifetime: str, used: float, expired_for: str | None, restart: bool) -> None:
    """Write a node's kubelet.conf anew with the certificate and its key in it, instead of the rotated file's name."""
    authority = pki.Authority.load(state / "pki")
    certificate, key = _client(state, node, *validity(lifetime, used, expired_for))
    content = layout.kubeconfig(authority, layout.API_URL, f"system:node:{node}", layout.embedded(certificate, key))
    put(state, node, "/etc/kubernetes/kubelet.conf", content)
    if restart:
        restart_kubelet(state, node)


def bootstrap(state: pathlib.Path, node: str, token: str | None) -> None:
    """Put a bootstrap kubeconfig into a machine, with the lab's bootstrap token unless another is given."""
    authority = pki.Authority.load(state / "pki")
    content = layout.bootstrap_kubeconfig(authority, token or (state / "bootstrap-token").read_text())
    put(state, node, "/etc/kubernetes/bootstrap-kubelet.conf", content)


def renew(state: pathlib.Path, node: str) -> None:
    """Put a node's kubelet files back as they were when it joined, with a fresh client certificate; the kubelet is stopped."""
    authority = pki.Authority.load(state / "pki")
    running.on(state, node, "sh", "-c", f"rm -rf {PKI}/kubelet-client-*; rm -f /etc/kubernetes/bootstrap-kubelet.conf")
    put(state, node, "/etc/kubernetes/kubelet.conf", layout.client_kubeconfig(authority, node))
    put(state, node, "/etc/kubernetes/pki/ca.crt", authority.pem.decode(), "644")
    config = layout.kubelet_configuration(node == CONTROL_PLANE)
    put(state, node, "/var/lib/kubelet/config.yaml", config, "644")
    flags = "var/lib/kubelet/kubeadm-flags.env"
    put(state, node, f"/{flags}", (state / "machines" / node / flags).read_text())
    age(state, node, "24h", 1, None, restart=False)


def put(state: pathlib.Path, node: str, path: str, content: str, mode: str = "600") -> None:
    """Write a file in a machine: whole or not at all."""
    script = 'set -eu; umask 077; cat >"$1.lab"; chmod "$2" "$1.lab"; mv "$1.lab" "$1"'
    running.on(state, node, "sh", "-c", script, "sh", path, mode, stdin=content)


def restart_kubelet(state: pathlib.Path, node: str) -> None:
    running.on(state, node, "systemctl", "reset-failed", "kubelet", check=False)
    running.on(state, node, "systemctl", "restart", "kubelet")


def _client(state: pathlib.Path, node: str, start: datetime.datetime, end: datetime.datetime) -> tuple[bytes, bytes]:
    authority = pki.Authority.load(state / "pki")
    return authority.issue(f"system:node:{node}", ["system:nodes"], not_before=start, not_after=end)
