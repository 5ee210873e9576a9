# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make record``: keeps the evidence that the last ``make lab-test`` collected as fixtures."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys

from common import BUILD, ROOT


def keep(run_dir: pathlib.Path, target: pathlib.Path) -> None:
    """Copy the evidence of a run folder, and nothing that was made from it."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(run_dir / "manifest.json", target)
    for part in ("cluster", "nodes"):
        shutil.copytree(run_dir / part, target / part)
    for path in target.rglob("*.json"):
        path.chmod(0o644)


def main() -> int:
    """Gives the exit status: 1 when there is no matrix to record."""
    results = BUILD / "lab-matrix.json"
    if not results.exists():
        print("There is nothing to record: run `make lab-test` first", file=sys.stderr)
        return 1
    cases = json.loads(results.read_text(encoding="utf-8"))["cases"]
    names = [
        case["case"] for case in cases if case["passed"] and (ROOT / f"tests/lab/faults/{case['case']}.yml").exists()
    ]
    for name in names:
        keep(BUILD / "lab" / name, ROOT / "tests/fixtures" / name)
    print(f"Recorded {len(names)} cases in tests/fixtures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
