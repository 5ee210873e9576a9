# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that are cut, hostile or not answers at all."""

from __future__ import annotations

import datetime
import json
import pathlib
import random
import re
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe import protocol
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import build_evidence, unreachable
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    MAX_ANSWER_CHARS,
    build_script,
    plain,
    read_answer,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import epoch, log_time, systemd_time

if t.TYPE_CHECKING:
    from .conftest import Node

NONCE = "0123456789abcdef01234567"
NULLABLE = {
    "root", "hostname", "addresses", "clock", "kubelet", "kubeconfig", "config", "pki", "bootstrap_kubeconfig", "client_ca_file",
    "control_plane", "denials", "log", "serving", "healthz", "network",
}  # fmt: skip


def _evidence(text: str) -> dict[str, t.Any]:
    return build_evidence(read_answer(text, NONCE), "h", 1700000000.0, 1700000002.0, 40, "timeout")


def test_banners_and_forged_lines_are_ignored(node: Node) -> None:
    text = node.answer()
    forged = text.replace(NONCE, "f" * 24)
    noisy = (
        f"We trust you have received the usual lecture\r\n{forged}\n [ node evil\n{text}logout {NONCE} [ node evil\n"
    )
    assert [s.name for s in read_answer(noisy, NONCE).every("node")] == [
        s.name for s in read_answer(text, NONCE).every("node")
    ]


def test_a_file_cannot_pass_for_a_line_of_the_probe(node: Node) -> None:
    hostile = "a\n! pki not_found gone\n[ node evil\n" + f"{NONCE[:-1]}x root no\n"
    node.run_kubelet(f"--kubeconfig={node.kubeconfig}", f"--hostname-override={hostile}", f"--cert-dir={node.pki}")
    (node.pki / "new\nline [ node evil.pem").write_text(node.leaf.certificate)
    evidence = node.probe()
    assert evidence["root"] is not None
    assert evidence["hostname"] != "evil"
    assert {entry["subject"] for entry in evidence["not_seen"]}.isdisjoint({"pki"})
    assert any("new line" in entry["path"] for entry in evidence["pki"]["files"])


