# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running lab, seen from outside: finding its processes, entering its namespaces, removing what outlives it.

Nothing is believed from a file alone: a process belongs to the lab only if it is process 1 of a PID namespace whose command
line names this state folder, or if it lives in that lab's namespaces.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time
import typing as t

from . import init
from .settings import LabError

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _command_line(pid: int) -> list[str]:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _status(pid: int, field: str) -> list[str]:
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return line.split()[1:]
    except OSError:
        pass
    return []


def namespace(pid: int, kind: str) -> str | None:
    """The identity of a process's namespace, such as ``net:[4026532621]``."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


def find_init(state: pathlib.Path) -> int | None:
    """The lab's process 1, as this PID namespace numbers it."""
    for pid in _pids():
        if _command_line(pid)[-2:] == ["_init", str(state)]:
            numbers = _status(pid, "NSpid")
            if len(numbers) == 2 and numbers[-1] == "1":
                return pid
    return None


def find_launchers(state: pathlib.Path) -> list[int]:
    """``unshare`` processes that started, or are about to start, the lab's process 1."""
    return [
        pid
        for pid in _pids()
        if (line := _command_line(pid))[-2:] == ["_init", str(state)] and os.path.basename(line[0]) == "unshare"
    ]


def require_init(state: pathlib.Path) -> int:
    pid = find_init(state)
    if pid is None:
        raise LabError("No lab is running: start one with `lab.py up`.")
    return pid


def leaders(init_pid: int) -> dict[str, int]:
    """The process 1 of each machine, by the machine's name, as this PID namespace numbers them."""
    supervisors: dict[int, str] = {}
    candidates: list[int] = []
    space = namespace(init_pid, "pid")
    for pid in _pids():
        if namespace(pid, "pid") == space:
            line = _command_line(pid)
            if line and os.path.basename(line[0]) == "systemd-nspawn":
                name = next((entry.split("=", 1)[1] for entry in line if entry.startswith("--machine=")), None)
                if name:
                    supervisors[pid] = name
        elif len(numbers := _status(pid, "NSpid")) == 3 and numbers[-1] == "1":
            candidates.append(pid)
    found: dict[str, int] = {}
    for pid in candidates:
        parents = _status(pid, "PPid")
        if parents and (name := supervisors.get(int(parents[0]))) and _command_line(pid)[:1] != ["systemd-nspawn"]:
            found[name] = pid
    return found


def enter_machine(leader: int, command: t.Sequence[str]) -> list[str]:
    """A command line that runs ``command`` inside a machine."""
    settings_ = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    return ["nsenter", f"--target={leader}", "--all", "env", "-i", "--chdir=/", *settings_, *command]


def enter_network(init_pid: int, command: t.Sequence[str]) -> list[str]:
    """A command line that runs ``command`` in the lab's control network, with this machine's own files."""
    return ["nsenter", f"--net=/proc/{init_pid}/ns/net", "--", *command]


def environment(state: pathlib.Path, config: str = "admin.conf") -> dict[str, str]:
    """The environment of what runs in the control network; ``config`` is the kubeconfig's name in the state folder."""
    return {
        **os.environ,
        "KUBECONFIG": str(state / config),
        "KUBECARE_LAB_STATE": str(state),
        "PATH": f"{init.Plan.load(state).binaries}:{os.environ.get('PATH', '')}",
    }


def kubectl(
    state: pathlib.Path, *arguments: str, stdin: str | None = None, check: bool = True, config: str = "admin.conf"
) -> subprocess.CompletedProcess[str]:
    """Run kubectl as the cluster's administrator."""
    command = [f"{init.Plan.load(state).binaries}/kubectl", f"--kubeconfig={state / config}", *arguments]
    done = subprocess.run(
        enter_network(require_init(state), command),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise LabError(f"kubectl {' '.join(arguments[:3])} failed: {done.stderr.strip()}")
    return done


def on(state: pathlib.Path, name: str, *command: str, stdin: str = "", check: bool = True) -> str:
    """Run a command inside a machine and return what it printed."""
    leader = leaders(require_init(state)).get(name)
    if leader is None:
        raise LabError(f"The machine {name} is not running.")
    done = subprocess.run(
        enter_machine(leader, command), input=stdin, capture_output=True, text=True, errors="replace", check=False
    )
    if check and done.returncode:
        raise LabError(f"{' '.join(command[:3])} on {name} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def remove(state: pathlib.Path) -> bool:
    """End the lab of this state folder and remove what it leaves. Returns whether there was anything."""
    anything = state.exists()
    networks = set()
    pid = find_init(state)
    if pid is not None:
        networks.add(namespace(pid, "net"))
    elif (state / "network").is_file():
        networks.add((state / "network").read_text().strip())
    ours = namespace(os.getpid(), "net")
    for victim in [*find_launchers(state), *([pid] if pid is not None else [])]:
        anything = True
        _kill(victim)
    _wait_until(lambda: find_init(state) is None and not find_launchers(state))
    strangers = [
        other
        for other in _pids()
        if other != os.getpid()
        and (space := namespace(other, "net")) in networks
        and space != ours
        and _started_by(other, state)
    ]
    for victim in strangers:
        _kill(victim)
    for group in _cgroups(state):
        anything = True
        _wait_until(lambda group=group: _remove_cgroup(group))  # type: ignore[misc]
    if state.exists():
        shutil.rmtree(state)
    return anything


def _started_by(pid: int, state: pathlib.Path) -> bool:
    """Whether ``lab.py run`` of this lab started the process, or one that started it."""
    try:
        return f"KUBECARE_LAB_STATE={state}".encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def cgroup_name(state: pathlib.Path) -> str:
    """The control group of a lab, in each hierarchy: one lab for each state folder."""
    return "kubecare-lab" + str(state).replace("/", "-")


def _cgroups(state: pathlib.Path) -> list[pathlib.Path]:
    return [path for root in init.hierarchies() if (path := root / cgroup_name(state)).is_dir()]


def _remove_cgroup(group: pathlib.Path) -> bool:
    for folder, _folders, _files in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return not group.exists()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_until(condition: t.Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
