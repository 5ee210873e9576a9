# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real script over a made-up node: does the kubelet answer, what each configuration file says, time in which it did not run."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import typing as t

import pytest

if t.TYPE_CHECKING:
    from .conftest import Node


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments: t.Any) -> None:
        pass


def _healthz_at(node: Node, port: int) -> None:
    node.config.write_text(node.config.read_text() + f"healthzPort: {port}\n")


def test_healthz_answers(node: Node, shell: list[str]) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _healthz_at(node, server.server_port)
        seen = node.probe(shell)["healthz"]
        server.shutdown()
    assert seen == {"address": "127.0.0.1", "port": server.server_port, "answer": "answered", "http_status": 200}


def test_healthz_is_refused_or_silent(node: Node, shell: list[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        _healthz_at(node, listener.getsockname()[1])
        assert node.probe(shell)["healthz"]["answer"] == "refused"
        listener.listen()
        began = time.monotonic()
        assert node.probe(shell)["healthz"]["answer"] == "timeout"
        assert time.monotonic() - began < 30


def test_healthz_that_is_switched_off_is_not_asked(node: Node) -> None:
    _healthz_at(node, 0)
    evidence = node.probe()
    assert evidence["healthz"] is None
    assert {"subject": "healthz", "reason": "disabled"}.items() <= next(
        entry for entry in evidence["not_seen"] if entry["subject"] == "healthz"
    ).items()


def test_what_each_file_says_about_rotation(node: Node, tools: list[str]) -> None:
    folder = node.root / "config.d"
    folder.mkdir()
    (folder / "10.conf").write_text("kind: KubeletConfiguration\nserverTLSBootstrap: true\n")
    (folder / "90.conf").write_text("kind: KubeletConfiguration\nrotateCertificates: false\n")
    node.run_kubelet(f"--config={node.config}", f"--config-dir={folder}", f"--cert-dir={node.pki}")
    config = node.probe(tools)["config"]
    assert (config["rotate_certificates"], config["server_tls_bootstrap"]) == (False, True)
    said = [(layer["path"], layer["rotate_certificates"], layer["server_tls_bootstrap"]) for layer in config["layers"]]
    assert said == [
        (str(node.config), True, None),
        (f"{folder}/10.conf", None, True),
        (f"{folder}/90.conf", False, None),
    ]
    assert all(layer["modified"] for layer in config["layers"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RotateCertificates: true\n", ["RotateCertificates"]),
        ("rotate-certificates: true\nserverTlsBootstrap: true\n", ["rotate-certificates", "serverTlsBootstrap"]),
        ("authentication:\n  rotateCertificates: true\n", ["authentication.rotateCertificates"]),
        ("rotateCertificates: true\nserverTLSBootstrap: true\n", []),
    ],
)
def test_misspelled_keys(node: Node, tools: list[str], text: str, found: list[str]) -> None:
    node.config.write_text(f"kind: KubeletConfiguration\n{text}")
    assert node.probe(tools)["config"]["misspelled"] == found


def test_state_of_the_process_and_time_of_suspension(node: Node, tools: list[str]) -> None:
    process = node.proc / "812/stat"
    process.write_text(process.read_text().replace("(kube let) 0", "(kube let) T"))
    evidence = node.probe(tools)
    assert evidence["kubelet"]["state"] == "T"
    assert evidence["clock"]["suspended_seconds"] is None
    (node.proc / "timer_list").write_text("Timer List Version: v0.9\nnow at 4000000000123 nsecs\n\ncpu: 0\n")
    assert node.probe(tools)["clock"]["suspended_seconds"] == 1000


def test_the_longest_time_without_a_kubelet_in_the_journal(node: Node, shell: list[str]) -> None:
    now = int(time.time())
    lines = [
        f"{now - 9000}.000001 w7 kubelet[1]: I1123 10:00:00.000000 1 kubelet.go:1] quiet for long, and alive",
        f"{now - 5000}.000001 w7 systemd[1]: Stopped kubelet.service - kubelet: The Kubernetes Node Agent.",
        f"{now - 4000}.000001 w7 systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent.",
        f"{now - 3990}.000001 w7 kubelet[2]: I1123 10:00:00.000000 2 server.go:1] starts",
        "-- Boot 0123456789abcdef0123456789abcdef --",
        f"{now - 3600}.000001 w7 systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent.",
    ]
    log = node.root / "log"
    log.write_text("\n".join(reversed(lines)) + "\n")
    node.tool("journalctl", f'case "$*" in *" -b -1 "*) sed -n 4p {log} ;; *" -n 1"*) ;; *) cat {log} ;; esac')

    def stamp(second: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))

    evidence = node.probe(shell)
    assert evidence["log"]["longest_down"] == {"from": stamp(now - 5000), "to": stamp(now - 4000)}
    assert evidence["clock"]["previous_boot_end"] == stamp(now - 4000)
    lines[1:4] = []
    log.write_text("\n".join(reversed(lines)) + "\n")
    assert node.probe(shell)["log"]["longest_down"] == {"from": stamp(now - 9000), "to": stamp(now - 3600)}
