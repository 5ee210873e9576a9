# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets put into every place the probe reads: none comes back, not even in the raw answer."""

from __future__ import annotations

import base64
import json
import secrets
import string
import time
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import build_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import read_answer

if t.TYPE_CHECKING:
    from .conftest import Node

NONCE = "0123456789abcdef01234567"


class _Safe:
    """Makes secrets and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def word(self) -> str:
        self.made.append(f"S3cr3t{secrets.token_hex(9)}")
        return self.made[-1]

    def token(self) -> str:
        letters = string.ascii_lowercase + string.digits
        secret = "".join(secrets.choice(letters) for _turn in range(16))
        self.made.append(secret)
        return f"{secrets.token_hex(3)}.{secret}"

    def jwt(self) -> str:
        parts = [base64.urlsafe_b64encode(secrets.token_bytes(30)).decode().rstrip("=") for _part in range(2)]
        self.made.extend(parts)
        return f"eyJhbGciOiJSUzI1NiJ9.{parts[0]}.{parts[1]}"

    def key(self, node: Node) -> str:
        pem = node.authority.issue("x").key
        self.made.extend(line for line in pem.splitlines() if not line.startswith("-"))
        encoded = base64.b64encode(pem.encode()).decode()
        self.made.extend(encoded[at : at + 40] for at in range(44, len(encoded) - 40, 40))
        return pem


def test_no_secret_leaves_the_node(node: Node, shell: list[str]) -> None:
    safe = _Safe()
    key = safe.key(node)
    for path in node.pki.iterdir():
        if not path.is_symlink():
            path.write_text(
                f"{key}{node.leaf.certificate}{safe.key(node)}{safe.word()}\n{node.authority.pair.certificate}{key}"
            )
    (node.pki / "kubelet.crt").write_text(node.leaf.certificate)
    (node.pki / "kubelet.key").write_text(safe.key(node))
    (node.pki / "stray.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{safe.word()}!\n{key}")
    (node.pki / "kubelet-client.key.tmp").write_text(safe.key(node))
    whole = base64.b64encode((node.leaf.certificate + safe.key(node)).encode()).decode()
    node.server = f"https://joe:{safe.word()}@127.0.0.1:1"
    node.write_kubeconfig(
        f"client-certificate-data: {whole}\nclient-key-data: {base64.b64encode(safe.key(node).encode()).decode()}\n"
        f"username: joe\npassword: {safe.word()}\ntoken: {safe.token()}\nproxy-url: http://a:{safe.word()}@b\n"
        f"exec:\n  command: aws\n  args:\n  - --token={safe.word()}\n  env:\n  - name: AWS\n    value: {safe.word()}"
    )
    bootstrap = node.root / "bootstrap.conf"
    node.write_kubeconfig(f"token: {safe.token()}", bootstrap)
    node.config.write_text(
        f"{node.config.read_text()}staticPodURLHeader:\n  Authorization: [{safe.word()}]\nother: {safe.word()}\n"
    )
    node.run_kubelet(
        f"--kubeconfig={node.kubeconfig}", f"--bootstrap-kubeconfig={bootstrap}", f"--config={node.config}", f"--cert-dir={node.pki}",
        f"--token={safe.word()}", "--password", safe.word(), f"--hostname-override={safe.token()}",
        environment=[f"AWS_SECRET={safe.word()}", f"HTTPS_PROXY=http://u:{safe.word()}@proxy:1", f"http_proxy=v:{safe.word()}@proxy"],
    )  # fmt: skip
    shown = node.root / "shown"
    flags_file = node.root / "flags.env"
    flags_file.write_text(f'EXTRA="--token={safe.word()} --v=2"\nKEY={safe.word()}\n')
    shown.write_text(
        f'LoadState=loaded\nEnvironment="PASS={safe.word()} {safe.word()}" TOKEN={safe.word()} ALL_PROXY=socks5://u:{safe.word()}@p\n'
        f"EnvironmentFiles={flags_file} (ignore_errors=no)\n"
        f"ExecStart={{ path=/k ; argv[]=/k --token={safe.word()} $EXTRA $PASS ; ignore_errors=no }}\n"
    )
    node.tool("systemctl", f"cat {shown}")
    (node.manifests / "kube-apiserver.yaml").write_text(
        f"- --etcd-password={safe.word()}\n- --client-ca-file={node.root}/ca.crt\n- name: P\n  value: {safe.word()}\n"
    )
    flat_key = key.replace("\n", "\\n")
    lines = [
        f'Unauthorized "Authorization: Bearer {safe.word()}"',
        f"certificate: bearer {safe.jwt()} is forbidden: User",
        f"bootstrap token {safe.token()} unauthorized",
        f'kubeconfig {{"token": "{safe.word()}", \\"password\\": \\"{safe.word()}\\"}} unauthorized',
        f"invalid kubeconfig: password={safe.word()} secret: {safe.word()}",
        f"x509: certificate {flat_key} is forbidden: User",
        f"kubeconfig client-key-data: {base64.b64encode(key.encode()).decode()} unauthorized",
        f"Unauthorized https://joe:{safe.word()}@api:6443/api",
        f"unauthorized {safe.token()}",
    ]
    log = node.root / "log"
    log.write_text("".join(f"{int(time.time()) - n}.1 w kubelet[1]: E1123 1 {line}\n" for n, line in enumerate(lines)))
    node.tool("journalctl", f'case "$*" in *" -n 1"*) ;; *) cat {log} ;; esac')
    node.settings["KCP_API_PROBE"] = "yes"

    text = node.answer(shell)
    answer = read_answer(text, NONCE)
    assert answer.finished
    evidence = build_evidence(answer, "worker-7", 0, time.time(), 40, "error")
    assert evidence["log"]["counts"]["unauthorized"]["count"] >= 5
    assert evidence["kubeconfig"]["user"]["kind"] == "client_certificate_data"
    assert evidence["bootstrap_kubeconfig"]["user"]["token_id"]
    found = json.dumps(evidence)
    assert [secret for secret in safe.made if secret in text] == []
    assert [secret for secret in safe.made if secret in found] == []
    assert "PRIVATE KEY" not in text


def test_the_parser_removes_what_the_node_let_pass() -> None:
    secrets_of = ["hunter2hunter2", "abcdefghij0123456789"]
    text = (
        f"{NONCE} [ node n\n{NONCE} [ log journal\n{NONCE} complete yes\n{NONCE} lines 1\n"
        f"{NONCE} shape 1 1700000000 1700000000 Unauthorized password={secrets_of[0]} Bearer {secrets_of[1]}\n"
        f"{NONCE} finished 1700000000\n"
    )
    evidence = build_evidence(read_answer(text, NONCE), "h", 0, 1700000000.0, 40, "error")
    assert evidence["log"]["entries"][0]["message"] == "Unauthorized password=[removed] Bearer [removed]"
