# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make lab-up``, ``lab-down`` and ``lab-diagnose``: the lab's own command line, with what it needs made first."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from common import NAME, ROOT, ansible_environment, live_collections, user_venv

FAULT = "auto-approval-binding-missing"
NODE = "node2"


def lab(*words: str) -> int:
    """Run ``tests/lab/lab.py`` with these words in the user's virtual environment; gives its exit status."""
    folder = user_venv()
    command = [str(folder / "bin/python"), str(ROOT / "tests/lab/lab.py"), *words]
    return subprocess.run(
        command, env=ansible_environment(folder, live_collections()), cwd=ROOT, check=False
    ).returncode


def diagnose() -> int:
    """Start the lab, break one node, and diagnose the cluster as a user would."""
    run_dir = ROOT / "kubelet-certs-runs" / time.strftime("lab-%Y%m%dT%H%M%SZ", time.gmtime())
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as scratch:
        inventory = os.path.join(scratch, "inventory.yml")
        playbook = [str(user_venv() / "bin/ansible-playbook"), f"{NAME}.diagnose", "-i", inventory]
        for words in (
            ("up",),
            ("heal",),
            ("inject", FAULT, "--node", NODE),
            ("inventory", "--output", inventory),
            ("run", "--", *playbook, "-e", f"kubelet_certs_run_dir={run_dir}"),
        ):
            print(f"+ lab {' '.join(words)}", flush=True)
            status = lab(*words)
            if status:
                return status
    print(f"\nThe report is in {run_dir / 'report.html'}\nThe lab still runs: `make lab-down` ends it.")
    return 0


if __name__ == "__main__":
    sys.exit(diagnose() if sys.argv[1] == "diagnose" else lab(*sys.argv[1:]))
