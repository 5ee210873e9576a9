# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make record``: keeps the evidence that the last ``make lab-test`` collected as fixtures."""

from __future__ import annotations

import json
import shutil
import sys

from common import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests/lab"))

from kubelab import recording  # noqa: E402


def main() -> int:
    """Gives the exit status: 1 when there is no matrix to record. Fixtures of a case that was recorded anew are replaced."""
    results = BUILD / "lab-matrix.json"
    if not results.exists():
        print("There is nothing to record: run `make lab-test` first", file=sys.stderr)
        return 1
    runs: dict[str, dict[str, str]] = {}
    versions = {}
    for case in json.loads(results.read_text(encoding="utf-8"))["cases"]:
        if case["passed"] and not case["case"].startswith("healthy-again"):
            runs.setdefault(case["run"], {})[case["case"]] = case["node"]
            versions[case["run"]] = case["kubernetes"]
    recorded = {name for placed in runs.values() for name in placed}
    for path in recording.FIXTURES.glob("*.json"):
        if recorded & set(json.loads(path.read_text(encoding="utf-8"))["placed"]):
            path.unlink()
    for name in recorded:
        shutil.rmtree(recording.FIXTURES / name, ignore_errors=True)
    for name, placed in runs.items():
        recording.keep(BUILD / "lab" / name, name, versions[name], placed)
    print(f"Recorded {len(recorded)} cases of {len(runs)} runs in tests/fixtures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
