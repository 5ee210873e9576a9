# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many SSH hosts on few machines: every address of a network is a worker of the lab, with its real sshd, kubelet and journal.

The workers answer on two ports. On 22 a host does its work itself; as all hosts share this machine's processors, what the nodes
spend is then in the time. On ``RECORDED_PORT`` a host gives the probe the answer that its worker gave before (with the nonce of
the question), after one short shell: what is left is the control node's own cost, as with nodes that have processors of their own.
That is the one thing here that is not real, and only the figures that say so use it.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from kubelab import init, running, settings

RECORDED_PORT = 2222
WORKERS = ("node1", "node2", "node3")
NETWORKS = {name: f"10.{78 + index}" for index, name in enumerate(WORKERS)}
"""The first half of the addresses that lead to each worker."""

ANSWER = "/usr/local/libexec/recorded-answer"
ANSWERING = f"""#!/bin/sh
# The probe's script comes on stdin and names its nonce in the first line; anything else is run as it is.
case ${{SSH_ORIGINAL_COMMAND:-}} in
*/bin/sh*)
    IFS= read -r first || exit 0
    case $first in
    KCP_NONCE=*) cat > /dev/null; exec sed "s/@nonce@/${{first#KCP_NONCE=}}/" {ANSWER}.txt ;;
    esac
    {{ printf '%s\\n' "$first"; cat; }} | sh ;;
*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
"""
SSHD = f"""MaxStartups 4000
MaxSessions 100
LoginGraceTime 300
Port 22
Port {RECORDED_PORT}
Match LocalPort {RECORDED_PORT}
    ForceCommand {ANSWER}
"""


def prepare(state: pathlib.Path, python: bool) -> None:
    """Lets the lab's workers answer on every address of their networks; with Python on them for the modules of other playbooks."""
    control = running.require_init(state)
    for name, leader in running.leaders(control).items():
        if name not in NETWORKS:
            continue
        network = f"{NETWORKS[name]}.0.0/16"
        address = next(machine.address for machine in init.Plan.load(state).machines if machine.name == name)
        running.on(state, name, "ip", "route", "replace", "local", network, "dev", "lo")
        route = ["ip", "route", "replace", network, "via", address]
        subprocess.run(running.enter_network(control, route), check=True)
        root = pathlib.Path(f"/proc/{leader}/root")
        (root / "etc/ssh/sshd_config.d").mkdir(exist_ok=True)
        (root / "etc/ssh/sshd_config.d/benchmark.conf").write_text(SSHD)
        program = root / ANSWER.lstrip("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(ANSWERING)
        program.chmod(0o755)
        running.on(state, name, "systemctl", "set-property", "--runtime", "ssh.service", "TasksMax=infinity")
        running.on(state, name, "systemctl", "restart", "ssh.service")
        if python:
            _install_python(state, name, root)


def _install_python(state: pathlib.Path, name: str, root: pathlib.Path) -> None:
    """Debian's Python, of the release that the machines are of."""
    if (root / "usr/bin/python3").is_symlink():
        return
    archives = settings.cache_root() / "benchmark-python"
    if not list(archives.glob("python3_*.deb")):
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        installed = f"{init.Plan.load(state).root}/var/lib/dpkg/status"
        options = [f"Dir::State::status={installed}", f"Dir::Cache::archives={archives}"]
        command = ["apt-get", "install", "--yes", "--download-only", "--no-install-recommends", "python3"]
        subprocess.run([*command, *(f"-o{option}" for option in options)], check=True, stdout=subprocess.DEVNULL)
    inside = root / "var/tmp/python"
    inside.mkdir(exist_ok=True)
    for archive in archives.glob("*.deb"):
        shutil.copy(archive, inside)
    running.on(state, name, "sh", "-c", "dpkg --force-depends --install /var/tmp/python/*.deb")
    shutil.rmtree(inside)


def record_answers(state: pathlib.Path, script: bytes, nonce: str) -> None:
    """Keeps each worker's real answer to the probe's ``script`` as what its recorded hosts say."""
    control = running.require_init(state)
    for name, leader in running.leaders(control).items():
        if name in NETWORKS:
            done = subprocess.run(running.enter_machine(leader, ["sh"]), input=script, capture_output=True, check=True)
            answer = done.stdout.replace(nonce.encode(), b"@nonce@")
            pathlib.Path(f"/proc/{leader}/root{ANSWER}.txt").write_bytes(answer)


def inventory(state: pathlib.Path, count: int, port: int) -> str:
    """An inventory (YAML) of ``count`` hosts in the group ``nodes``, spread over the workers."""
    lines = ["nodes:", "  hosts:"]
    for number in range(count):
        network = NETWORKS[WORKERS[number % len(WORKERS)]]
        place = number // len(WORKERS) + 1
        lines.append(f"    host{number + 1:04}: {{ansible_host: {network}.{place // 250}.{place % 250 + 1}}}")
    arguments = "-F /dev/null -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    lines += ["  vars:", "    ansible_user: root", f"    ansible_port: {port}"]
    lines += [f"    ansible_ssh_private_key_file: {state / 'id_ed25519'}", f"    ansible_ssh_common_args: {arguments}"]
    return "\n".join(lines) + "\n"
