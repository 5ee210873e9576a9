# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets of a lab, and whether any of them is in what the collection wrote.

A secret is looked for by its parts: a line of a private key's base64 is enough to find the key in whatever it was put into,
and a key inside a kubeconfig is base64 once more.
"""

from __future__ import annotations

import base64
import concurrent.futures
import pathlib
import re

from . import init, running

PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(.*?)-----END", re.DOTALL)
KEY_DATA = re.compile(r"client-key-data:\s*(\S+)")
TOKEN = re.compile(r"token:\s*[a-z0-9]{6}\.([a-z0-9]{16})")
#: A service account's; its last part, the signature, makes it one.
SIGNED_TOKEN = re.compile(r"token:\s*[\w-]+\.[\w-]+\.([\w-]{40,})")
#: What a file with a private key in it always has. No report has a reason to.
MARKER = "PRIVATE KEY-----"
READ = (
    "cat /var/lib/kubelet/*/*.pem /etc/kubernetes/*.conf /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key "
    "/srv/k3s/agent/*.key /var/lib/rancher/rke2/agent/*.key /var/snap/microk8s/9044/certs/*.key "
    "/var/snap/microk8s/9044/credentials/* 2>/dev/null || :"
)


def collect(state: pathlib.Path) -> dict[str, str]:
    """Parts of every private key and token of the lab at this moment, with where each is from."""
    found: dict[str, str] = {}
    names = [machine.name for machine in init.Plan.load(state).machines]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        texts = pool.map(lambda name: running.on(state, name, "sh", "-c", READ, check=False), names)
        for name, text in zip(names, texts, strict=True):
            _parts(text, name, found)
    for path in [
        *state.glob("*.conf"),
        *state.glob("pki/**/*.key"),
        state / "id_ed25519",
        *state.glob("host-keys/*/*_key"),
    ]:
        _parts(path.read_text(), str(path.relative_to(state)), found)
    found[(state / "bootstrap-token").read_text().split(".")[1]] = "bootstrap-token"
    return found


def _parts(text: str, source: str, found: dict[str, str]) -> None:
    for match in PRIVATE.finditer(text):
        for line in match[1].split():
            if len(line) >= 32 and not _is_public_prefix(line):
                found[line] = f"private key of {source}"
    for match in KEY_DATA.finditer(text):
        found[match[1][80:140]] = f"kubeconfig key of {source}"
        _parts(base64.b64decode(match[1]).decode(errors="replace"), source, found)
    for match in (*TOKEN.finditer(text), *SIGNED_TOKEN.finditer(text)):
        found[match[1]] = f"token of {source}"


def _is_public_prefix(line: str) -> bool:
    """The first line of an OpenSSH key is the same in every key of its kind."""
    return line.startswith("b3BlbnNzaC1rZXk")


def find(secrets: dict[str, str], output: str, directory: pathlib.Path) -> list[str]:
    """Where a secret occurs in the output or in a file of the folder, one sentence each; the secret is not quoted."""
    texts = {"the playbook's output": output}
    if directory.is_dir():
        for path in sorted(entry for entry in directory.rglob("*") if entry.is_file()):
            texts[str(path.relative_to(directory))] = path.read_text(errors="replace")
    problems = []
    for where, text in texts.items():
        joined = text.replace("\\n", "\n")
        if MARKER in joined:
            problems.append(f"{where} has a private key block")
        problems += sorted({f"{where} has the {source}" for part, source in secrets.items() if part in joined})
    return problems
