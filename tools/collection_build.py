# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the collection, installs the tarball into an empty folder and uses it there as a user with an empty home folder would."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import tarfile
import tempfile

import release
from common import (
    BUILD,
    EXAMPLE_EVIDENCE,
    IN_COLLECTIONS,
    NAME,
    ROOT,
    ansible_environment,
    user_venv,
)
from parts import Log, Result

# Nothing of the development tools, no test, no cache goes to users.
FORBIDDEN = re.compile(
    r"^(tests|tools|build|\.cache|\.ci|\.git[^/]*|Makefile|pyproject\.toml|requirements-dev\.txt)(/|$)"
)
EXPECTED = (
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "meta/runtime.yml",
    "playbooks/diagnose.yml",
    "plugins/filter/diagnose.py",
)


def plugins(installed: pathlib.Path) -> list[tuple[str, str]]:
    """The public plugins as (kind, full name)."""
    kinds = {name: name for name in ("callback", "filter", "inventory", "lookup")} | {"modules": "module"}
    return [
        (kind, f"{NAME}.{path.stem}")
        for folder, kind in kinds.items()
        for path in sorted((installed / "plugins" / folder).glob("*.py"))
        if not path.stem.startswith("_")
    ]


def rediagnose(
    log: Log, folder: pathlib.Path, collections: pathlib.Path, home: pathlib.Path, scratch: pathlib.Path
) -> list[str]:
    """Judge the example evidence by the playbook ``rediagnose``; gives what is wrong."""
    run_dir = scratch / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    shutil.copytree(ROOT / EXAMPLE_EVIDENCE, run_dir)
    for stale in ("diagnosis.json", "report.html"):
        (run_dir / stale).unlink(missing_ok=True)
    command = [folder / "bin/ansible-playbook", f"{NAME}.rediagnose", "-e", f"kubelet_certs_run_dir={run_dir}"]
    status, output = log.run(command, ansible_environment(folder, collections, home), scratch)
    if status:
        return [f"rediagnose ended with {status}"]
    wrong = [f"rediagnose warns: {line}" for line in output.splitlines() if "[DEPRECATION WARNING]" in line]
    diagnosis = json.loads((run_dir / "diagnosis.json").read_text(encoding="utf-8"))
    if not any(node["primary"] for node in diagnosis["nodes"]):
        wrong.append("rediagnose names no cause on the example evidence, which holds one")
    if not (run_dir / "report.html").is_file():
        wrong.append("rediagnose wrote no report.html")
    return wrong


def act(log: Log) -> Result:
    """The part of ``make test``."""
    folder = user_venv()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
        scratch = pathlib.Path(name)
        home, collections = scratch / "home", scratch / "collections"
        environment = ansible_environment(folder, collections, home)
        galaxy = [folder / "bin/ansible-galaxy", "collection"]
        tarball = release.build(log, folder, BUILD)
        with tarfile.open(tarball) as archive:
            members = archive.getnames()
        wrong += [f"the tarball holds {member}" for member in members if FORBIDDEN.match(member)]
        wrong += [f"the tarball lacks {member}" for member in EXPECTED if member not in members]
        log.write(f"{len(members)} files, {tarball.stat().st_size} bytes\n")
        status = log.run([*galaxy, "install", tarball, "-p", collections, "--offline"], environment, scratch)[0]
        if status:
            return Result(passed=0, failed=1)
        found = plugins(collections / IN_COLLECTIONS)
        for kind, plugin in found:
            status, output = log.run([folder / "bin/ansible-doc", "-t", kind, plugin], environment, scratch)
            if status or "no documentation" in output.lower() or "not found" in output.lower():
                wrong.append(f"ansible-doc shows nothing of {plugin}")
        if not found:
            wrong.append("the tarball holds no plugin")
        wrong += rediagnose(log, folder, collections, home, scratch)
    for line in wrong:
        log.write(f"WRONG: {line}\n")
    return Result(passed=len(found) + 2, failed=len(wrong))
