# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Breaks three nodes of the running lab, each in its own way, and records the evidence that ``make diagnose`` shows."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
import time

from kubelab import diagnose, faults, lifecycle, settings

TARGET = settings.REPOSITORY / "playbooks/files/example-evidence"
FAULTS = {
    "kubeconfig-embedded-certificate": "node1",
    "auto-approval-binding-missing": "node2",
    "api-server-name-unresolved": "node3",
}


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        record(state)
    for path in TARGET.rglob("*.json"):
        path.chmod(0o644)
    print(f"recorded {TARGET.relative_to(settings.REPOSITORY)}")
    return 0


def record(state: pathlib.Path) -> None:
    """Replaces TARGET by the evidence of a lab with the faults in it."""
    try:
        for name, node in FAULTS.items():
            faults.inject(state, faults.get(name), node)
        time.sleep(30)  # long enough for the faults to show in the log more than once
        with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
            run_dir = pathlib.Path(folder) / "run"
            diagnose.run(state, run_dir)
            shutil.rmtree(TARGET, ignore_errors=True)
            for part in ("cluster", "nodes"):
                shutil.copytree(run_dir / part, TARGET / part)
            shutil.copy(run_dir / "manifest.json", TARGET)
    finally:
        faults.heal(state, *map(faults.get, FAULTS))


if __name__ == "__main__":
    sys.exit(main())
