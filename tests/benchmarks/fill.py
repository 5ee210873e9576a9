# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fills the lab's API server: Node objects with their leases, and certificate signing requests of those nodes.

The nodes themselves do not exist. The requests are made as the nodes they are of and approved, all but one of fifty, so that the real
controller manager signs them. Called in the lab's network: ``fill.py STATE NODES REQUESTS``.
"""

from __future__ import annotations

import base64
import collections
import concurrent.futures
import ipaddress
import json
import pathlib
import sys
import threading
import time
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes import client, config

WRITERS = 16
NODES_PATH = "/api/v1/nodes"
CSRS_PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES_PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
SIGNER = "kubernetes.io/kubelet-serving"


class Writer:
    """Makes objects over one connection a thread; what is there already is left as it is."""

    def __init__(self, state: pathlib.Path) -> None:
        configuration = client.Configuration()
        config.load_kube_config(str(state / "super-admin.conf"), client_configuration=configuration)
        configuration.connection_pool_maxsize = WRITERS
        self.host = configuration.host
        self.pool = client.ApiClient(configuration).rest_client.pool_manager

    def send(self, method: str, path: str, body: t.Any, user: str = "") -> t.Any:
        headers = {"Content-Type": "application/json"}
        if user:
            headers["Impersonate-User"] = user
            headers["Impersonate-Group"] = "system:nodes"
        answer = self.pool.request(method, self.host + path, body=json.dumps(body), headers=headers)
        if answer.status == 429:
            time.sleep(1)
            return self.send(method, path, body, user)
        if answer.status not in (200, 201, 409):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        return json.loads(answer.data) if answer.status != 409 else None

    def get(self, path: str) -> t.Any:
        return json.loads(self.pool.request("GET", self.host + path).data)


def fill(state: pathlib.Path, nodes: int, csrs: int) -> None:
    writer = Writer(state)
    like = writer.get(f"{NODES_PATH}/node1")
    begin = time.monotonic()
    done = collections.Counter[str]()
    lock = threading.Lock()

    def node(number: int) -> None:
        name = f"bench-{number:05}"
        labels = {**like["metadata"]["labels"], "kubernetes.io/hostname": name}
        addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": _address(number)}]
        status = {**like["status"], "addresses": addresses}
        made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}
        writer.send("POST", NODES_PATH, made)
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
        writer.send("POST", LEASES_PATH, lease)
        _say(done, lock, "nodes", nodes)

    def csr(number: int) -> None:
        name = f"bench-{number % nodes:05}"
        request = base64.b64encode(_request(name, _address(number % nodes))).decode()
        spec = {"request": request, "signerName": SIGNER, "usages": ["digital signature", "server auth"]}
        made = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
        made["metadata"] = {"name": f"csr-{number:05}"}
        kept = writer.send("POST", CSRS_PATH, made, f"system:node:{name}")
        if kept and number % 50:  # one of fifty waits
            approved = {"type": "Approved", "status": "True", "reason": "Benchmark", "message": "filled"}
            kept["status"] = {"conditions": [approved]}
            writer.send("PUT", f"{CSRS_PATH}/csr-{number:05}/approval", kept)
        _say(done, lock, "requests", csrs)

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        for future in [pool.submit(node, number) for number in range(nodes)]:
            future.result()
        for future in [pool.submit(csr, number) for number in range(csrs)]:
            future.result()
    print(f"filled in {time.monotonic() - begin:.0f} s", flush=True)


def _say(done: collections.Counter[str], lock: threading.Lock, what: str, of: int) -> None:
    with lock:
        done[what] += 1
        if done[what] % 1000 == 0:
            print(f"  {done[what]} of {of} {what}", flush=True)


def _address(number: int) -> str:
    return f"10.{100 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


KEY = ec.generate_private_key(ec.SECP256R1())


def _request(name: str, address: str) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    fill(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
