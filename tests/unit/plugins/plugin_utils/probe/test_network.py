# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node toward a real TLS server: trust, name, and what the server makes of the node's certificate."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import select
import shutil
import socket
import ssl
import threading
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.network import (
    connection,
    name_matches,
    proxy_for,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Section

if t.TYPE_CHECKING:
    from .conftest import Authority, Node, Pair

_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@contextlib.contextmanager
def _api_server(
    folder: pathlib.Path, pair: Pair, authority: Authority, status: int = 201
) -> t.Iterator[tuple[int, list[str]]]:
    """Answers a SelfSubjectReview with the common name of the certificate presented; yields the port and the names that asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            presented = t.cast("ssl.SSLSocket", self.connection).getpeercert() or {}
            names = [value for rdn in presented.get("subject", ()) for kind, value in rdn if kind == "commonName"]
            asked.append(names[0] if names else "nobody")
            body: dict[str, t.Any] = {"status": {"userInfo": {"username": asked[-1]}}}
            if status != 201:
                body = {"kind": "Status", "message": 'no "entry" here', "code": status}
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:  # as etcd's /health
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b'{"health":"false","reason":"ALARM NOSPACE"}')

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "server.pem").write_text(pair.certificate + pair.key)
    (folder / "server-ca.pem").write_text(authority.pair.certificate)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "server-ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _toward(node: Node, port: int) -> None:
    node.server = f"https://127.0.0.1:{port}"
    node.settings["KCP_API_PROBE"] = "yes"
    current = node.pki / "kubelet-client-current.pem"
    node.write_kubeconfig(f"client-certificate: {current}\nclient-key: {current}")


@_OPENSSL
@pytest.mark.parametrize("embedded", [False, True])
def test_the_api_server_names_the_node(node: Node, shell: list[str], authority: Authority, embedded: bool) -> None:
    from .conftest import b64

    with _api_server(node.root, authority.issue("kube-apiserver", address="127.0.0.1"), authority) as (port, asked):
        _toward(node, port)
        if embedded:
            node.write_kubeconfig(
                f"client-certificate-data: {b64(node.leaf.certificate)}\nclient-key-data: {b64(node.leaf.key)}"
            )
        network = node.probe(shell)["network"]
    assert (network["connect"], network["tls"], network["resolved"]) == ("ok", "ok", ["127.0.0.1"])
    assert (network["server_trusted"], network["server_name_matches"]) == (True, True)
    assert network["server_certificates"][0]["common_name"] == "kube-apiserver"
    assert network["authentication"] == {"http_status": 201, "username": "system:node:worker-7", "message": None}
    assert asked == ["system:node:worker-7"]


@_OPENSSL
def test_the_api_server_refuses(node: Node, tools: list[str], authority: Authority) -> None:
    with _api_server(node.root, authority.issue("api", address="127.0.0.1"), authority, 401) as (port, _asked):
        _toward(node, port)
        network = node.probe(tools)["network"]
    assert network["authentication"]["http_status"] == 401
    assert network["authentication"]["username"] is None
    assert network["authentication"]["message"].startswith("no ")


@_OPENSSL
@pytest.mark.parametrize("case", ["another CA", "another address", "expired"])
def test_a_server_that_cannot_be_trusted_is_asked_nothing(
    node: Node, tools: list[str], authority: Authority, case: str
) -> None:
    from .conftest import Authority as NewAuthority

    issuer = NewAuthority("kubernetes") if case == "another CA" else authority
    address = "127.0.0.9" if case == "another address" else "127.0.0.1"
    pair = issuer.issue("api", address=address, start=-9, end=-1 if case == "expired" else 9)
    with _api_server(node.root, pair, authority) as (port, asked):
        _toward(node, port)
        evidence = node.probe(tools)
    network = evidence["network"]
    assert asked == []
    assert network["authentication"] is None
    assert network["server_trusted"] is (case != "another CA")
    assert network["server_name_matches"] is (case != "another address")
    assert "network.authentication" in {entry["subject"] for entry in evidence["not_seen"]}


@_OPENSSL
def test_nobody_listens(node: Node, tools: list[str]) -> None:
    _toward(node, 1)
    network = node.probe(tools)["network"]
    assert (network["connect"], network["tls"], network["server_certificates"]) == ("refused", None, None)


@_OPENSSL
@pytest.mark.skipif(shutil.which("getent") is None, reason="needs getent")
def test_a_name_that_does_not_resolve(node: Node, tools: list[str]) -> None:
    node.server = "https://no-such-name.invalid:6443"
    node.settings["KCP_API_PROBE"] = "yes"
    node.write_kubeconfig("token: x")
    network = node.probe(tools)["network"]
    assert network["resolved"] == []
    assert network["resolve_error"]
    assert network["connect"] in ("error", "timeout")


class _Proxy(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that lets requests pass, or answers each with ``refuse``."""

    refuse = 0

    def do_CONNECT(self) -> None:
        if self.refuse:
            self.send_error(self.refuse)
            return
        host, _colon, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 5) as far:
            self.send_response(200)
            self.end_headers()
            sides = {self.connection: far, far: self.connection}
            while ready := select.select(list(sides), [], [], 5)[0]:
                for side in ready:
                    part = side.recv(65536)
                    if not part:
                        return
                    sides[side].sendall(part)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@contextlib.contextmanager
