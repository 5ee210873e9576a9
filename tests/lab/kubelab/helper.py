# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's helper process, in the control network: it approves serving certificate requests, and answers DNS.

A cluster of kubeadm's has no approver of kubelet serving certificates; people install one. This is the lab's. It approves a
request whose names and addresses are those of the node that asks. Two files in the state folder steer it, each with names of nodes:
``approver-paused`` (it does nothing for those nodes; for none at all when the file is empty) and ``approver-denies`` (their client
certificate requests are denied).

The DNS server knows no name: every question is answered with *no such name*, as a resolver does that is well.
"""

from __future__ import annotations

import base64
import http.client
import json
import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import time
import typing as t

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from .init import Plan
from .settings import API_PORT, BRIDGE_ADDRESS, Json, Machine

API = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SERVING = "kubernetes.io/kubelet-serving"
CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
INTERVAL_SECONDS = 0.5


def main(state: pathlib.Path) -> t.NoReturn:
    plan = Plan.load(state)
    threading.Thread(target=answer_dns, daemon=True).start()
    address = next(machine.address for machine in plan.machines if machine.is_control_plane)
    api = Api(address, state / "approver.conf")
    while True:
        try:
            approve(api, state, plan.machines)
        except (OSError, http.client.HTTPException, ValueError) as error:
            api.close()
            print(f"approver: {error}", file=sys.stderr, flush=True)
            time.sleep(1)
        time.sleep(INTERVAL_SECONDS)


class Api:
    """One kept connection to the API server, with a client certificate."""

    def __init__(self, address: str, kubeconfig: pathlib.Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        user = config["users"][0]["user"]
        context = ssl.create_default_context(cadata=authority.decode())
        with tempfile.NamedTemporaryFile() as pair:
            for key in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[key]))
            pair.flush()
            context.load_cert_chain(pair.name)
        self._connection = http.client.HTTPSConnection(address, API_PORT, timeout=5, context=context)

    def close(self) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request; ``ValueError`` when the answer is not a success."""
        data = json.dumps(body) if body is not None else None
        self._connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise ValueError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return t.cast("Json", json.loads(content))


def approve(api: Api, state: pathlib.Path, machines: t.Sequence[Machine]) -> None:
    """Decide on every request that waits and is ours to decide on."""
    paused, denied = _names(state / "approver-paused"), _names(state / "approver-denies")
    if paused == set():
        return
    for request in api.call("GET", API)["items"]:
        if request.get("status", {}).get("conditions"):
            continue
        name, signer = request["metadata"]["name"], request["spec"]["signerName"]
        node = node_of(request)
        if node in (paused or ()):
            continue
        if signer == CLIENT and node in (denied or ()):
            decide(
                api, name, request, "Denied", "NodeQuarantined", f"Node {node} is not allowed to renew its certificate."
            )
        elif signer == SERVING and serving_is_right(request, machines):
            decide(api, name, request, "Approved", "ServingNamesMatch", "The names and addresses are the node's own.")


def _names(path: pathlib.Path) -> set[str] | None:
    """The names in a file; None where there is no such file."""
    return set(path.read_text().split()) if path.exists() else None


def node_of(request: Json) -> str | None:
    """The node a request is for, by the common name it asks for."""
    try:
        csr = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
        name = str(csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (ValueError, IndexError):
        return None
    return name.removeprefix("system:node:") if name.startswith("system:node:") else None


def serving_is_right(request: Json, machines: t.Sequence[Machine]) -> bool:
    """Whether a node asks for itself, and for no name or address but its own."""
    machine = next((entry for entry in machines if entry.name == node_of(request)), None)
    if machine is None or request["spec"]["username"] != f"system:node:{machine.name}":
        return False
    csr = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return all(str(name.value) in (machine.name, machine.address) for name in names)


def decide(api: Api, name: str, request: Json, kind: str, reason: str, message: str) -> None:
    condition = {"type": kind, "status": "True", "reason": reason, "message": message}
    body = {**request, "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    body["status"] = {"conditions": [condition]}
    api.call("PUT", f"{API}/{name}/approval", body)
    print(f"approver: {name}: {kind}", flush=True)


def answer_dns() -> None:
    """Answer every DNS question on the bridge with *no such name* (RFC 1035, 4.1.1: QR, RA and RCODE 3)."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((BRIDGE_ADDRESS, 53))
    while True:
        question, sender = server.recvfrom(1500)
        if len(question) > 12:
            flags = bytes([0x80 | question[2] & 0x79, 0x83])
            server.sendto(question[:2] + flags + question[4:6] + b"\0" * 6 + question[12:], sender)
