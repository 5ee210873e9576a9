# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make check`` and ``make test``: which parts they have. ``python run.py check`` or ``python run.py test``."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

import ansible_test
import collection_build
import prometheus
import release
from common import (
    BUILD,
    CACHE,
    COMMUNITY_PACKAGE,
    CORES,
    IN_COLLECTIONS,
    NEWEST_CORE,
    ROOT,
    ansible_environment,
    copied_collection,
    developer_venv,
    live_collections,
    pythons,
    user_venv,
    venv,
)
from parts import Log, Part, Result, run

# What ruff and mypy read; the lab's code and the tools are programs of their own.
SOURCES = ("plugins", "tests", "tools")
# Much of the unit tests' time is waiting for shells and timeouts.
WORKERS = ("-n", "4")
# What the node's shell does, and that no text of the evidence is evaluated, is the same for every ansible-core.
OF_NO_VERSION = ("--ignore=tests/unit/plugins/plugin_utils/probe/test_script.py", "-k", "not hostile_text_is_quoted")
TEST_REQUIREMENTS = ("-r", "requirements.txt", "pytest==9.2.0", "pytest-xdist==3.8.0", "jsonschema==4.26.0")


def _tool(log: Log, *command: str, cwd: pathlib.Path = ROOT, python_path: str = "") -> Result:
    """One run of a program of the developer's virtual environment; its exit status decides."""
    folder = developer_venv()
    environment = ansible_environment(folder, live_collections(), CACHE / "home")
    environment["PYTHONPATH"] = python_path or str(live_collections())
    status, output = log.run([folder / "bin" / command[0], *command[1:]], environment, cwd)
    if "pytest" in command:
        return ansible_test.read_pytest(status, output)
    return Result() if status == 0 else Result(passed=0, failed=1)


def _mypy(log: Log) -> Result:
    """The collection under its full name, then the tools and the lab, which are no part of it."""
    inside = live_collections() / IN_COLLECTIONS
    cache = f"--cache-dir={CACHE / 'mypy'}"
    os.environ["MYPYPATH"] = str(live_collections())
    first = _tool(log, "mypy", cache, "--config-file", "pyproject.toml", str(inside / "plugins"))
    beside = (live_collections(), ROOT / "tools", ROOT / "tests", ROOT / "tests/lab")
    os.environ["MYPYPATH"] = os.pathsep.join(map(str, beside))
    second = _tool(
        log,
        "mypy",
        cache,
        "--config-file",
        "pyproject.toml",
        *sorted(str(path) for path in (ROOT / "tools").glob("*.py")),
    )
    return Result(passed=first.passed + second.passed, failed=first.failed + second.failed)


def _pytest(log: Log, folder: str) -> Result:
    """Tests by pytest, from the collection's own place so that full names import."""
    return _tool(log, "python", "-m", "pytest", "-q", *WORKERS, folder, cwd=live_collections() / IN_COLLECTIONS)


def _ansible_lint(log: Log) -> Result:
    """In the copy of the tracked files: ansible-lint would walk the caches, and installs what it finds into its own home."""
    folder = developer_venv()
    copy = copied_collection()
    environment = ansible_environment(folder, copy.parents[2], CACHE / "home")
    environment["ANSIBLE_HOME"] = str(CACHE / "ansible-lint")
    status = log.run([folder / "bin/ansible-lint", "--offline", "--nocolor", "--project-dir", "."], environment, copy)[
        0
    ]
    return Result() if status == 0 else Result(passed=0, failed=1)


def _plugin_docs(log: Log) -> Result:
    """Every plugin's documentation, by antsibull-docs."""
    return _tool(
        log,
        "antsibull-docs",
        "lint-collection-docs",
        "--plugin-docs",
        "--validate-collection-refs",
        "self",
        ".",
        cwd=copied_collection(),
    )


