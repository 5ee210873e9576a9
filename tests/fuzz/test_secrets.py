# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of every shape, in every place the probe reads and in what the API tells: none is found afterwards."""

from __future__ import annotations

import functools
import json
import pathlib
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import safe_text
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._secrets import without_secrets
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe import protocol
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import build_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console, html
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import planted
from ansible_collections.kubecare.kubelet_certs.tests.fuzz.cases import fuzz
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.probe.conftest import (
    NONCE,
    Authority,
    Node,
)
from hypothesis import strategies as st

FILL = st.sampled_from(["", "x509: ", "E1123 10:00:00 1 x.go:1] ", 'err="', "certificate is forbidden: "])
PIECES = st.lists(st.tuples(FILL, planted.ANY), min_size=1, max_size=3)
BASE = pathlib.Path(protocol.__file__).parent / "script/10_base.sh"


def line_of(pieces: t.Sequence[tuple[str, planted.Planted]]) -> tuple[str, list[str]]:
    return " ".join(fill + one.text for fill, one in pieces), [part for _fill, one in pieces for part in one.parts]


def found(secrets: t.Iterable[str], text: str) -> list[str]:
    return [secret for secret in secrets if secret in text]


@fuzz(PIECES, quick=150)
def test_the_control_node_takes_them_out(pieces: t.Any) -> None:
    text, secrets = line_of(pieces)
    assert found(secrets, protocol.plain(text)) == []
    assert found(secrets, safe_text(text) or "") == []
    once = without_secrets(text)
    assert without_secrets(once) == once or found(secrets, without_secrets(once)) == []


@fuzz(planted.ANY, st.integers(0, 17_000), quick=100)
def test_also_where_the_text_is_cut(one: planted.Planted, before: int) -> None:
    text = "x " * (before // 2) + one.text + " y"
    assert found(one.parts, protocol.plain(text)) == []
    assert found(one.parts, safe_text(text) or "") == []


@fuzz(st.lists(PIECES, min_size=20, max_size=60), quick=5, share=0.1)
def test_the_node_takes_them_out(lines: t.Any) -> None:
    made = [line_of(pieces) for pieces in lines]
    source = f"LC_ALL=C\n{BASE.read_text(encoding='utf-8')}\nscrub"
    given = "".join(f"{NONCE} line 1 {text}\n" for text, _secrets in made)
    done = subprocess.run(["sh", "-c", source], input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    said = done.stdout.splitlines()
    assert len(said) == len(made)
    assert [(text, line) for line, (text, secrets) in zip(said, made, strict=True) if found(secrets, line)] == []


@functools.cache
def _authority() -> Authority:
    return Authority()


def shown(value: t.Any) -> str:
    """All forms in which a diagnosis reaches a person or a program."""
    return json.dumps(value) + html.render(value) + console.plain(console.render(value, None, 100, 50))


NODE_PIECES = st.lists(planted.ANY, min_size=8, max_size=8)


@fuzz(
    NODE_PIECES,
    st.lists(PIECES, min_size=4, max_size=20),
    st.lists(planted.words(), min_size=12, max_size=12),
    st.integers(0, 700),
    quick=4,
    share=0.04,
    shrink=False,
)
def test_nothing_leaves_a_node(pieces: list[planted.Planted], lines: t.Any, words: list[str], fill: int) -> None:
    """The real script over a made-up node; ``words`` have no shape, and stand only where nothing may be read."""
    with tempfile.TemporaryDirectory() as name:
        node = Node(pathlib.Path(name), _authority())
        secrets = [*words, *(part for one in pieces for part in one.parts)]
        flat = [one.text for one in pieces]
        key = planted.keys()[len(flat[0]) % 3]
        secrets += planted.parts_of(key)
        (node.pki / "kubelet.crt").write_text(node.leaf.certificate + key)
        if (
            "/" not in flat[0]
        ):  # no file name has one, and with another character in its place it is no secret's shape any more
            (node.pki / f"{flat[0][:120]}.pem".replace("\0", "")).write_text(key)
        node.server = f"https://joe:{words[0]}@127.0.0.1:1"
        inline = "\n".join(f"  {line}" for line in key.splitlines())
        node.write_kubeconfig(
            f"client-certificate: |\n{inline}\nclient-key: |\n{inline}\ntoken: {words[1]}\nusername: joe\npassword: '{words[2]}'\n"
            f"exec:\n  args: ['{words[3]}']"
        )
        bootstrap = node.root / "bootstrap.conf"
        node.write_kubeconfig(f"token: abcdef.{'z' * 9}{words[4][:7].lower()}\ntokenFile: '{flat[1]}'", bootstrap)
        secrets.append("z" * 9)
        node.config.write_text(
            f"{node.config.read_text()}  Odd: {words[5]}\nother: {words[6]}\nstaticPodURL: {flat[2]}\n"
        )
        node.run_kubelet(
            f"--kubeconfig={node.kubeconfig}",
            f"--bootstrap-kubeconfig={bootstrap}",
            f"--config={node.config}",
            f"--cert-dir={node.pki}",
            "--password",
            f"-{words[7]}",
            "--token",
            f"--{words[8]}",
            f"--hostname-override={flat[3]}",
            f"--secret={flat[4]}",
            environment=[f"A={words[9]}", f"HTTPS_PROXY=http://u:{words[10]}@proxy:1", f"NO_PROXY={flat[5]}"],
        )
        flags = node.root / "flags.env"
        flags.write_text(f'ONE="{key}{words[11]}==\n"\nTWO={words[9]}\\\n{words[10]}=1\n')
        (node.root / "shown").write_text(
            f'LoadState=loaded\nFragmentPath={flat[6]}\nEnvironment="PASS={words[0]} {words[1]}" X={words[2]}\n'
            f"EnvironmentFiles={flags} (ignore_errors=no)\nExecStart={{ path=/k ; argv[]=/k --token={words[3]} $PASS ; x }}\n",
            errors="replace",
        )
        node.tool("systemctl", f"cat '{node.root}/shown'")
        (node.manifests / "kube-apiserver.yaml").write_text(
            f"- --etcd-password={words[4]}\n- --client-ca-file={node.root}/ca.crt\n- name: P\n  value: {words[5]}\n- --feature-gates={flat[7]}\n"
        )
        said = []
        for number, some in enumerate(lines):
            text, parts = line_of(some)
            secrets += parts
            said.append(
                f"{int(time.time()) - number}.1 w kubelet[1]: E1123 1 {'y ' * fill}unauthorized {text} {'x ' * 150}unauthorized\n"
            )
        secrets += planted.parts_of(key)
        said += [f"{int(time.time()) - 50}.1 w kubelet[1]: {line}\n" for line in f"{key}csr".splitlines()]
        (node.root / "log").write_text("".join(said))
        node.tool("journalctl", f'case "$*" in *" -n 1"*) ;; *) cat \'{node.root}/log\' ;; esac')

        raw = node.answer()
        answer = protocol.read_answer(raw, NONCE)
        assert answer.finished
        evidence = build_evidence(answer, "worker-7", 0, time.time(), 40, "error")
    assert found(secrets, raw) == []
    assert found(secrets, json.dumps(evidence)) == []
    assert found(secrets, shown(diagnose_filter({"nodes": {"worker-7": evidence}}))) == []
