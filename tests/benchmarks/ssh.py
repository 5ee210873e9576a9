# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast evidence comes from many SSH hosts, side by side with what else one could do on the same hosts.

- ``module_playbook``: the playbook that a good engineer writes today for the same evidence (``module_playbook.yml``);
- ``raw_task``: the floor, one ``raw: true`` task (``raw_playbook.yml``);
- ``ssh_loop``: the probe's own script sent by a bare parallel ``ssh``;
- ``scale``: 100 to 1,000 hosts, time and memory.

A comparison runs its sides in turn, several times, in one run of this program; what is compared are the medians.
"""

from __future__ import annotations

import argparse
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
import sys
import tempfile
import threading
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]

import hosts  # noqa: E402
from ansible_collections.kubecare.kubelet_certs.plugins.action import node_probe  # noqa: E402
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script  # noqa: E402
from kubelab import diagnose, lifecycle, running, settings  # noqa: E402

Figures = dict[str, t.Any]
NONCE = "0123456789abcdef01234567"
CHILD_SUBREAPER = 36


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
        command = [diagnose.playbook_command(), "--inventory", str(inventory), str(HERE / name), *options]
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
    """Each side's medians of ``rounds`` turns, after one that does not count, and the lowest and highest time."""
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            figures = side()
            if turn:
                taken[name].append(figures)
            print(f"  {name}: {figures['seconds']:.1f} s{'' if turn else ' (does not count)'}", flush=True)
    result: dict[str, Figures] = {}
    for name, runs in taken.items():
        keys = [key for key in runs[0] if key != "output"]
        result[name] = {key: round(statistics.median(run[key] for run in runs), 2) for key in keys}
        result[name]["seconds_lowest"] = round(min(run["seconds"] for run in runs), 2)
        result[name]["seconds_highest"] = round(max(run["seconds"] for run in runs), 2)
    return result


class Benchmark:
    """The hosts, the inventories of them, and the sides."""

    def __init__(self, state: pathlib.Path, folder: pathlib.Path, count: int, forks: int, port: int) -> None:
        self.side = Side(state, folder, forks)
        self.state = state
        self.folder = folder
        self.count = count
        self.inventory = folder / f"inventory-{count}-{port}.yml"
        self.inventory.write_text(hosts.inventory(state, count, port))
        self.port = port

    def collect(self, cluster: bool = True, *options: str) -> Figures:
        run = tempfile.mkdtemp(dir=self.folder, prefix="run-")
        words = ["--extra-vars", json.dumps({"kubelet_certs_run_dir": run, "kubelet_certs_collect_cluster": cluster})]
        figures = self.side.playbook("collect_playbook.yml", self.inventory, *words, *options)
        _all_there(pathlib.Path(run, "nodes"), self.count)
        return figures

    def module_playbook(self, *options: str) -> Figures:
        run = tempfile.mkdtemp(dir=self.folder, prefix="run-")
        words = ["--extra-vars", json.dumps({"evidence_dir": run})]
        figures = self.side.playbook("module_playbook.yml", self.inventory, *words, *options)
        _all_there(pathlib.Path(run), self.count + 1)
        return figures

    def raw_task(self) -> Figures:
        return self.side.playbook("raw_playbook.yml", self.inventory)

    def ssh_loop(self, script: bytes) -> Figures:
        """The same script to the same hosts by ``ssh`` alone, as many at once as Ansible has forks; answers to files."""
        answers = tempfile.mkdtemp(dir=self.folder, prefix="answers-")
        (self.folder / "script.sh").write_bytes(script)
        addresses = re.findall(r"ansible_host: ([\d.]+)", self.inventory.read_text())
        options = f"-p {self.port} -i {self.state / 'id_ed25519'} {lifecycle.SSH_ARGUMENTS}"
        one = f"ssh {options} root@{{}} /bin/sh < {self.folder / 'script.sh'} > {answers}/{{}}"
        command = ["xargs", f"--max-procs={self.side.forks}", "--replace={}", "sh", "-c", one]
        figures = self.side.measure(command, "\n".join(addresses).encode())
        _all_there(pathlib.Path(answers), self.count)
        return figures

    def round_trips(self, playbook: t.Callable[..., Figures]) -> int:
        """Commands that Ansible runs over SSH, counted in a run that is not timed."""
        return len(re.findall(r"> SSH: EXEC |> PUT ", playbook("-vvv")["output"]))