def _versions(log: Log) -> Result:
    """Unit tests and ``rediagnose`` on each ansible-core that the Pythons of this machine run."""
    present = pythons()
    wanted = [(core, python) for core, python in CORES if python in present]
    absent = [f"{core} (Python {python})" for core, python in CORES if python not in present]
    newest = (NEWEST_CORE[next(iter(present))], next(iter(present)))
    passed = failed = 0
    collections = copied_collection().parents[2]
    for core, python in wanted:
        log.write(f"--- ansible-core {core} on Python {python}\n")
        folder = venv(f"core-{core}", [f"ansible-core=={core}.*", *TEST_REQUIREMENTS], python)
        with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
            scratch = pathlib.Path(name)
            environment = {
                **ansible_environment(folder, collections, scratch / "home"),
                "PYTHONPATH": str(collections),
            }
            result = Result(passed=0)
            if (core, python) != newest:  # the developer's own, in which `make check` runs them
                command = [
                    folder / "bin/python",
                    "-m",
                    "pytest",
                    "-q",
                    *WORKERS,
                    *OF_NO_VERSION,
                    "tests/unit",
                ]
                result = ansible_test.read_pytest(*log.run(command, environment, collections / IN_COLLECTIONS))
            wrong = collection_build.rediagnose(log, folder, collections, scratch / "home", scratch)
        for line in wrong:
            log.write(f"WRONG: {line}\n")
        passed += result.passed + (not wrong)
        failed += result.failed + len(wrong)
    log.write(f"Ran: {', '.join(f'{core} (Python {python})' for core, python in wanted)}\n")
    if absent:
        log.write(f"This machine has no Python for: {', '.join(absent)}\n")
    return Result(passed=passed, failed=failed) if wanted else Result(skipped="no Python 3.11, 3.12 or 3.13")


def _lab(log: Log) -> Result:
    """The lab's matrix (``tests/lab/matrix.py``): every fault injected into a real cluster and named.

    All of them in two labs side by side, one of each version of Kubernetes; those that ``FAULT`` names (one or several) in one.
    """
    kept = BUILD / "lab"
    shutil.rmtree(kept, ignore_errors=True)
    if os.geteuid() != 0:
        return Result(skipped="the lab needs root")
    folder = developer_venv()
    environment = ansible_environment(folder, live_collections())
    results = BUILD / "lab-matrix.json"
    results.unlink(missing_ok=True)
    names = os.environ.get("FAULT", "").split()
    command = [folder / "bin/python", ROOT / "tests/lab/matrix.py", "--keep", kept]
    command += [word for name in names for word in ("--fault", name)] or ["--labs", "2"]
    status = log.run(command, environment)[0]
    if not results.exists():
        return Result(passed=0, failed=1)
    cases = json.loads(results.read_text(encoding="utf-8"))["cases"]
    passed = sum(case["passed"] for case in cases)
    return Result(passed=passed, failed=max(len(cases) - passed, int(status != 0)))


def _alerts(log: Log) -> Result:
    """The alerts' rules, by promtool, beside the mixin's; also on what Prometheus saw in the lab."""
    promtool = prometheus.program("promtool", log)
    if promtool is None:
        return Result(skipped="there is no promtool, and no apt-get to fetch it")
    os.environ["PROMTOOL"] = str(promtool)
    return _pytest(log, "tests/alerts")


def _lab_alerts(log: Log) -> Result:
    """A real rotation failure in the lab, scraped by a Prometheus with both sets of rules; then promtool on what it saw."""
    if os.geteuid() != 0:
        return Result(skipped="the lab needs root")
    program, promtool = (prometheus.program(name, log) for name in ("prometheus", "promtool"))
    if program is None or promtool is None:
        return Result(skipped="there is no prometheus, and no apt-get to fetch it")
    folder = developer_venv()
    recorded = BUILD / "lab-alerts.json"
    recorded.unlink(missing_ok=True)
    command = [folder / "bin/python", ROOT / "tests/lab/alerts.py", "--prometheus", program, "--output", recorded]
    status = log.run(command, ansible_environment(folder, live_collections()))[0]
    if status or not recorded.exists():
        return Result(passed=0, failed=1)
    os.environ.update(PROMTOOL=str(promtool), RECORDING=str(recorded))
    return _pytest(log, "tests/alerts/test_recorded.py")


