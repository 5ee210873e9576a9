# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way through a probe pod, against a server that speaks an API server's exec: RFC 6455, and Kubernetes' ``v4.channel.k8s.io`` in it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import typing as t
import urllib.parse

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import access
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways import pod
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.reply import Reply, evidence_of

Data = dict[str, t.Any]
SUCCESS = b'{"status": "Success"}'


def failure(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    said = {"status": "Failure", "message": f"command terminated with exit code {code}", "details": {"causes": causes}}
    return json.dumps(said).encode()


class Exec:
    """One exec as the test plays it: what stdin brought, and how to answer."""

    def __init__(self, stream: t.Any, out: t.Any) -> None:
        self._in, self._out = stream, out
        self.stdin = b""

    def read(self, until: bytes) -> bytes:
        """The client's messages until its stdin holds ``until``."""
        while until not in self.stdin:
            first, second = self._in.read(2)
            length = second & 127
            length = struct.unpack(">H", self._in.read(2))[0] if length == 126 else length
            mask, data = self._in.read(4), self._in.read(length)
            plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
            assert first & 15 == 2, "not a binary message"
            assert plain[0] == 0, "not the channel of stdin"
            self.stdin += plain[1:]
        return self.stdin

    def say(self, channel: int, data: bytes) -> None:
        payload = bytes((channel,)) + data
        head = (
            struct.pack(">BB", 0x82, len(payload))
            if len(payload) < 126
            else struct.pack(">BBQ", 0x82, 127, len(payload))
        )
        self._out.write(head + payload)
        self._out.flush()


class ExecServer:
    """Answers one exec by ``play``; ``refuses`` is a status and body instead of the upgrade."""

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        self.play: t.Callable[[Exec], None] = lambda one: one.say(3, SUCCESS)
        self.refuses: tuple[int, bytes] | None = None
        self.asked: list[tuple[str, t.Any]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802
                outer.asked.append((self.path, self.headers))
                if outer.refuses:
                    self.send_response(outer.refuses[0])
                    self.send_header("Content-Length", str(len(outer.refuses[1])))
                    self.end_headers()
                    self.wfile.write(outer.refuses[1])
                    return
                key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
                self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
                self.end_headers()
                self.wfile.flush()
                with contextlib.suppress(OSError, ValueError):
                    outer.play(Exec(self.rfile, self.wfile))
                self.close_connection = True

            def log_message(self, *args: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(alone: None) -> t.Iterator[ExecServer]:
    made = ExecServer()
    yield made
    made.close()


def api_of(url: str, folder: t.Any, **more: t.Any) -> Api:
    return Api(access({"host": url, "api_key": "secret-token", **more}, str(folder)), 5)


def send(server: ExecServer, folder: t.Any, script: bytes = b"exit 0\n", seconds: int = 5, **more: t.Any) -> Reply:
    return pod.send_script(api_of(server.url, folder, **more), "probes", "probe-x", "probe", script, seconds)


def test_the_script_goes_in_and_the_answer_comes_out(server: ExecServer, tmp_path: t.Any) -> None:
    script = b"# \xff" + b"x" * 50_000 + b"\nexit 0\n"

    def play(one: Exec) -> None:
        assert one.read(b"exit 0\n") == script
        one.say(1, b"half a ")
        one.say(2, b"password: hunter2pwd")
        one.say(1, b"line" + b"y" * 70_000)
        one.say(3, failure(3))

    server.play = play
    reply = send(server, tmp_path, script, impersonate_user="audit", impersonate_groups=["a", "b"])
    assert reply.said == "half a line" + "y" * 70_000
    assert (reply.status, reply.broke) == (3, None)
    assert "hunter2pwd" not in reply.complaint
    (asked, headers) = server.asked[0]
    parts = urllib.parse.urlsplit(asked)
    assert parts.path == "/api/v1/namespaces/probes/pods/probe-x/exec"
    query = urllib.parse.parse_qs(parts.query)
    assert query["command"] == ["chroot", "/host", "/bin/sh"]
    assert (query["container"], query["stdin"], query["tty"]) == (["probe"], ["true"], ["false"])
    assert headers["Authorization"] == "Bearer secret-token"
    assert (headers["Impersonate-User"], headers.get_all("Impersonate-Group")) == ("audit", ["a", "b"])
    assert "Origin" not in headers


def test_a_whole_probe(server: ExecServer, tmp_path: t.Any) -> None:
    """The real script, run by this machine's shell behind the exec."""
    script = build_script(
        "abc",
        {"KCP_TIMEOUT": 20, "KCP_LOG_SINCE": 60, "KCP_LOG_LINES": 1, "KCP_API_PROBE": "no", "KCP_PROC": "/proc"}
        | dict.fromkeys(("KCP_LOG_FILE", "KCP_UNIT", "KCP_KUBECONFIG", "KCP_CONFIG", "KCP_PKI", "KCP_MANIFESTS"), ""),
    )

    def play(one: Exec) -> None:
        done = subprocess.run(["/bin/sh"], input=one.read(script[-40:]), capture_output=True, check=False)
        for start in range(0, len(done.stdout), 1000):
            one.say(1, done.stdout[start : start + 1000])
        one.say(3, SUCCESS)

    server.play = play
    evidence = evidence_of(send(server, tmp_path, script, seconds=30), "abc", "host-7", 30, 1)
    assert evidence["reachable"] is True
    assert evidence["hostname"] == socket.gethostname()


@pytest.mark.parametrize(
    ("play", "seconds", "reason", "words"),
    [
        (lambda one: time.sleep(3), 1, "timeout", "no answer within 1 seconds"),
        (
            lambda one: (one.read(b"exit"), one.say(1, b"x" * (pod.MAX_BYTES + 1))),
            20,
            "too_large",
            f"more than {pod.MAX_BYTES} bytes",
        ),
        (lambda one: [one.say(1, b"x" * 60_000) for _turn in range(1000)], 20, "too_large", "bytes came"),
        (lambda one: None, 5, "unreachable", "broke off"),
        (lambda one: one.say(3, b"[]"), 5, "error", "ended before the script did"),
        (
            lambda one: one.say(3, b'{"status": "Failure", "message": "container not found"}'),
            5,
            "error",
            "container not found",
        ),
    ],
)
def test_what_breaks_off(
    server: ExecServer, tmp_path: t.Any, play: t.Any, seconds: int, reason: str, words: str
) -> None:
    server.play = play
    reply = send(server, tmp_path, seconds=seconds)
    assert reply.broke is not None
    assert reply.broke[0] == reason
    assert words in reply.broke[1]
    assert len(reply.said) <= pod.MAX_BYTES


def test_what_came_before_is_kept(server: ExecServer, tmp_path: t.Any) -> None:
    def play(one: Exec) -> None:
        one.say(1, b"abc [ node worker-7\nabc root yes\nabc time 1764000000\nabc [ process kubelet\n")
        time.sleep(3)

    server.play = play
    evidence = evidence_of(send(server, tmp_path, seconds=1), "abc", "host-7", 60, 10)
    assert (evidence["reachable"], evidence["root"]) == (True, True)
    assert {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}["pki"] == "timeout"


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (403, b'{"kind": "Status", "message": "cannot create resource \\"pods/exec\\""}', "forbidden", "pods/exec"),
        (404, b'{"kind": "Status", "message": "pods \\"probe-x\\" not found"}', "not_found", "probe-x"),
        (500, b"<html>proxy</html>", "error", "HTTP 500"),
        (302, b"", "unreachable", "broke off"),
    ],
)
def test_refused(server: ExecServer, tmp_path: t.Any, status: int, body: bytes, reason: str, words: str) -> None:
    server.refuses = (status, body)
    reply = send(server, tmp_path)
    assert reply.broke is not None
    assert reply.broke[0] == reason
    assert words in reply.broke[1]


def test_no_server(alone: None, tmp_path: t.Any) -> None:
    reply = pod.send_script(api_of("http://127.0.0.1:1", tmp_path), "n", "p", "c", b"exit\n", 5)
    assert reply.broke == ("unreachable", "exec in the probe pod: no connection: Connection refused")


def test_tls_is_verified(alone: None, tmp_path: t.Any, ca: t.Any, pairs: t.Any) -> None:
    pair = pairs("api", ca, names=["127.0.0.1"])
    (tmp_path / "tls.crt").write_bytes(pair.pem)
    (tmp_path / "tls.key").write_bytes(pair.key_pem)
    (tmp_path / "ca.crt").write_bytes(ca.pem)
    (tmp_path / "other.crt").write_bytes(pairs("kubernetes").pem)
    made = ExecServer((str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")))
    try:
        assert send(made, tmp_path, ca_cert=str(tmp_path / "ca.crt")).status == 0
        reply = send(made, tmp_path, ca_cert=str(tmp_path / "other.crt"))
        assert reply.broke is not None
        assert reply.broke[0] == "tls"
        assert send(made, tmp_path, validate_certs=False).status == 0
    finally:
        made.close()


def pod_on(name: str, node: str, ready: str = "True", **metadata: t.Any) -> Data:
    return {
        "metadata": {"name": name, "labels": {"app": "probe"}, **metadata},
        "spec": {"nodeName": node, "containers": [{"name": "probe"}, {"name": "other"}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_find_pod(alone: None, api_server: t.Any, tmp_path: t.Any) -> None:
    pods = [
        pod_on("old", "worker-7", deletionTimestamp="2026-11-23T20:05:00Z"),
        pod_on("young", "worker-7", "False"),
        pod_on("good", "worker-7"),
        pod_on("elsewhere", "worker-8", "False"),
    ]
    api_server.serve_list("/api/v1/namespaces/probes/pods", pods)
    api = api_of(api_server.url, tmp_path)
    assert pod.find_pod(api, "worker-7", "probes", "app=probe") == ("good", "probe")
    for node, words in (("worker-8", "the probe pod of the node is not ready"), ("worker-9", "no probe pod")):
        with pytest.raises(ApiError, match=words) as caught:
            pod.find_pod(api, node, "probes", "app=probe")
        assert caught.value.reason == "not_found"


def test_the_manifest_fits_the_defaults() -> None:
    import ansible_collections.kubecare.kubelet_certs as collection
    from ansible_collections.kubecare.kubelet_certs.plugins.action.node_probe import ARGUMENT_SPEC

    path = f"{next(iter(collection.__path__))}/docs/manifests/probe-daemonset.yml"
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    key, _equals, value = ARGUMENT_SPEC["pod_selector"]["default"].partition("=")
    assert re.search(rf"(?m)^  namespace: {ARGUMENT_SPEC['pod_namespace']['default']}$", text)
    assert f"{key}: {value}" in text
    assert f"mountPath: {pod.HOST_ROOT}\n              readOnly: true" in text
