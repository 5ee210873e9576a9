# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the matrix: a batch of cases injected, diagnosed once over SSH, compared, and healed."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import shutil
import tempfile
import time
import typing as t

from . import diagnose, faults, init, judge, leaks
from .cases import Batch, Case
from .settings import Json, LabError


def run(state: pathlib.Path, batch: Batch, keep: pathlib.Path | None) -> Json:
    """Run a batch. Gives the run for the results: its cases, what went wrong for all of them, and the seconds each step took.

    ``healed`` is false when the lab is not fit for another run.
    """
    seconds: dict[str, float] = {}
    problems: dict[str, list[str]] = {case.name: [] for case, _node in batch.placed}
    common: list[str] = []
    result: Json = {"name": batch.name, "predictions": [], "healthy_findings": [], "seconds": seconds}

    def timed(what: str, act: t.Callable[[], t.Any]) -> t.Any:
        start = time.monotonic()
        try:
            return act()
        except LabError as error:
            common.append(f"{what}: {error}")
        finally:
            seconds[what] = round(time.monotonic() - start, 2)
        return None

    def inject() -> list[tuple[Case, str]]:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            tries = [(case, node, pool.submit(inject_case, state, case, node)) for case, node in batch.placed]
        for case, _node, end in tries:
            if isinstance(error := end.exception(), LabError):
                problems[case.name].append(f"inject: {error}")
            elif error:
                raise error
        return [(case, node) for case, node, end in tries if not end.exception()]

    injected = timed("inject", inject) or []
    diagnosis = timed("diagnose", lambda: look(state, batch.name, keep, common)) if injected else None
    if diagnosis:
        machines = [machine.name for machine in init.Plan.load(state).machines]
        unsure = {node for _case, node in batch.placed} - {node for _case, node in injected}
        machines = [name for name in machines if name not in unsure]
        common += judge.problems_of_others(diagnosis, injected, machines)
        for case, node in injected:
            problems[case.name] += judge.problems_of_case(diagnosis, case, node)
        result["predictions"] = judge.predictions(diagnosis, injected, machines)
        result["healthy_findings"] = judge.findings_of_healthy(diagnosis, injected)
    timed("heal", lambda: faults.heal(state, *(fault for case, _node in batch.placed for fault in case.faults)))
    nodes = judge.by_name(diagnosis) if diagnosis else {}
    result["healed"] = not any(problem.startswith("heal: ") for problem in common)
    result["cases"] = [
        {
            "case": case.name,
            "kind": case.kind,
            "faults": [fault.name for fault in case.faults],
            "node": node,
            "batch": [other.name for other, _node in batch.placed if other is not case],
            "run": batch.name,
            "expected": {
                "verdict": list(case.expect.verdicts),
                "first_broken_stage": case.expect.stage,
                "primary": case.rule,
            },
            "found": judge.found(nodes.get(node, {})),
            "problems": [*problems[case.name], *common],
            "passed": not problems[case.name] and not common,
        }
        for case, node in batch.placed
    ]
    return result


def inject_case(state: pathlib.Path, case: Case, node: str) -> None:
    """Inject the faults of a case one after another, each once the one before shows."""
    for number, fault in enumerate(case.faults, 1):
        last = number == len(case.faults)
        at = node if fault.node == faults.ANY_NODE else fault.node
        faults.inject(state, fault, at, case.effect if last else None)


def look(state: pathlib.Path, name: str, keep: pathlib.Path | None, problems: list[str]) -> Json:
    """Diagnose the lab; gives the diagnosis, and adds to the problems what secrets got into its folder or output."""
    with tempfile.TemporaryDirectory(prefix="kubecare-matrix-") as folder:
        directory = (keep / name) if keep else pathlib.Path(folder) / "run"
        shutil.rmtree(directory, ignore_errors=True)
        secrets = leaks.collect(state)
        done = diagnose.run(state, directory, "-v")
        if keep:
            directory.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}.output").write_text(done.stdout)
        problems.extend(leaks.find(secrets | leaks.collect(state), done.stdout, directory))
        try:
            return dict(json.loads((directory / "diagnosis.json").read_text()))
        except (OSError, ValueError) as error:
            raise LabError(f"no diagnosis.json ({error}); the playbook's last lines: {done.stdout[-800:]}") from error