def _browser(log: Log) -> Result:
    """The HTML report in a headless Chromium, from Debian's package."""
    if not shutil.which("chromium"):
        if os.geteuid() != 0:
            return Result(skipped="there is no chromium, and only root can install it")
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        ):
            status, _output = log.run(command, {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
            if status:
                return Result(passed=0, failed=1)
    return _pytest(log, "tests/browser")


def _fuzz(log: Log) -> Result:
    """Hostile input, round after round for ``MINUTES``; what crashes or leaks goes to ``tests/fuzz/corpus``."""
    minutes = float(os.environ.get("MINUTES") or 10)
    os.environ["KUBECARE_FUZZ_EXAMPLES"] = "150"
    started, rounds, cases, failed = time.monotonic(), 0, 0, 0
    while time.monotonic() - started < minutes * 60:
        before = len(log.path.read_text(encoding="utf-8", errors="replace"))
        failed += _pytest(log, "tests/fuzz").failed
        printed = log.path.read_text(encoding="utf-8", errors="replace")[before:]
        cases += sum(int(number) for number in re.findall(r"^fuzz cases: (\d+)$", printed, re.MULTILINE))
        rounds += 1
    log.write(f"{cases} cases in {rounds} rounds, {time.monotonic() - started:.0f} seconds\n")
    return Result(passed=cases, failed=failed)


def _bench(log: Log) -> Result:
    """The benchmarks (``tests/benchmarks/run.py``), or those that ``PART`` names."""
    python = next(iter(pythons()))
    ansible = f"ansible=={COMMUNITY_PACKAGE[NEWEST_CORE[python]]}.*"  # with the collections that we are compared with
    folder = venv("benchmarks", [ansible, "-r", "requirements.txt"], python)
    environment = ansible_environment(folder, live_collections())
    environment["PYTHONPATH"] = str(live_collections())
    command = [folder / "bin/python", ROOT / "tests/benchmarks/run.py", *os.environ.get("PART", "").split()]
    return Result() if log.run(command, environment)[0] == 0 else Result(passed=0, failed=1)


def _in_lab(log: Log, program: str, *arguments: t.Any) -> Result:
    """A program of ``tests/lab`` that starts a lab and closes with its counts."""
    if os.geteuid() != 0:
        return Result(skipped="the lab needs root")
    folder = developer_venv()
    command = [folder / "bin/python", ROOT / f"tests/lab/{program}.py", *arguments]
    return ansible_test.read_closing_line(*log.run(command, ansible_environment(folder, live_collections())))


MENDED = (
    "auto-approval-binding-missing",
    "serving-csr-not-approved",
    "csr-flood",
    "kubeconfig-embedded-certificate",
    "client-certificate-expired-no-bootstrap",
    "certificate-link-dangling",
)
"""What ``make test`` mends in the lab: a fault for most acts, in 8 minutes. ``make lab-remediation`` tries all, in half an hour."""


def _remediation(log: Log, faults: tuple[str, ...] = ()) -> Result:
    """What the lab breaks, mended by the playbook ``remediate``; ``FAULT`` names others."""
    kept = BUILD / "lab-remediation"
    shutil.rmtree(kept, ignore_errors=True)
    names = os.environ.get("FAULT", "").split() or faults
    return _in_lab(log, "remediation", "--keep", kept, *(word for name in names for word in ("--fault", name)))


def _running(log: Log) -> Result:
    """Faults while running (``tests/running/faults.py``): hostile nodes, a failing API server, a full disk, Ctrl-C."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return Result(skipped="the stand-in nodes need root and namespaces")
    folder = developer_venv()
    environment = ansible_environment(folder, live_collections())
    environment["PYTHONPATH"] = str(live_collections())
    status, output = log.run([folder / "bin/python", ROOT / "tests/running/faults.py"], environment)
    return ansible_test.read_closing_line(status, output)


def check_parts() -> list[Part]:
    """The quick ones."""
    return [
        Part("ruff", lambda log: _tool(log, "ruff", "check", "--no-cache", *SOURCES)),
        Part("format", lambda log: _tool(log, "ruff", "format", "--no-cache", "--check", *SOURCES)),
        Part("mypy", _mypy),
        Part("yamllint", lambda log: _tool(log, "yamllint", "--strict", ".")),
        Part("ansible-lint", _ansible_lint),
        Part("changelog", lambda log: _tool(log, "antsibull-changelog", "lint")),
        Part("plugin documentation", _plugin_docs),
        Part("rule pages", lambda log: _tool(log, "python", "tools/rule_docs.py", "--check")),
        Part("alert pages", lambda log: _tool(log, "python", "tools/alert_docs.py", "--check")),
        Part("alerts", _alerts),
        Part("repository", lambda log: _pytest(log, "tests/repository")),
        Part("unit tests", lambda log: _pytest(log, "tests/unit")),
    ]


def test_parts() -> list[Part]:
    """All of them, those that take minutes last."""
    python = next(iter(pythons()))
    core = NEWEST_CORE[python]
    return [
        *check_parts(),
        Part("collection build and use", collection_build.act),
        Part("artefact", release.act),
        Part("report in a browser", _browser),
        Part("audits", lambda log: _pytest(log, "tests/audit")),
        Part("hostile input", lambda log: _pytest(log, "tests/fuzz")),
        Part("faults while running", _running, shown=True),
        Part(
            f"ansible-test sanity {core}",
            functools.partial(ansible_test.run, kind="sanity", core=core, python=python),
            shown=True,
        ),
        Part(
            f"ansible-test units {core}",
            functools.partial(ansible_test.run, kind="units", core=core, python=python),
            shown=True,
        ),
        Part("ansible-core versions", _versions, shown=True),
        Part("lab", _lab, shown=True),
        Part("audit identity in the lab", lambda log: _in_lab(log, "permissions"), shown=True),
        Part("remediate identity in the lab", lambda log: _in_lab(log, "repair_permissions"), shown=True),
        Part("login without root in the lab", lambda log: _in_lab(log, "node_permissions"), shown=True),
        Part("ways into a node in the lab", lambda log: _in_lab(log, "ways_in"), shown=True),
        Part("remediation in the lab", functools.partial(_remediation, faults=MENDED), shown=True),
        Part("hostile requests in the lab", lambda log: _in_lab(log, "csr_approval"), shown=True),
        Part("recorded evidence", lambda log: _pytest(log, "tests/recorded")),
    ]


def main() -> None:
    """Run the parts of the set that the first argument names; ``docs`` and ``format`` write files instead."""
    developer = developer_venv() / "bin"
    commands = {
        "docs": [["python", "tools/rule_docs.py"], ["python", "tools/alert_docs.py"]],
        "format": [["ruff", "format", "--no-cache", *SOURCES]],
    }
    if sys.argv[1] in commands:
        environment = {**os.environ, "PYTHONPATH": str(live_collections())}
        for program, *arguments in commands[sys.argv[1]]:
            done = subprocess.run([developer / program, *arguments], env=environment, cwd=ROOT, check=False)
            if done.returncode:
                sys.exit(done.returncode)
        return
    if sys.argv[1] == "test":
        user_venv()
    sets = {
        "check": check_parts,
        "test": test_parts,
        "fuzz": lambda: [Part("hostile input", _fuzz, shown=True)],
        "bench": lambda: [Part("benchmarks", _bench, shown=True)],
        "lab-test": lambda: [Part("lab", _lab, shown=True)],
        "lab-remediation": lambda: [Part("remediation in the lab", _remediation, shown=True)],
        "lab-alerts": lambda: [Part("alerts in the lab", _lab_alerts, shown=True)],
    }
    run(sets[sys.argv[1]]())


if __name__ == "__main__":
    main()
