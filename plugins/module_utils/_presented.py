# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The certificates that a TLS server presents to this machine, whether or not they are to be trusted."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import Record, certificates_in

MAX_CHAIN = 10


def presented_certificates(host: str, port: int, timeout: float, server_name: str | None = None) -> list[Record]:
    """The chain as presented, leaf first, by a handshake that verifies nothing and sends nothing after it.

    Python before 3.13 has no public way to the chain: where its private one is missing too, the leaf alone.

    Raises:
        OSError: no connection, no TLS (ssl.SSLError is one), or no answer in time.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=timeout) as raw,
        context.wrap_socket(raw, server_hostname=server_name or _name_for(host)) as secured,
    ):
        return certificates_in("".join(map(ssl.DER_cert_to_PEM_cert, _chain(secured))).encode())


def _chain(secured: ssl.SSLSocket) -> list[bytes]:
    public = getattr(secured, "get_unverified_chain", None)
    if public is not None:
        return [bytes(der) for der in public()[:MAX_CHAIN]]
    with contextlib.suppress(AttributeError, TypeError):
        private: t.Any = secured._sslobj  # type: ignore[attr-defined]
        return [ssl.PEM_cert_to_DER_cert(entry.public_bytes()) for entry in private.get_unverified_chain()[:MAX_CHAIN]]
    leaf = secured.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def _name_for(host: str) -> str | None:
    """What to ask for by SNI: names only, as RFC 6066 has no addresses in it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None
