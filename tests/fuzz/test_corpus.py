# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was once found to crash, to hang or to leak, one file each: ``why`` says what went wrong."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import safe_text
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe import protocol
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import crashers

CORPUS = sorted((pathlib.Path(__file__).parent / "corpus").glob("*.json"))
BASE = pathlib.Path(protocol.__file__).parent / "script/10_base.sh"
LABELS = {"request": "CERTIFICATE REQUEST", "certificate": "CERTIFICATE"}


def secret(entry: dict[str, t.Any]) -> None:
    """Taken out on the node, and by each of the control node's readers alone."""
    source = f"LC_ALL=C\n{BASE.read_text(encoding='utf-8')}\nscrub"
    given = f"N line 1 {entry['text']}\n"
    done = subprocess.run(["sh", "-c", source], input=given, capture_output=True, text=True, timeout=20, check=True)
    for said in (done.stdout, protocol.plain(entry["text"]), safe_text(entry["text"]) or ""):
        assert [part for part in entry["parts"] if part in said] == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_it_does_so_no_more(path: pathlib.Path) -> None:
    entry = json.loads(path.read_text(encoding="utf-8"))
    kind = entry["kind"]
    if kind == "secret":
        secret(entry)
    elif kind == "answer":
        crashers.answer(
            "".join(f"{crashers.NONCE} {line}\n" for line in ["[ node n", *entry["lines"], "finished 1795723502"])
        )
    else:
        data = (entry.get("text", "") * entry.get("times", 1)).encode()
        if "pem_of" in entry:
            label, der = LABELS[kind], base64.b64decode(entry["pem_of"])
            data = f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()
        getattr(crashers, kind)(data)
