# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault of the lab, and several at once, against the diagnosis: inject, diagnose over SSH, compare, heal.

Faults of one node share a diagnosis, each on a worker of its own. A case that fails in company is run again alone, so that what fails
is what is wrong. Exit status: 0 when every case passed. The results are also written to ``build/lab-matrix.json``.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kubelab import cases, faults, init, lifecycle, metrics, running, runs, settings  # noqa: E402
from kubelab.cases import Batch, Case  # noqa: E402
from kubelab.settings import Json, LabError  # noqa: E402

RESULTS = settings.REPOSITORY / "build/lab-matrix.json"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run faults of the lab against the diagnosis.")
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this fault or compound (repeatable)")
    parser.add_argument("--single", action="store_true", help="one diagnosis for each case")
    parser.add_argument("--labs", type=int, default=1, metavar="N", help="so many labs side by side (1)")
    parser.add_argument("--list", action="store_true", help="list what shares a diagnosis, and end")
    parser.add_argument("--summary", action="store_true", help="print the table of the last run again, and end")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keep each run's folder and output here")
    options = parser.parse_args()
    try:
        if options.summary:
            print(metrics.table(json.loads(RESULTS.read_text())))
            return 0
        known = cases.load_all()
        unknown = set(options.fault or ()) - set(known)
        if unknown:
            raise LabError(f"There is no fault {' or '.join(sorted(unknown))}: `matrix.py --list` lists them.")
        chosen = [known[name] for name in options.fault] if options.fault else list(known.values())
        batches = cases.plan(chosen, options.single)
        if options.list:
            print("\n".join(batch.name for batch in batches))
            return 0
        return Matrix(batches, options.keep.absolute() if options.keep else None).run(options.labs)
    except (LabError, OSError) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 2


@dataclasses.dataclass
class Matrix:
    """The batches that wait, and what became of those that do not; shared by the labs' threads."""

    batches: list[Batch]
    keep: pathlib.Path | None
    cases: list[Json] = dataclasses.field(default_factory=list)
    runs: list[Json] = dataclasses.field(default_factory=list)
    labs: list[Json] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def run(self, labs: int) -> int:
        """Run all batches in so many labs, write the results, and give the exit status."""
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(labs) as pool:
            ends = [pool.submit(self.work, number) for number in range(labs)]
        broken = [error for end in ends if (error := end.exception())]
        for error in broken:
            print("".join(traceback.format_exception(error)), file=sys.stderr)
        failed = sum(not case["passed"] for case in self.cases)
        results: Json = {
            "cases": self.cases,
            "runs": self.runs,
            "labs": self.labs,
            "passed": len(self.cases) - failed,
            "failed": failed,
            "not_run": [case.name for batch in self.batches for case, _node in batch.placed],
            "seconds": round(time.monotonic() - start, 1),
        }
        results["metrics"] = metrics.measure(results)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(metrics.table(results))
        return 1 if failed or broken or results["not_run"] else 0

    def work(self, number: int) -> None:
        """Take batches and run them in one lab until none is left that it can run; the last case is that all is well again."""
        state = settings.state_root()
        state = state if number == 0 else state.with_name(f"{state.name}-{number + 1}")
        ours = running.find_init(state) is None
        start = time.monotonic()
        with lifecycle.lab(state=state, version=settings.kubernetes_version(number)):
            version = init.Plan.load(state).kubernetes
            lab: Json = {"lab": number, "kubernetes": version}
            faults.heal(state, *map(faults.get, faults.injected(state)))
            while batch := self.next(version):
                for case in self.record(runs.run(state, batch, self.keep), lab):
                    self.replace_unhealed(state, lab, ours)
                    self.record(runs.run(state, Batch.of(case), self.keep), lab, again=True)
                self.replace_unhealed(state, lab, ours)
            last = Case(f"healthy-again-{version}", cases.HEALTHY, None, (), faults.Expectation((cases.HEALTHY,)))
            self.record(runs.run(state, Batch.of(last), self.keep), lab)
        lab["runs"] = len(self.runs_of(lab))
        lab["cases"] = sum(case["lab"] == number for case in self.cases)
        self.labs.append({**lab, "seconds": round(time.monotonic() - start, 1)})

    def next(self, version: str) -> Batch | None:
        """The next batch that this version can run."""
        with self.lock:
            batch = next((batch for batch in self.batches if batch.runs_on(version)), None)
            if batch:
                self.batches.remove(batch)
            return batch

    def replace_unhealed(self, state: pathlib.Path, lab: Json, ours: bool) -> None:
        """A lab that did not heal is not fit for another case; only one that was started here is replaced."""
        if ours and not self.runs_of(lab)[-1]["healed"]:
            lifecycle.restart(state)

    def runs_of(self, lab: Json) -> list[Json]:
        """The runs of one lab so far."""
        return [run for run in self.runs if run["lab"] == lab["lab"]]

    def record(self, run: Json, lab: Json, again: bool = False) -> list[Case]:
        """Note a run and print it. Gives the cases that failed for the first time, which are to be run again, alone."""
        repeated = [case["case"] for case in run["cases"] if not again and not case["passed"]]
        lines = [
            f"{lab['kubernetes']}  {' + '.join(f'{what} {value:.1f}' for what, value in run['seconds'].items())} s"
        ]
        for case in run["cases"]:
            verdict = "ok" if case["passed"] else "FAILED" if again else "again"
            lines.append(f"  {verdict:6} {case['case']:45} {case['node']}" + (" (second try)" if again else ""))
            lines += [f"         {problem}" for problem in case["problems"]]
        marks = {"lab": lab["lab"], "kubernetes": lab["kubernetes"], "again": again}
        with self.lock:
            self.cases += [{**case, **marks} for case in run["cases"] if case["case"] not in repeated]
            self.runs.append({**run, **marks, "cases": [case["case"] for case in run["cases"]]})
            print("\n".join(lines), flush=True)
        return [case for name, case in cases.load_all().items() if name in repeated]


if __name__ == "__main__":
    sys.exit(main())