def _all_there(folder: pathlib.Path, count: int) -> None:
    """Nothing that is faster because it did less is compared."""
    files = [path for path in folder.iterdir() if path.stat().st_size > 200]
    if len(files) != count:
        raise RuntimeError(f"{folder} has {len(files)} files with evidence, not {count}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the collection of evidence over SSH.")
    parser.add_argument("--part", action="append", choices=sorted(PARTS), help="only this part (repeatable)")
    parser.add_argument("--hosts", type=int, default=100, help="hosts of a comparison")
    parser.add_argument("--forks", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 1)
    defaults = {name: option.get("default") for name, option in node_probe.ARGUMENT_SPEC.items()}
    script = build_script(NONCE, node_probe._settings(defaults))
    results: dict[str, Figures] = {}
    with lifecycle.lab() as state, tempfile.TemporaryDirectory(prefix="kc-") as folder:
        hosts.prepare(state, python=True)
        hosts.record_answers(state, script, NONCE)
        for name in options.part or PARTS:
            print(f"{name}:", flush=True)
            results[name] = PARTS[name](state, pathlib.Path(folder), script, options)
            print(json.dumps(results[name], indent=1), flush=True)
    file = settings.REPOSITORY / "build/benchmarks-ssh.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def module_playbook(state: pathlib.Path, folder: pathlib.Path, _script: bytes, options: t.Any) -> Figures:
    bench = Benchmark(state, folder, options.hosts, options.forks, 22)
    sides = compare({"collect": bench.collect, "module_playbook": bench.module_playbook}, options.rounds)
    ours, theirs = bench.round_trips(lambda word: bench.collect(True, word)), bench.round_trips(bench.module_playbook)
    return {
        **sides,
        "round_trips": {"collect": ours, "module_playbook": theirs},
        "speedup_over_module_playbook": _ratio(sides["module_playbook"], sides["collect"], "seconds"),
        "control_cpu_over_module_playbook": _ratio(sides["module_playbook"], sides["collect"], "control_cpu_seconds"),
        "times_fewer_round_trips": round(theirs / ours, 1),
    }


def raw_task(state: pathlib.Path, folder: pathlib.Path, script: bytes, options: t.Any) -> Figures:
    figures: Figures = {}
    for kind, port in (("recorded", hosts.RECORDED_PORT), ("real", 22)):
        bench = Benchmark(state, folder, options.hosts, options.forks, port)
        sides = compare(
            {
                "collect": lambda bench=bench: bench.collect(False),  # type: ignore[misc]
                "raw_task": bench.raw_task,
                "ssh_loop": lambda bench=bench: bench.ssh_loop(script),  # type: ignore[misc]
            },
            options.rounds,
        )
        figures[kind] = {
            **sides,
            "times_raw_task": _ratio(sides["collect"], sides["raw_task"], "seconds"),
            "times_ssh_loop": _ratio(sides["collect"], sides["ssh_loop"], "seconds"),
            "control_cpu_times_raw_task": _ratio(sides["collect"], sides["raw_task"], "control_cpu_seconds"),
        }
    return figures


def scale(state: pathlib.Path, folder: pathlib.Path, _script: bytes, options: t.Any) -> Figures:
    figures: Figures = {}
    for count in (100, 200, 500, 1000):
        bench = Benchmark(state, folder, count, options.forks, hosts.RECORDED_PORT)
        figures[str(count)] = {key: value for key, value in bench.collect(False).items() if key != "output"}
        print(f"  {count}: {figures[str(count)]}", flush=True)
    return figures


def _ratio(above: Figures, below: Figures, key: str) -> float:
    return round(above[key] / below[key], 2)


PARTS: dict[str, t.Callable[[pathlib.Path, pathlib.Path, bytes, t.Any], Figures]] = {
    "module_playbook": module_playbook,
    "raw_task": raw_task,
    "scale": scale,
}


if __name__ == "__main__":
    sys.exit(main())
