# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first process of the lab: it owns the namespaces, starts the machines, and everything ends with it.

It is started by ``unshare`` as process 1 of a PID namespace, with mount and network namespaces of its own. When it dies, by
whatever, the kernel kills every process in that PID namespace, and with them go the mounts, the network namespaces and the
interfaces. Only control groups and the state folder outlive it; ``down`` removes those.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import typing as t

from . import settings
from .settings import Machine

#: Where the machines' roots are mounted: on a tmpfs that only the lab's mount namespace has.
ROOTS = pathlib.Path("/run/kubecare-lab-roots")
CGROUPS = pathlib.Path("/sys/fs/cgroup")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What init is to start: written by ``up`` as ``plan.json`` in the state folder."""

    cgroup: str
    kubernetes: str
    root: str
    binaries: str
    image: str
    machines: list[Machine]

    @classmethod
    def load(cls, state: pathlib.Path) -> Plan:
        raw = json.loads((state / "plan.json").read_text())
        return cls(**{**raw, "machines": [Machine(**entry) for entry in raw["machines"]]})

    def save(self, state: pathlib.Path) -> None:
        (state / "plan.json").write_text(json.dumps(dataclasses.asdict(self), indent=1))


def main(state: pathlib.Path) -> t.NoReturn:
    """Be the lab's process 1 until told to end."""
    if os.getpid() != 1:
        sys.exit("this is the lab's own process 1: use `lab.py up`")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(0))
    plan = Plan.load(state)
    ours = [pathlib.Path(sys.prefix), pathlib.Path(sys.base_prefix), settings.LAB_DIRECTORY]
    private_mounts([state, settings.cache_root(), *ours])
    network(plan.machines)
    helper = subprocess.Popen(
        [sys.executable, str(settings.ENTRY_POINT), "_helper", str(state)], stdin=subprocess.DEVNULL
    )
    children = {helper.pid: "helper"}
    for machine in plan.machines:
        children[start_machine(plan, state, machine).pid] = machine.name
    (state / "started").touch()
    while True:
        pid, status = os.wait()
        if pid in children:
            print(f"{time.strftime('%FT%TZ', time.gmtime())} {children.pop(pid)} ended: {status}", flush=True)


def private_mounts(kept: t.Sequence[pathlib.Path]) -> None:
    """Put empty file systems over /run and /tmp, so that nothing is left there; ``kept`` folders stay visible."""
    descriptors = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in sorted(kept)]
    for directory in ("/run", "/tmp"):
        run("mount", "-t", "tmpfs", "-o", "mode=1777" if directory == "/tmp" else "mode=755", "tmpfs", directory)
    for path, descriptor in descriptors:
        if not path.exists():
            path.mkdir(parents=True)
            source = f"/proc/self/fd/{descriptor}"
            subprocess.run(["mount", "--no-canonicalize", "--bind", source, path], check=True, pass_fds=[descriptor])
        os.close(descriptor)
    ROOTS.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", str(ROOTS))


def network(machines: t.Sequence[Machine]) -> None:
    """One bridge in this namespace, and a namespace with one interface on it for each machine."""
    bridge, prefix = settings.BRIDGE, settings.PREFIX
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", bridge, "type", "bridge")
    run("ip", "address", "add", f"{settings.BRIDGE_ADDRESS}/{prefix}", "dev", bridge)
    run("ip", "link", "set", bridge, "up")
    for machine in machines:
        name = machine.name
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"to-{name}", "master", bridge, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "address", "add", f"{machine.address}/{prefix}", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "route", "add", "default", "via", settings.BRIDGE_ADDRESS)


def start_machine(plan: Plan, state: pathlib.Path, machine: Machine) -> subprocess.Popen[bytes]:
    """Boot a machine: an overlay of the common root, with the machine's seed as its upper layer."""
    base = ROOTS / machine.name
    root = base / "root"
    for folder in (root, base / "work"):
        folder.mkdir(parents=True)
    shutil.copytree(state / "machines" / machine.name, base / "upper", symlinks=True)
    layers = f"lowerdir={plan.root},upperdir={base / 'upper'},workdir={base / 'work'}"
    run("mount", "-t", "overlay", "-o", layers, "overlay", str(root))
    command = [
        "systemd-nspawn",
        "--boot",
        "--quiet",
        "--register=no",
        "--keep-unit",
        f"--machine={machine.name}",
        f"--directory={root}",
        f"--network-namespace-path=/run/netns/{machine.name}",
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
        "--bind=/dev/kmsg",
        f"--bind-ro={plan.binaries}:{settings.MACHINE_BIN}",
        f"--bind-ro={plan.image}:/opt/kubecare-lab/image.tar",
        f"--bind-ro={plan.binaries}/kubelet:/usr/bin/kubelet",
    ]
    if machine.is_control_plane:
        command.append(f"--bind-ro={plan.binaries}/kubectl:/usr/bin/kubectl")
    with (state / f"{machine.name}.console").open("ab") as console:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**os.environ, "SYSTEMD_SECCOMP": "0"},
            preexec_fn=lambda: enter_cgroup(f"{plan.cgroup}/{machine.name}"),
        )


def hierarchies() -> list[pathlib.Path]:
    """The roots of the control group hierarchies: several with cgroup v1, one with v2."""
    if (CGROUPS / "cgroup.procs").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if (path / "cgroup.procs").exists() and not path.is_symlink()]


def enter_cgroup(name: str) -> None:
    """Move this process to a control group of its own in every hierarchy."""
    for hierarchy in hierarchies():
        group = hierarchy
        for part in name.split("/"):
            group = group / part
            group.mkdir(exist_ok=True)
            if hierarchy.name == "cpuset":
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    value = (group.parent / setting).read_text()
                    (group / setting).write_text(value)
        (group / "cgroup.procs").write_text(str(os.getpid()))


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