def test_every_cut_of_an_answer_keeps_what_came_before_and_says_the_rest(node: Node) -> None:
    text = node.answer()
    whole = _evidence(text)
    lines = text.splitlines(keepends=True)
    for count in range(1, len(lines)):
        for cut in ("".join(lines[:count]), "".join(lines[:count]) + lines[count][: len(lines[count]) // 2]):
            evidence = _evidence(cut)
            missing = {entry["subject"] for entry in evidence["not_seen"]}
            said_null = {key for key in NULLABLE if evidence[key] is None}
            unexplained = {key for key in said_null if whole[key] is not None and key not in missing}
            assert not unexplained, (count, unexplained)
            for key in NULLABLE - said_null - {"clock", "not_seen"}:
                assert evidence[key] == whole[key], (count, key)


def test_a_cut_answer_never_says_that_a_file_is_absent(node: Node) -> None:
    text = node.answer()
    cut = text[: text.index(f"{NONCE} [ file ")]
    evidence = _evidence(cut)
    assert evidence["pki"] is None
    assert {"subject": "pki", "reason": "timeout"}.items() <= next(
        e for e in evidence["not_seen"] if e["subject"] == "pki"
    ).items()


@pytest.mark.parametrize("seed", range(40))
def test_damaged_answers_do_no_harm(node_answer: str, seed: int) -> None:
    dice = random.Random(seed)
    characters = list(node_answer)
    for _turn in range(200):
        characters[dice.randrange(len(characters))] = dice.choice(
            ["\n", " ", "\x00", "\udc80", "9", "-", "é", "[", "!", "\u202e", ""]
        )
    json.dumps(_evidence("".join(characters)))


@pytest.fixture(scope="module")
def node_answer(tmp_path_factory: pytest.TempPathFactory) -> str:
    from .conftest import Authority, Node

    return Node(tmp_path_factory.mktemp("node"), Authority()).answer()


def test_ten_megabytes_of_rubbish() -> None:
    garbage = f"{NONCE} [ node {'x' * 100_000}\n" * 100 + "y" * 1_000_000
    evidence = _evidence(garbage)
    assert len(garbage) > 10_000_000 > MAX_ANSWER_CHARS
    assert len(json.dumps(evidence)) < 50_000
    assert read_answer("z" * 11_000_000, NONCE).started is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x1b[31mb\x00c", "a?[31mb?c"),
        ("right\u202eleft", "right?left"),
        ("ok\udcff", "ok\ufffd"),
        ("https://u:p@h/x", "https://h/x"),
        ("see abcdef.0123456789abcdef.", "see abcdef.[removed]."),
        ("see abcdef.0123456789abcdef now", "see abcdef.[removed] now"),
        ("kubelet-client-2026-01-02-03-04-05.pem", "kubelet-client-2026-01-02-03-04-05.pem"),
        ("x" * 9000, "x" * 4096),
    ],
)
def test_plain(value: str, expected: str) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("2023-11-14T22:13:20.123+00:00", "2023-11-14T22:13:20Z"),
        ("Nov_9_08:07:06", "2026-11-09T08:07:06Z"),
        ("Dec_31_23:59:59", "2025-12-31T23:59:59Z"),
        ("E1123_10:00:00.000001_812", "2026-11-23T10:00:00Z"),
        ("E1399_10:00:00.000001_812", None),
        ("Foo_31_23:59:59", None),
        ("-", None),
        ("9" * 30, None),
    ],
)
def test_log_time(text: str, expected: str | None) -> None:
    assert log_time(text, datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.timezone.utc)) == expected


def test_times() -> None:
    assert systemd_time("Mon 2026-11-23 20:05:00 UTC") == "2026-11-23T20:05:00Z"
    assert systemd_time("Mon 2026-99-23 20:05:00 UTC") is None
    assert systemd_time("n/a") is None
    assert epoch("999999999999999999") is None
    assert epoch(0) == "1970-01-01T00:00:00Z"


def test_settings_are_quoted() -> None:
    script = build_script(NONCE, {"KCP_UNIT": "x'; touch /tmp/evil; '"}).decode()
    assert "KCP_UNIT='x'\"'\"'; touch /tmp/evil; '\"'\"''\n" in script
    with pytest.raises(ValueError, match="KCP_UNIT"):
        build_script(NONCE, {"KCP_UNIT": "a\nb"})


def test_clock_offset_is_that_of_both_ends() -> None:
    text = f"{NONCE} [ node n\n{NONCE} time 1700000100\n{NONCE} finished 1700000104\n"
    evidence = build_evidence(read_answer(text, NONCE), "h", 1699999998.0, 1700000006.0, 40, "error")
    assert evidence["clock"]["offset_seconds"] == 100


def test_unreachable() -> None:
    evidence = unreachable("h", 1700000000.9, "timeout", "no answer")
    assert evidence["reachable"] is False
    assert {key for key, value in evidence.items() if value is None} == NULLABLE
    assert evidence["not_seen"] == [{"subject": "node", "reason": "timeout", "message": "no answer"}]
    assert evidence["collected_at"] == "2023-11-14T22:13:20Z"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_script_is_plain_posix_shell() -> None:
    parts = sorted(pathlib.Path(protocol.__file__).parent.joinpath("script").glob("*.sh"))
    whole = b"".join(part.read_bytes() for part in parts)
    checked = subprocess.run(["shellcheck", "-s", "sh", "-"], input=whole, stdout=subprocess.PIPE, check=False)
    assert checked.stdout.decode() == ""
    assert not re.search(rb"<<-? *['\"]?[A-Z]", whole), "shells keep here-documents in temporary files"