def _proxy(refuse: int = 0) -> t.Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), {"refuse": refuse}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _proxied(node: Node, proxy: str) -> None:
    """A kubelet with that proxy in its environment, and a kubeconfig that calls the server by a name that no exception covers."""
    node.server = node.server.replace("127.0.0.1", "api.test")
    node.tool("getent", "echo 127.0.0.1 STREAM api.test")
    current = node.pki / "kubelet-client-current.pem"
    node.write_kubeconfig(f"client-certificate: {current}\nclient-key: {current}")
    node.run_kubelet(f"--kubeconfig={node.kubeconfig}", f"--cert-dir={node.pki}", environment=[f"HTTPS_PROXY={proxy}"])
    node.tool("systemctl", "echo Id=kubelet.service; echo LoadState=loaded; echo ActiveState=active")


@_OPENSSL
def test_the_way_through_a_proxy_is_the_one_that_is_told(node: Node, tools: list[str], authority: Authority) -> None:
    pair = authority.issue("kube-apiserver", address="127.0.0.1")
    with _api_server(node.root, pair, authority) as (port, _asked), _proxy() as proxy:
        _toward(node, port)
        node.server = f"https://127.0.0.1:{port}"
        node.run_kubelet(f"--kubeconfig={node.kubeconfig}", f"--cert-dir={node.pki}")
        current = node.pki / "kubelet-client-current.pem"
        node.write_kubeconfig(f"client-certificate: {current}\nclient-key: {current}")
        text = node.kubeconfig.read_text()
        node.kubeconfig.write_text(
            text.replace("    server:", f"    proxy-url: http://u:p@127.0.0.1:{proxy}\n    server:")
        )
        evidence = node.probe(tools)
    network = evidence["network"]
    assert network["via_proxy"] == f"http://127.0.0.1:{proxy}"
    assert (network["connect"], network["tls"], network["direct"]) == ("ok", "ok", "ok")
    assert network["server_trusted"] is True
    assert network["client_certificate_requested"] is True
    assert network["authentication"]["username"] == "system:node:worker-7"


@_OPENSSL
@pytest.mark.parametrize(("status", "connect"), [(403, "error"), (407, None)])
def test_a_proxy_that_refuses(node: Node, tools: list[str], status: int, connect: str | None) -> None:
    with _proxy(status) as proxy:
        _toward(node, 1)
        _proxied(node, f"http://127.0.0.1:{proxy}")
        evidence = node.probe(tools)
    network = evidence["network"]
    assert (network["via_proxy"], network["connect"]) == (f"http://127.0.0.1:{proxy}", connect)
    missing = {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}
    assert (missing.get("network.connect") == "unauthorized") is (status == 407)


