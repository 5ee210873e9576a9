# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts measure with: a process of its own for each run, a fleet's run folder, the median, the machine."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
import time
import typing as t

import fleet

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build/benchmarks"
RUNS = int(os.environ.get("BENCH_RUNS", "5"))


class CannotRun(Exception):
    """The part needs what this machine does not have; the message says what."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a program and all that it started. ``peak_mb``: the most that these processes held at a time, what they share counted once."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


class Bench:
    """What a part's ``measure`` is given."""

    def fleet(self, nodes: int, csrs: int, events: int) -> pathlib.Path:
        """The run folder of such a fleet (see ``fleet.py``), made once."""
        folder = SCRATCH / f"fleet-{nodes}-{csrs}-{events}"
        if not (folder / "complete").exists():
            command = [sys.executable, fleet.__file__, folder, "--nodes", nodes, "--csrs", csrs, "--events", events]
            subprocess.run(list(map(str, command)), check=True)
            (folder / "complete").touch()
        return folder

    def run(self, *command: t.Any, env: dict[str, str] | None = None) -> Run:
        """Runs a program at low priority. Raises RuntimeError with what it printed when it fails."""
        words = ["nice", *map(str, command)]
        started = time.monotonic()
        held = [0.0]
        with subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            watch = threading.Thread(target=_watch, args=(process, held), daemon=True)
            watch.start()
            output = process.stdout.read() if process.stdout else ""
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        watch.join()
        if process.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{output[-4000:]}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss / 1024, *held), output)

    def act(self, plugin: str, **options: t.Any) -> Run:
        """Runs an action plugin of the collection alone, as a task of a play would."""
        program = pathlib.Path(__file__).with_name("act.py")
        return self.run(sys.executable, program, plugin, json.dumps(options, default=str))

    def play(self, playbook: str, **variables: t.Any) -> Run:
        """Runs a playbook of the collection for localhost."""
        program = pathlib.Path(sys.executable).with_name("ansible-playbook")
        values = json.dumps(variables, default=str)
        return self.run(program, "-i", "localhost,", ROOT / "playbooks" / playbook, "-e", values)


def _watch(process: subprocess.Popen[str], held: list[float]) -> None:
    """Looks at the memory of a process and its descendants (proportional set size, MB) until it ends; the largest is put into ``held``."""
    while process.returncode is None:
        held[0] = max(held[0], sum(map(_held_mb, _family(process.pid))))
        time.sleep(0.2)


def _family(pid: int) -> list[int]:
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _held_mb(pid: int) -> float:
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0)


def in_turn(*acts: t.Callable[[], Run], runs: int = RUNS) -> list[Run]:
    """The median of each act, all of them run one after the other ``runs`` times, so that they meet the same machine."""
    rounds = [[act() for act in acts] for _round in range(runs)]
    return [median(column) for column in zip(*rounds)]  # noqa: B905 (all are of the same length)


def median(runs: t.Sequence[Run]) -> Run:
    """The medians of the times, the largest peak, the last output."""
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_seconds for run in runs),
        max(run.peak_mb for run in runs),
        runs[-1].output,
    )


def figures_of(name: str, run: Run) -> dict[str, float]:
    """The figures of a run, ``<name>_seconds`` and so on."""
    return {
        f"{name}_seconds": round(run.seconds, 2),
        f"{name}_cpu_seconds": round(run.cpu_seconds, 2),
        f"{name}_peak_mb": round(run.peak_mb),
    }


def machine() -> dict[str, t.Any]:
    """What figures depend on. ``loop_seconds``: CPU time of a fixed piece of Python, by which a busy machine is known."""
    facts = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.path.exists("/proc/cpuinfo") else ""
    model = next((line.split(":")[1].strip() for line in facts.splitlines() if line.startswith("model name")), "")
    started = time.process_time()
    for number in range(100_000):
        json.loads(json.dumps({"number": number, "text": "x" * 50}))
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "loop_seconds": round(time.process_time() - started, 2),
    }
