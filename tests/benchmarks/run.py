# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the benchmarks: ``make bench``, or ``make bench PART=diagnose`` for one. Figures go to ``build/benchmarks.json``.

A part is one file in ``parts``, of the name by which it is asked for, with

* ``TITLE``: what it measures, in a line;
* ``measure(bench)``: measures with what ``bench.Bench`` offers and returns its figures: names, the same in every run and of no other part,
  with numbers. It raises ``bench.CannotRun`` with the reason where it cannot be run here, and cleans up after itself.

A part that is not run keeps the figures of its last run. No figure is asserted here: on a busy machine they say little.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import time
import traceback
import typing as t

from bench import ROOT, Bench, CannotRun, machine

sys.path.append(str(ROOT / "tests/lab"))
FIGURES = ROOT / "build/benchmarks.json"
PARTS = pathlib.Path(__file__).resolve().parent / "parts"


def main(names: list[str]) -> int:
    """Runs the parts named, or all; returns how many failed."""
    known = sorted(path.stem for path in PARTS.glob("[a-z]*.py"))
    if set(names) - set(known):
        print(f"There is no part {', '.join(sorted(set(names) - set(known)))}; the parts are {', '.join(known)}.")
        return 1
    kept: dict[str, t.Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    runs: dict[str, t.Any] = kept.pop("parts", {})
    failed = 0
    for name in names or known:
        part = importlib.import_module(f"parts.{name}")
        print(f"{name}: {part.TITLE}", flush=True)
        started, before = time.time(), machine()
        try:
            figures = part.measure(Bench())
        except CannotRun as reason:
            print(f"  not run: {reason}", flush=True)
            runs[name] = {"not_run": str(reason)}
            continue
        except Exception:  # one part's fault must not lose the others' figures
            traceback.print_exc(file=sys.stdout)
            runs[name] = {"failed": True}
            failed += 1
            continue
        for old in runs.get(name, {}).get("figures", ()):
            kept.pop(old, None)
        kept.update(figures)
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        runs[name] = {
            "figures": sorted(figures),
            "finished": finished,
            "seconds": round(time.time() - started),
            "machine": before,
        }
        for key, value in figures.items():
            print(f"  {key:44} {value}", flush=True)
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps({**kept, "parts": runs}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"All figures, with the machine they are of: {FIGURES.relative_to(ROOT)}")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