@_OPENSSL
def test_nobody_listens_at_the_proxy(node: Node, tools: list[str]) -> None:
    _toward(node, 1)
    _proxied(node, "127.0.0.1:1")
    network = node.probe(tools)["network"]
    assert (network["connect"], network["direct"], network["tls"]) == ("refused", "error", None)


@_OPENSSL
def test_each_of_several_addresses(node: Node, tools: list[str], authority: Authority) -> None:
    with _api_server(node.root, authority.issue("kube-apiserver", address="127.0.0.1"), authority) as (port, _asked):
        _toward(node, port)
        node.server = f"https://api.test:{port}"
        current = node.pki / "kubelet-client-current.pem"
        node.write_kubeconfig(f"client-certificate: {current}\nclient-key: {current}")
        text = node.kubeconfig.read_text()
        node.kubeconfig.write_text(text.replace("    server:", "    tls-server-name: 127.0.0.1\n    server:"))
        node.tool("getent", "printf '127.0.0.1 STREAM api.test\\n127.0.0.9 STREAM\\n127.0.0.1 DGRAM\\n'")
        network = node.probe(tools)["network"]
    assert network["resolved"] == ["127.0.0.1", "127.0.0.9"]
    well, other = network["addresses"]
    assert (well["connect"], well["tls"], well["server_trusted"], well["http_status"]) == ("ok", "ok", True, 201)
    assert (other["address"], other["connect"], other["tls"], other["http_status"]) == (
        "127.0.0.9",
        "refused",
        None,
        None,
    )


