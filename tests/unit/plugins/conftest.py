# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HTTP(S) server that answers as an API server does, certificates to go with it, and modules run as they are run."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import importlib
import ipaddress
import json
import os
import ssl
import threading
import time
import typing as t
import urllib.parse

import pytest
from ansible.module_utils import basic
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Data = dict[str, t.Any]
MODULES = "ansible_collections.kubecare.kubelet_certs.plugins.modules"


@dataclasses.dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: t.Any
    body: t.Any


@dataclasses.dataclass
class Reply:
    status: int = 200
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    delay: float = 0
    trickle: float = 0
    """Seconds between the bytes of the body."""

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def status_error(code: int, message: str) -> Reply:
    """A Status object, as an API server explains what it refuses."""
    return Reply(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})


class ApiServer:
    """Routes by path: a Reply, or a function of what was asked. Whatever has no route is 404, as an API server says it."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        self.routes: dict[str, t.Any] = {}
        self.asked: list[Asked] = []
        self.everything: t.Any = None
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self.scheme = "https" if certificate else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def reply(status: int, body: t.Any = None, **more: t.Any) -> Reply:
        """What a route may be; ``body`` is JSON, or bytes as they are."""
        return Reply(status, body, **more)

    def serve_list(self, path: str, items: list[t.Any]) -> None:
        """Pages by ``limit`` and ``continue``, filters by field and label selectors of the form a=b,c=d."""

        def reply(asked: Asked) -> Reply:
            wanted = [item for item in items if _selected(item, asked.query)]
            start = int(asked.query.get("continue", "0"))
            end = start + int(asked.query.get("limit", "1000000"))
            metadata = {"continue": str(end)} if end < len(wanted) else {}
            return Reply(body={"kind": "List", "metadata": metadata, "items": wanted[start:end]})

        self.routes[path] = reply

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        found = self.everything or self.routes.get(asked.path)
        if found is None:
            return status_error(404, f"the server could not find the requested resource ({asked.path})")
        return found if isinstance(found, Reply) else found(asked)


def _selected(item: t.Any, query: dict[str, str]) -> bool:
    for term in query.get("fieldSelector", "").split(","):
        path, _equals, wanted = term.partition("=")
        value = item
        for key in path.split(".") if path else ():
            value = value.get(key) if isinstance(value, dict) else None
        if path and value != wanted:
            return False
    for term in query.get("labelSelector", "").split(","):
        key, _equals, wanted = term.partition("=")
        if key and item.get("metadata", {}).get("labels", {}).get(key) != wanted:
            return False
    return True


def _handler(server: ApiServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            parts = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = dict(urllib.parse.parse_qsl(parts.query))
            reply = server.answer(Asked(self.command, urllib.parse.unquote(parts.path), query, self.headers, body))
            time.sleep(reply.delay)
            content = reply.encoded()
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for one in [content[i : i + 1] for i in range(len(content))] if reply.trickle else [content]:
                    self.wfile.write(one)
                    self.wfile.flush()
                    time.sleep(reply.trickle)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()

        def log_message(self, *args: t.Any) -> None:
            pass

    return Handler


@pytest.fixture
def api_server() -> t.Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate with its key, and both as PEM."""

    certificate: x509.Certificate
    key: t.Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def make_pair(
    common_name: str,
    issuer: Pair | None = None,
    *,
    organizations: t.Sequence[str] = (),
    names: t.Sequence[str] = (),
    not_before: datetime.datetime | None = None,
    not_after: datetime.datetime | None = None,
    serial: int | None = None,
) -> Pair:
    """A certificate by ``issuer``, or a CA of its own; valid now unless told otherwise."""
    now = datetime.datetime.now(datetime.timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        + [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before or now - datetime.timedelta(hours=1))
        .not_valid_after(not_after or now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        issuer_key = issuer.key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    else:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return Pair(builder.sign((issuer or Pair(None, key)).key, hashes.SHA256()), key)  # type: ignore[arg-type]


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_request(
    common_name: str, *, organizations: t.Sequence[str] = ("system:nodes",), names: t.Sequence[str] = ()
) -> bytes:
    """A PKCS #10 request in PEM."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        + [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def pairs() -> t.Callable[..., Pair]:
    """Makes certificates, see ``make_pair``."""
    return make_pair


@pytest.fixture(scope="session")
def requests_of() -> t.Callable[..., bytes]:
    """Makes PKCS #10 requests, see ``make_request``."""
    return make_request


@pytest.fixture(scope="session")
def ca() -> Pair:
    return make_pair("kubernetes")


@pytest.fixture
def tls_server(tmp_path: t.Any) -> t.Iterator[t.Callable[..., ApiServer]]:
    """Makes HTTPS servers with the certificate given, followed by those of ``chain``."""
    servers: list[ApiServer] = []

    def make(pair: Pair, *chain: Pair) -> ApiServer:
        certificate, key = tmp_path / f"server{len(servers)}.crt", tmp_path / f"server{len(servers)}.key"
        certificate.write_bytes(pair.pem + b"".join(other.pem for other in chain))
        key.write_bytes(pair.key_pem)
        servers.append(ApiServer((str(certificate), str(key))))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    """Nothing of this machine's own: no kubeconfig, no proxy, no credentials in the environment."""
    for name in list(os.environ):
        if name.startswith(("K8S_AUTH_", "KUBE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a module ended. ``output`` is all of its standard output as text."""

    result: Data
    output: str
    logged: str

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))


@pytest.fixture
def run_module(
    alone: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: t.Any
) -> t.Callable[..., Ended]:
    """Runs ``main()`` of a module with real arguments and reads what it prints; anything on standard error fails the test."""

    def run(name: str, check: bool = False, **arguments: t.Any) -> Ended:
        (tmp_path / "remote").mkdir(exist_ok=True)
        given = {
            **arguments,
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(tmp_path / "remote"),
            "_ansible_keep_remote_files": False,
        }
        logged: list[str] = []
        monkeypatch.setattr(
            basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}")
        )
        module = importlib.import_module(f"{MODULES}.{name}")
        # Since ansible-core 2.19 a warning goes elsewhere in the controller's process, which other tests make of this one.
        with contextlib.suppress(ImportError):
            internal = importlib.import_module("ansible.module_utils._internal")
            monkeypatch.setattr(internal, "is_controller", False, raising=False)
        capsys.readouterr()
        with _arguments(given, monkeypatch), pytest.raises(SystemExit):
            module.main()
        captured = capsys.readouterr()
        assert captured.err == ""
        return Ended(json.loads(captured.out), captured.out, "\n".join(logged))

    return run


@contextlib.contextmanager
def _arguments(given: Data, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # ansible-core before 2.19
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
        yield
    else:
        with patch_module_args(given):
            yield
