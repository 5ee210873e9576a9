# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault of the lab against the diagnosis: inject, diagnose over SSH, compare, heal.

Exit status: 0 when every case passed. The results are also written to ``build/lab-matrix.json``.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kubelab import diagnose, faults, init, leaks, lifecycle, settings  # noqa: E402
from kubelab.faults import Fault  # noqa: E402
from kubelab.settings import Json, LabError  # noqa: E402

RESULTS = settings.REPOSITORY / "build/lab-matrix.json"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run faults of the lab against the diagnosis.")
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this one (repeatable)")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument(
        "--keep", type=pathlib.Path, metavar="FOLDER", help="keep each case's run folder and output here"
    )
    options = parser.parse_args()
    try:
        if options.list:
            print(faults.summary(faults.load_all().values()))
            return 0
        chosen = [faults.get(name) for name in options.fault] if options.fault else list(faults.load_all().values())
        with lifecycle.lab() as state:
            return run(state, chosen, options.keep)
    except LabError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 2


def run(state: pathlib.Path, chosen: t.Sequence[Fault], keep: pathlib.Path | None) -> int:
    """Run the cases one after another; the last one is that the cluster is healthy again."""
    for name in faults.injected(state):
        faults.heal(state, faults.get(name))
    results = []
    cases = [
        *chosen,
        Fault("healthy-again", "After everything.", None, "node2", faults.Expectation(("healthy",)), "", "", ""),
    ]
    for number, fault in enumerate(cases, 1):
        result = case(state, fault, keep)
        results.append(result)
        verdict = "ok    " if result["passed"] else "FAILED"
        seconds = result["seconds"]
        times = " + ".join(f"{what} {seconds[what]:.1f}" for what in ("inject", "diagnose", "heal") if what in seconds)
        print(f"{number:2}/{len(cases)} {verdict} {fault.name:40} {times} s", flush=True)
        for problem in result["problems"]:
            print(f"         {problem}", flush=True)
    failed = sum(not result["passed"] for result in results)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"cases": results, "passed": len(results) - failed, "failed": failed}, indent=1) + "\n"
    )
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def case(state: pathlib.Path, fault: Fault, keep: pathlib.Path | None) -> Json:
    """One case: what was injected, expected and found, the problems, and the seconds each step took."""
    seconds: dict[str, float] = {}
    problems: list[str] = []
    found: Json = {"verdict": None, "first_broken_stage": None, "primary": None, "findings": []}

    def timed(what: str, act: t.Callable[[], None]) -> bool:
        start = time.monotonic()
        try:
            act()
            return True
        except LabError as error:
            problems.append(f"{what}: {error}")
            return False
        finally:
            seconds[what] = round(time.monotonic() - start, 2)

    def look() -> None:
        with tempfile.TemporaryDirectory(prefix="kubecare-matrix-") as folder:
            directory = (keep.absolute() / fault.name) if keep else pathlib.Path(folder) / "run"
            secrets = leaks.collect(state)
            done = diagnose.run(state, directory, "-v")
            if keep:
                directory.mkdir(parents=True, exist_ok=True)
                (directory.parent / f"{fault.name}.output").write_text(done.stdout)
            problems.extend(leaks.find(secrets | leaks.collect(state), done.stdout, directory))
            try:
                diagnosis = json.loads((directory / "diagnosis.json").read_text())
            except (OSError, ValueError) as error:
                raise LabError(
                    f"no diagnosis.json ({error}); the playbook's last lines: {done.stdout[-800:]}"
                ) from error
        found.update(summary(diagnosis, fault.node))
        problems.extend(compare(diagnosis, fault, [machine.name for machine in init.Plan.load(state).machines]))

    is_fault = bool(fault.inject)
    if not is_fault or timed("inject", lambda: faults.inject(state, fault)):
        timed("diagnose", look)
    if is_fault:
        timed("heal", lambda: faults.heal(state, fault))
    return {
        "case": fault.name,
        "faults": [fault.name] if is_fault else [],
        "node": fault.node,
        "expected": {
            "verdict": list(fault.expect.verdicts),
            "first_broken_stage": fault.expect.stage,
            "primary": fault.rule,
        },
        "found": found,
        "problems": problems,
        "passed": not problems,
        "seconds": seconds,
    }


def summary(diagnosis: Json, name: str) -> Json:
    """What was said of the node, and every finding of the whole cluster."""
    node: Json = next((entry for entry in diagnosis["nodes"] if entry["name"] == name), {})
    return {
        "verdict": node.get("verdict"),
        "first_broken_stage": node.get("first_broken_stage"),
        "primary": primary(node),
        "findings": [
            {"node": entry["name"], "rule": finding["rule"], "role": finding["role"], "severity": finding["severity"]}
            for entry in diagnosis["nodes"]
            for finding in entry["findings"]
        ],
    }


def primary(node: Json) -> str | None:
    return node["primary"]["rule"] if node.get("primary") else None


def compare(diagnosis: Json, fault: Fault, machines: t.Sequence[str]) -> list[str]:
    """What differs from what was expected, one sentence each."""
    nodes = {entry["name"]: entry for entry in diagnosis["nodes"]}
    problems = [f"{name}: not in the diagnosis" for name in machines if name not in nodes]
    for name in machines:
        if name not in nodes:
            continue
        node = nodes[name]
        rules = [finding["rule"] for finding in node["findings"]]
        if name == fault.node:
            expect = fault.expect
            if primary(node) != fault.rule:
                problems.append(f"{name}: primary cause is {primary(node)}, expected {fault.rule} (found {rules})")
            if expect.verdicts and node["verdict"] not in expect.verdicts:
                problems.append(f"{name}: verdict is {node['verdict']}, expected {' or '.join(expect.verdicts)}")
            if node["first_broken_stage"] != expect.stage:
                problems.append(f"{name}: first broken stage is {node['first_broken_stage']}, expected {expect.stage}")
            reasons = {gap["reason"] for gap in (*node["missing"], *diagnosis["cluster"]["not_seen"])}
            if expect.not_seen and expect.not_seen not in reasons:
                problems.append(f"{name}: nothing is said to be not seen because {expect.not_seen}, only {reasons}")
            if expect.distribution and node["distribution"]["name"] != expect.distribution:
                problems.append(f"{name}: recognised as {node['distribution']}, expected {expect.distribution}")
        elif fault.expect.others == "healthy":
            if node["verdict"] != "healthy" or primary(node):
                problems.append(f"{name}: verdict is {node['verdict']} ({rules}), and it has nothing to do with this")
        elif primary(node) not in (None, fault.rule):
            problems.append(f"{name}: primary cause is {primary(node)}, expected none or {fault.rule}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