@_OPENSSL
def test_a_server_that_says_nothing(node: Node, tools: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _toward(node, listener.getsockname()[1])
        network = node.probe(tools)["network"]
    assert (network["connect"], network["tls"], network["authentication"]) == ("ok", "timeout", None)


@_OPENSSL
def test_before_there_is_a_kubeconfig_the_bootstrap_one_counts(
    node: Node, tools: list[str], authority: Authority
) -> None:
    with _api_server(node.root, authority.issue("kube-apiserver", address="127.0.0.1"), authority) as (port, _asked):
        _toward(node, port)
        bootstrap = node.root / "bootstrap.conf"
        node.write_kubeconfig("token: abcdef.0123456789abcdef", bootstrap)
        node.kubeconfig.unlink()
        node.run_kubelet(
            f"--kubeconfig={node.kubeconfig}", f"--bootstrap-kubeconfig={bootstrap}", f"--cert-dir={node.pki}"
        )
        network = node.probe(tools)["network"]
    assert (network["source"], network["connect"], network["server_trusted"]) == ("bootstrap_kubeconfig", "ok", True)
    assert network["authentication"] is None


@_OPENSSL
def test_etcd_of_a_control_plane_node(node: Node, tools: list[str], authority: Authority) -> None:
    with _api_server(node.root, authority.issue("etcd", address="127.0.0.1"), authority) as (port, _asked):
        (node.root / "etcd.crt").write_text(node.leaf.certificate)
        (node.root / "etcd.key").write_text(node.leaf.key)
        flags = {"cafile": "ca.crt", "certfile": "etcd.crt", "keyfile": "etcd.key"}
        lines = [f"    - --etcd-{name}={node.root}/{file}" for name, file in flags.items()]
        lines.append(f"    - --etcd-servers=https://127.0.0.1:{port},https://127.0.0.1:1")
        (node.manifests / "kube-apiserver.yaml").write_text("\n".join(["spec:", *lines, "    - --v=2", ""]))
        etcd = node.probe(tools)["control_plane"]["etcd"]
    assert etcd[0] == {
        "endpoint": f"127.0.0.1:{port}",
        "connect": "ok",
        "error": None,
        "healthy": False,
        "reason": "ALARM NOSPACE",
    }
    assert (etcd[1]["endpoint"], etcd[1]["connect"], etcd[1]["healthy"]) == ("127.0.0.1:1", "refused", None)


_3X = (
    "4077:error:8000006F:system library:BIO_connect:Connection refused:../crypto/bio/bio_sock2.c:117:calling connect()"
)
_1X = "1403:error:0200206F:system library:connect:Connection refused:crypto/bio/b_sock2.c:110:"
_UNREACHABLE = "x:error:1:system library:connect:Network is unreachable:y"
_ALERT = "4:error:0A000438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error:x:SSL alert number 80"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (None, None, None)),
        ({"status": ["1"], "trouble": [_3X, "connect:errno=111"]}, ("refused", None, "BIO_connect: Connection refused; connect:errno=111")),
        ({"status": ["1"], "trouble": [_1X, "connect:errno=111"]}, ("refused", None, "connect: Connection refused; connect:errno=111")),
        ({"status": ["1"], "trouble": ["connect:errno=113"]}, ("unreachable", None, "connect:errno=113")),
        ({"status": ["1"], "trouble": [_UNREACHABLE]}, ("unreachable", None, _UNREACHABLE)),
        ({"status": ["1"], "trouble": ["connect:errno=110"]}, ("timeout", None, "connect:errno=110")),
        ({"status": ["124"]}, ("timeout", None, "no answer in time")),
        ({"status": ["143"]}, ("timeout", None, "no answer in time")),
        ({"status": ["1"]}, ("error", None, "openssl ended with status 1")),
        ({"status": ["124"], "connected": ["yes"]}, ("ok", "timeout", None)),
        ({"status": ["1"], "connected": ["yes"], "trouble": ["write:errno=104"]}, ("ok", "failed", None)),
        ({"status": ["0"], "connected": ["yes"], "cert": ["MII"]}, ("ok", "ok", None)),
        ({"status": ["1"], "connected": ["yes"], "trouble": [_ALERT]}, ("ok", "failed", None)),
    ],
)  # fmt: skip
def test_what_openssl_says(values: dict[str, list[str]], expected: tuple[str | None, str | None, str | None]) -> None:
    connect, connect_error, tls, tls_error = connection(Section("network", "api", values))
    assert (connect, tls, connect_error) == expected
    assert (tls_error is not None) == (tls in ("failed", "timeout"))


@pytest.mark.parametrize(
    ("name", "matches"),
    [("api.example.com", True), ("API.example.com.", True), ("a.apps.example.com", True), ("a.b.apps.example.com", False),
     ("apps.example.com", False), ("10.0.0.1", True), ("fd00::1", True), ("10.0.0.2", False), ("", False)],
)  # fmt: skip
def test_name_matches(name: str, matches: bool) -> None:
    certificate = {"dns_names": ["api.example.com", "*.apps.example.com"], "ip_addresses": ["10.0.0.1", "fd00:0::1"]}
    assert name_matches(name, certificate) is matches


@pytest.mark.parametrize(
    ("host", "no_proxy", "proxied"),
    [("api.local", "", True), ("api.local", "other,.local", False), ("api.local", "local", False), ("10.0.0.7", "10.0.0.0/8", False),
     ("10.0.0.7", "11.0.0.0/8", True), ("api.local", "*", False), ("xapi.local", "api.local", True), ("localhost", "", False),
     ("127.0.0.1", "", False), ("api.local", "api.local:6443", False)],
)  # fmt: skip
def test_proxy_for(host: str, no_proxy: str, proxied: bool) -> None:
    proxies = {"https_proxy": "http://proxy:3128", "NO_PROXY": no_proxy}
    assert proxy_for(host, proxies) == ("http://proxy:3128" if proxied else None)
    assert proxy_for(host, {"HTTP_PROXY": "http://proxy"}) is None
