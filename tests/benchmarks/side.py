# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One side of a comparison in the lab: a playbook or a command in its network, with its time, its processor time and its memory."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
import ssh_hosts
from ansible_collections.kubecare.kubelet_certs.plugins.action import node_probe
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script
from bench import CannotRun
from kubelab import diagnose, lifecycle, running

Figures = dict[str, t.Any]
NONCE = "0123456789abcdef01234567"
_CHILD_SUBREAPER = 36


class Side:
    """One side of a comparison: a command in the lab's network, the same each time."""

    def __init__(self, state: pathlib.Path, folder: pathlib.Path, forks: int) -> None:
        self.state = state
        self.folder = folder
        self.forks = forks

    def environment(self) -> dict[str, str]:
        return {
            **running.environment(self.state),
            "ANSIBLE_COLLECTIONS_PATH": diagnose.collections_path(pathlib.Path(tempfile.mkdtemp(dir=self.folder))),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(dir=self.folder, prefix="s"),
            "ANSIBLE_FORKS": str(self.forks),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }

    def playbook(self, name: str, inventory: pathlib.Path, *options: str) -> Figures:
        command = [diagnose.playbook_command(), "--inventory", str(inventory), str(HERE / "playbooks" / name), *options]
        return self.measure(command)

    def measure(self, command: list[str], stdin: bytes = b"", verbose: bool = False) -> Figures:
        """Seconds, processor seconds of the control side, and memory of one run. Raises ``RuntimeError`` when it fails."""
        others = set(_children(os.getpid()))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        process = subprocess.Popen(
            running.enter_network(running.require_init(self.state), command),
            env=self.environment(),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        memory = Memory(process.pid)
        output = process.communicate(stdin or None)[0].decode(errors="replace")
        seconds = time.monotonic() - begin
        memory.end()
        _end_orphans(others)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        (self.folder / "last-output.txt").write_text(output)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command[:4])} ended with {process.returncode}:\n{output[-3000:]}")
        spent = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
        return {"seconds": seconds, "control_cpu_seconds": spent, **memory.figures(), "output": output}


class Memory(threading.Thread):
    """Watches the memory of a process and of its children twice a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.parent_kb = self.child_kb = self.all_kb = 0
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.5):
            sizes = {pid: _size(pid) for pid in [self.pid, *_children(self.pid)]}
            self.parent_kb = max(self.parent_kb, sizes[self.pid][0])
            self.child_kb = max([self.child_kb, *(rss for pid, (rss, _own) in sizes.items() if pid != self.pid)])
            self.all_kb = max(self.all_kb, sum(own for _rss, own in sizes.values()))

    def end(self) -> None:
        self._ended.set()
        self.join()

    def figures(self) -> Figures:
        """Peaks in megabytes: resident of the parent and of its largest child, and what all of them together have (proportional)."""
        return {
            "parent_mb": round(self.parent_kb / 1024),
            "child_mb": round(self.child_kb / 1024),
            "all_mb": round(self.all_kb / 1024),
        }


def _size(pid: int) -> tuple[int, int]:
    """Resident and proportional set size in KB; zeros for a process that has ended."""
    with contextlib.suppress(OSError, ValueError):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE))
        return int(found.get("Rss", 0)), int(found.get("Pss", 0))
    return 0, 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def _end_orphans(others: set[int]) -> None:
    """Ends the connections that Ansible leaves open, which are this process's children now, and takes their processor time."""
    left = set(_children(os.getpid())) - others
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in left:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def compare(sides: dict[str, t.Callable[[], Figures]], rounds: int) -> dict[str, Figures]:
    """Each side's medians of ``rounds`` turns, after one that does not count."""
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            figures = side()
            if turn:
                taken[name].append(figures)
            print(f"  {name}: {figures['seconds']:.1f} s{'' if turn else ' (does not count)'}", flush=True)
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "output"}
        for name, runs in taken.items()
    }


def ratio(above: Figures, below: Figures, key: str) -> float:
    return round(above[key] / below[key], 2)


