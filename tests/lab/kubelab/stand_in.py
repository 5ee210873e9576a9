# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people meet in the API server's place: ``python -m kubelab.stand_in KIND STATE ADDRESS``, in the lab's namespaces.

``foreign`` presents the certificate of another cluster's CA (the wrong cluster behind an address, a proxy that opens TLS) and says no more.
``terminating`` is a load balancer that ends TLS: it has a certificate of the cluster's CA, asks for no client certificate, and
passes on what comes without one. It ends when ``STATE/stand-in-ADDRESS`` is gone.
"""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import time

from . import pki
from .init import Plan
from .settings import API_NAME, API_PORT


def main(kind: str, state: pathlib.Path, address: str) -> None:
    cluster = pki.Authority.load(state / "pki")
    issuer = pki.Authority.create("kubernetes") if kind == "foreign" else cluster
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(issuer.issue("kube-apiserver", usages=[pki.SERVER], names=[API_NAME, address])))
        pair.flush()
        context.load_cert_chain(pair.name)
    target = next(machine.address for machine in Plan.load(state).machines if machine.is_control_plane)
    onward = ssl.create_default_context(cadata=cluster.pem.decode())
    listener = socket.create_server((address, API_PORT))
    listener.settimeout(0.5)
    mark = state / f"stand-in-{address}"
    while mark.exists():
        with contextlib.suppress(TimeoutError):
            client, _peer = listener.accept()
            threading.Thread(target=answer, args=(client, context, kind, target, onward), daemon=True).start()


def answer(client: socket.socket, context: ssl.SSLContext, kind: str, target: str, onward: ssl.SSLContext) -> None:
    """One connection. Whoever breaks it off ends it."""
    with contextlib.suppress(OSError):
        client.settimeout(600)
        near = context.wrap_socket(client, server_side=True)
        if kind == "foreign":
            near.close()
            return
        far = onward.wrap_socket(socket.create_connection((target, API_PORT)), server_hostname=API_NAME)
        back = threading.Thread(target=pass_on, args=(far, near), daemon=True)
        back.start()
        pass_on(near, far)


def pass_on(source: ssl.SSLSocket, sink: ssl.SSLSocket) -> None:
    """All that comes, until either side ends; then both do."""
    with contextlib.suppress(OSError), source, sink:
        while part := source.recv(65536):
            sink.sendall(part)
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])
