# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the parts of ``make check`` and ``make test`` one after the other: shows progress, times each, keeps what each printed.

A part that could not be run is *skipped* with a reason, never passed over in silence. The results go to ``build/test-results.json``.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
import textwrap
import time
import traceback
import typing as t

from common import BUILD, ROOT


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a part: how many tests passed and failed, and why it could not be run, if so."""

    passed: int = 1
    failed: int = 0
    skipped: str = ""


class Log:
    """Where a part writes: a file, and the terminal too when ``shown``."""

    def __init__(self, path: pathlib.Path, shown: bool) -> None:
        """Open ``path`` anew."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.shown = shown
        self._file = path.open("w", encoding="utf-8", errors="replace")

    def write(self, text: str) -> None:
        """Write ``text`` as it is to the file, and indented to the terminal, where it is a part's and not ours."""
        self._file.write(text)
        self._file.flush()
        if self.shown:
            sys.stdout.write(textwrap.indent(text, "    "))
            sys.stdout.flush()

    def run(self, command: t.Sequence[t.Any], env: dict[str, str], cwd: pathlib.Path = ROOT) -> tuple[int, str]:
        """Run a command (text and paths) and give its exit status and all it printed (both streams)."""
        words = [str(word) for word in command]
        self.write(f"+ {' '.join(words)}\n")
        lines = []
        with subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                self.write(line)
        return process.returncode, "".join(lines)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part: a name, what it does, and whether its output is shown while it runs (for those that take minutes)."""

    name: str
    act: t.Callable[[Log], Result]
    shown: bool = False


def run(parts: t.Sequence[Part]) -> t.NoReturn:
    """Run all ``parts``, also after one failed; exit with 1 when something failed."""
    outcomes: list[dict[str, t.Any]] = []
    begun = time.monotonic()
    for number, part in enumerate(parts, 1):
        log = Log(BUILD / "log" / f"{part.name.replace(' ', '-').replace('/', '-')}.log", part.shown)
        print(f"[{number:2}/{len(parts)}] {part.name} ...", end="\n" if part.shown else " ", flush=True)
        start = time.monotonic()
        try:
            result = part.act(log)
        except Exception:  # one part's fault must not hide the others' results
            log.write(traceback.format_exc())
            result = Result(passed=0, failed=1)
        seconds = time.monotonic() - start
        outcome = "skipped" if result.skipped else "FAILED" if result.failed else "ok"
        counts = f", {result.passed} passed, {result.failed} failed" if result.passed + result.failed > 1 else ""
        lead = f"[{number:2}/{len(parts)}] {part.name}: " if part.shown else ""
        print(f"{lead}{outcome} ({seconds:.1f} s{counts}){': ' + result.skipped if result.skipped else ''}", flush=True)
        if result.failed and not part.shown:
            print(log.path.read_text(encoding="utf-8", errors="replace"), flush=True)
        outcomes.append(
            {"name": part.name, "outcome": outcome.lower(), "seconds": round(seconds, 1), **dataclasses.asdict(result)}
        )
    report(outcomes, time.monotonic() - begun)


def report(outcomes: list[dict[str, t.Any]], seconds: float) -> t.NoReturn:
    """Print the table of times and the sums, write the results' file, and exit."""
    print("\nPart                                     outcome   seconds  passed  failed")
    for outcome in outcomes:
        passed = 0 if outcome["skipped"] else outcome["passed"]
        print(f"{outcome['name']:40} {outcome['outcome']:8} {outcome['seconds']:8} {passed:7} {outcome['failed']:7}")
    skipped = [outcome for outcome in outcomes if outcome["skipped"]]
    totals = {
        "passed": sum(outcome["passed"] for outcome in outcomes if not outcome["skipped"]),
        "failed": sum(outcome["failed"] for outcome in outcomes),
        "skipped": len(skipped),
        "seconds": round(seconds, 1),
    }
    BUILD.mkdir(exist_ok=True)
    (BUILD / "test-results.json").write_text(
        json.dumps({**totals, "parts": outcomes}, indent=2) + "\n", encoding="utf-8"
    )
    for outcome in skipped:
        print(f"Not run: {outcome['name']}: {outcome['skipped']}")
    print(f"Took {seconds / 60:.1f} minutes. What each part printed is in {(BUILD / 'log').relative_to(ROOT)}/")
    print(f"Together: {totals['passed']} passed, {totals['failed']} failed", flush=True)
    sys.exit(1 if totals["failed"] else 0)