def probe_script() -> bytes:
    """The script that the collection sends to a node by default, with ``NONCE``."""
    defaults = {name: option.get("default") for name, option in node_probe.ARGUMENT_SPEC.items()}
    return build_script(NONCE, node_probe._settings(defaults))


@contextlib.contextmanager
def hosts_of_lab(python: bool = False) -> t.Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A lab whose workers are hundreds of hosts, and a folder for what comes of them. Raises ``CannotRun`` where no lab can be."""
    with a_lab() as (state, folder):
        ssh_hosts.prepare(state, python)
        ssh_hosts.record_answers(state, probe_script(), NONCE)
        yield state, folder


@contextlib.contextmanager
def a_lab() -> t.Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A lab, and a folder that ends with it. Raises ``CannotRun`` where no lab can be."""
    if os.geteuid() != 0:
        raise CannotRun("the lab needs root")
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)
    with lifecycle.lab() as state, tempfile.TemporaryDirectory(prefix="kc-") as folder:
        yield state, pathlib.Path(folder)


class Hosts:
    """So many hosts of the lab on one of their ports, and what can be done with them."""

    def __init__(self, state: pathlib.Path, folder: pathlib.Path, count: int, port: int, forks: int) -> None:
        self.side = Side(state, folder, forks)
        self.state = state
        self.folder = folder
        self.count = count
        self.port = port
        self.inventory = folder / f"inventory-{count}-{port}.yml"
        self.inventory.write_text(ssh_hosts.inventory(state, count, port))

    def collect(self, *options: str, cluster: bool = False) -> Figures:
        """The role ``collect``."""
        run = tempfile.mkdtemp(dir=self.folder, prefix="run-")
        values = {"kubelet_certs_run_dir": run, "kubelet_certs_collect_cluster": cluster}
        figures = self.side.playbook("collect.yml", self.inventory, "--extra-vars", json.dumps(values), *options)
        all_there(pathlib.Path(run, "nodes"), self.count)
        return figures

    def modules(self, *options: str) -> Figures:
        """The playbook of modules."""
        run = tempfile.mkdtemp(dir=self.folder, prefix="run-")
        values = json.dumps({"evidence_dir": run})
        figures = self.side.playbook("modules.yml", self.inventory, "--extra-vars", values, *options)
        all_there(pathlib.Path(run), self.count + 1)
        return figures

    def raw(self) -> Figures:
        """A task that does nothing."""
        return self.side.playbook("raw.yml", self.inventory)

    def ssh(self) -> Figures:
        """The probe's script by ``ssh`` alone, to as many at once as Ansible has forks; answers to files."""
        answers = tempfile.mkdtemp(dir=self.folder, prefix="answers-")
        (self.folder / "script.sh").write_bytes(probe_script())
        addresses = re.findall(r"ansible_host: ([\d.]+)", self.inventory.read_text())
        options = f"-p {self.port} -i {self.state / 'id_ed25519'} {lifecycle.SSH_ARGUMENTS}"
        one = f"ssh {options} root@{{}} /bin/sh < {self.folder / 'script.sh'} > {answers}/{{}}"
        command = ["xargs", f"--max-procs={self.side.forks}", "--replace={}", "sh", "-c", one]
        figures = self.side.measure(command, "\n".join(addresses).encode())
        all_there(pathlib.Path(answers), self.count)
        return figures

    def round_trips(self, playbook: t.Callable[[str], Figures]) -> int:
        """Commands and files that Ansible sends over SSH, counted in a run that is not timed."""
        return len(re.findall(r"> SSH: EXEC |> PUT ", playbook("-vvv")["output"]))


def all_there(folder: pathlib.Path, count: int) -> None:
    """Nothing that is faster because it did less is compared. Raises RuntimeError."""
    files = [path for path in folder.iterdir() if path.stat().st_size > 200]
    if len(files) != count:
        raise RuntimeError(f"{folder} has {len(files)} files with evidence, not {count}")
