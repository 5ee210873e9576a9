# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Diagnoses a node of the lab over SSH with a login that is not root: what is not seen is said to be ``not_permitted``, and nothing is
concluded from it.

Without ``become``; without it in the group that may read the journal; and, on a machine that has sudo, with the entry of
``docs/permissions.md`` and with one that asks for a password.
"""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import sys
import tempfile

from kubelab import diagnose, lifecycle, running, settings
from kubelab.settings import Json

NODE = "node2"
LOGIN = "kubecare-login"
DOCUMENT = settings.REPOSITORY / "docs/permissions.md"
SUDOERS = "/etc/sudoers.d/kubelet-certs"

HIDDEN = {
    "bootstrap_kubeconfig",
    "denials",
    "kubeconfig.user",
    "log",
    "network",
    "pki.files.*.certificates",
    "pki.writable",
}
"""What only root sees on a machine laid out as kubeadm lays it out; docs/permissions.md lists it."""


class Login:
    """A login on ``NODE`` with the lab's key and no rights. A context manager: it is gone afterwards."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.has_sudo = bool(self.on("command -v sudo || :"))

    def on(self, script: str) -> str:
        """What a script of root's prints on the node."""
        return running.on(self.state, NODE, "sh", "-c", script)

    def __enter__(self) -> Login:
        self.on(f"id {LOGIN} > /dev/null 2>&1 || useradd --create-home --shell /bin/sh {LOGIN}")
        folder = f"/home/{LOGIN}/.ssh"
        self.on(f"mkdir -p {folder} && cp ~root/.ssh/authorized_keys {folder} && chown -R {LOGIN}: {folder}")
        return self

    def __exit__(self, *_error: object) -> None:
        script = f"userdel --force --remove {LOGIN}; rm -f {SUDOERS}"
        running.on(self.state, NODE, "sh", "-c", script, check=False)

    def sudoers(self, lines: str) -> None:
        """Makes the sudoers file this, after sudo's own check."""
        self.on(f"printf '%s\\n' {shlex.quote(lines)} > {SUDOERS}; chmod 440 {SUDOERS}; visudo -c > /dev/null")

    def diagnose(self, become: bool) -> tuple[Json, Json]:
        """``(the node's evidence, its diagnosis)``, by a connection of its own: one that is reused has the groups of its beginning."""
        with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
            run_dir = pathlib.Path(folder) / "run"
            options = {"ansible_user": LOGIN, "kubelet_certs_become": become, "kubelet_certs_hosts": NODE}
            done = diagnose.run(self.state, run_dir, "--extra-vars", json.dumps(options))
            if done.returncode or not (run_dir / "report.html").is_file():
                raise AssertionError(f"the run did not finish with a report:\n{done.stdout[-3000:]}")
            evidence = json.loads((run_dir / "nodes" / f"{NODE}.json").read_text())
            nodes = json.loads((run_dir / "diagnosis.json").read_text())["nodes"]
        return evidence, next(node for node in nodes if node["name"] == NODE)


def hidden(evidence: Json) -> dict[str, set[str]]:
    """Reason → what was not seen for it; the files of the certificates are one."""
    found: dict[str, set[str]] = {}
    for entry in evidence["not_seen"]:
        subject = re.sub(r"^pki\.files\..*\.certificates$", "pki.files.*.certificates", entry["subject"])
        found.setdefault(entry["reason"], set()).add(subject)
    return found


def documented() -> str:
    """The sudoers entry of the documentation, for ``LOGIN``."""
    found = re.search(r"(?m)^# /etc/sudoers\.d/kubelet-certs\n((?:.+\n)+?)```", DOCUMENT.read_text())
    assert found, "docs/permissions.md has no sudoers entry"
    return found[1].replace("kubelet-certs", LOGIN).strip()


def told(found: dict[str, set[str]]) -> str:
    """The gaps on one line."""
    return "; ".join(f"{reason}: {', '.join(sorted(what))}" for reason, what in found.items()) or "everything is seen"


def check(state: pathlib.Path) -> int:
    """Runs the cases and prints a line for each; gives the exit status."""
    passed = failed = 0

    def say(good: bool, what: str) -> None:
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    with Login(state) as login:
        for group, wanted in (("", HIDDEN), ("systemd-journal", HIDDEN - {"log"})):
            if group:
                login.on(f"usermod --append --groups {group} {LOGIN}")
            evidence, node = login.diagnose(become=False)
            found = hidden(evidence)
            case = f"without root, group {group or 'none'}"
            say(found == {"not_permitted": wanted} and evidence["root"] is False, f"{case}: {told(found)}")
            quiet = node["verdict"] == "unknown" and not node.get("findings")
            say(quiet, f"{case}: the verdict is {node['verdict']}")
        for entry, reachable in ((None, False), (f"{LOGIN} ALL=(root) /bin/sh", False), (documented(), True)):
            if not login.has_sudo and entry is not None:
                print(f"left out, the machine has no sudo: {entry.splitlines()[0]}", flush=True)
                continue
            if entry is not None:
                login.sudoers(entry)
            evidence, node = login.diagnose(become=True)
            found = hidden(evidence)
            if reachable:
                good = evidence["root"] is True and not found and node["verdict"] == "healthy"
            else:
                good = not evidence["reachable"] and list(found.values()) == [{"node"}] and node["verdict"] == "unknown"
                good = good and (not login.has_sudo or set(found) == {"not_permitted"})
            first = (entry or "no entry of sudoers").splitlines()[0]
            say(good, f"become, {first}: {told(found)}, the verdict is {node['verdict']}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        return check(state)


if __name__ == "__main__":
    sys.exit(main())
