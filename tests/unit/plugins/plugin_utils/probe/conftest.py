# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A made-up node: files, a process table and tools under one folder, and the real script run by a real shell over it."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import pathlib
import shutil
import subprocess
import textwrap
import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import build_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script, read_answer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NONCE = "0123456789abcdef01234567"


def _busybox() -> str:
    """This machine's busybox, or the one that the lab keeps for its machines."""
    cache = os.environ.get("KUBECARE_LAB_CACHE") or os.path.expanduser("~/.cache/kubecare-lab")
    kept = sorted(str(path) for path in pathlib.Path(cache).glob("root-*/bin/busybox"))
    return next((path for path in (shutil.which("busybox"), *kept) if path), "busybox")


_INSTALLED = {
    os.path.realpath(found): [found, *words]
    for name, *words in (["sh"], ["dash"], ["bash", "--posix"], [_busybox(), "sh"])
    if (found := shutil.which(name)) is not None
}
SHELLS = list(_INSTALLED.values())
TOOLS = [shell for shell in SHELLS if shell[1:] != ["--posix"]]
"""The shells that differ in awk, sed and the like: Debian's busybox takes its own, the others share the machine's."""


class Pair(t.NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """A CA that issues what a test needs."""

    def __init__(self, name: str = "kubernetes") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pair = self._sign(self._name, self._key, 0, 3650, None, ca=True)

    def issue(
        self,
        common_name: str,
        organization: str | None = None,
        start: int = -1,
        end: int = 365,
        address: str | None = None,
    ) -> Pair:
        """A leaf, valid from ``start`` to ``end`` (days from now)."""
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        return self._sign(x509.Name(names), ec.generate_private_key(ec.SECP256R1()), start, end, address, ca=False)

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, start: int, end: int, address: str | None, ca: bool
    ) -> Pair:
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=start))
            .not_valid_after(now + datetime.timedelta(days=end))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
        return Pair(
            builder.sign(self._key, hashes.SHA256()).public_bytes(encoding).decode(),
            key.private_bytes(encoding, private, serialization.NoEncryption()).decode(),
        )


def b64(text: str) -> str:
    """A kubeconfig's ``*-data``."""
    return base64.b64encode(text.encode()).decode()


class Node:
    """The folder of a made-up node; ``settings`` and the tools in ``bin`` may be changed before ``probe``."""

    def __init__(self, root: pathlib.Path, authority: Authority) -> None:
        self.root, self.authority = root, authority
        self.bin, self.pki, self.proc, self.manifests = (root / name for name in ("bin", "pki", "proc", "manifests"))
        for folder in (self.bin, self.pki, self.proc / "812", self.manifests):
            folder.mkdir(parents=True)
        self.kubeconfig, self.config = root / "kubelet.conf", root / "config.yaml"
        self.server = "https://127.0.0.1:1"
        self.settings: dict[str, str | int] = {
            "KCP_TIMEOUT": 60,
            "KCP_LOG_SINCE": 86400,
            "KCP_LOG_LINES": 40,
            "KCP_LOG_FILE": "",
            "KCP_UNIT": "kubelet",
            "KCP_KUBECONFIG": "",
            "KCP_CONFIG": "",
            "KCP_PKI": "",
            "KCP_MANIFESTS": str(self.manifests),
            "KCP_POD_LOGS": str(root / "pods"),
            "KCP_PROC": str(self.proc),
            "KCP_API_PROBE": "no",
        }
        (self.proc / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
        (self.proc / "uptime").write_text("5000.25 9000.00\n")
        self.tool("systemctl", "exit 1")
        self.tool("journalctl", "exit 0")
        self.leaf = authority.issue("system:node:worker-7", "system:nodes")
        dated = self.pki / "kubelet-client-2026-01-02-03-04-05.pem"
        dated.write_text(self.leaf.certificate + self.leaf.key)
        dated.chmod(0o600)
        (self.pki / "kubelet-client-current.pem").symlink_to(dated)
        current = self.pki / "kubelet-client-current.pem"
        self.write_kubeconfig(f"client-certificate: {current}\nclient-key: {current}")
        self.config.write_text(
            f"kind: KubeletConfiguration\nauthentication:\n  x509:\n    clientCAFile: {root}/ca.crt\n"
            "rotateCertificates: true\nfeatureGates:\n  RotateKubeletServerCertificate: true\n"
        )
        (root / "ca.crt").write_text(authority.pair.certificate)
        self.run_kubelet(f"--kubeconfig={self.kubeconfig}", f"--config={self.config}", f"--cert-dir={self.pki}")

    def tool(self, name: str, body: str) -> None:
        """Puts a tool before those of the machine."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def run_kubelet(self, *arguments: str, environment: t.Sequence[str] = ()) -> None:
        """A kubelet in the process table, started 100 seconds after the boot."""
        process = self.proc / "812"
        (process / "comm").write_text("kubelet\n")
        (process / "cmdline").write_bytes(b"\0".join(a.encode() for a in ("/usr/bin/kubelet", *arguments)) + b"\0")
        (process / "environ").write_bytes(b"\0".join(e.encode() for e in environment))
        fields = ["0"] * 50
        fields[19] = "10000"
        (process / "stat").write_text(f"812 (kube let) {' '.join(fields)}\n")

    def write_kubeconfig(self, user: str, path: pathlib.Path | None = None) -> None:
        """A kubeconfig as kubeadm writes it; ``user`` are the lines of its user."""
        (path or self.kubeconfig).write_text(
            "apiVersion: v1\nclusters:\n- cluster:\n"
            f"    certificate-authority-data: {b64(self.authority.pair.certificate)}\n    server: {self.server}\n"
            "  name: default-cluster\ncontexts:\n- context:\n    cluster: default-cluster\n    namespace: default\n"
            "    user: default-auth\n  name: default-context\ncurrent-context: default-context\nkind: Config\n"
            f"preferences: {{}}\nusers:\n- name: default-auth\n  user:\n{textwrap.indent(user, '    ')}\n"
        )

    def answer(self, shell: t.Sequence[str] = ("sh",), timeout: int = 60) -> str:
        """All that the script says, on both streams."""
        script = build_script(NONCE, self.settings)
        script = script.replace(b"PATH=/usr", b"PATH=%s:/usr" % os.fsencode(self.bin), 1)
        done = subprocess.run(
            shell, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False
        )
        return done.stdout.decode("utf-8", "surrogateescape")

    def probe(self, shell: t.Sequence[str] = ("sh",)) -> dict[str, t.Any]:
        """The evidence of this node."""
        sent = time.time()
        text = self.answer(shell)
        answer = read_answer(text, NONCE)
        assert answer.finished, text[-2000:]
        return build_evidence(answer, "worker-7", sent, time.time(), 40, "error")


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The cluster's CA."""
    return Authority()


@pytest.fixture
def node(tmp_path: pathlib.Path, authority: Authority) -> Node:
    """A healthy node without a log and without an API server."""
    return Node(tmp_path, authority)


@pytest.fixture(params=TOOLS, ids=lambda shell: os.path.basename(shell[0]))
def tools(request: pytest.FixtureRequest) -> list[str]:
    """A shell for each set of tools that this machine has."""
    return t.cast("list[str]", request.param)


@pytest.fixture(params=SHELLS, ids=lambda shell: os.path.basename(shell[0]))
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Each POSIX shell that this machine has."""
    return t.cast("list[str]", request.param)
