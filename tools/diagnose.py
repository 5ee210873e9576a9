# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make diagnose``: on the user's cluster, else on evidence that ships with the repository. Says where the report is."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

from common import BUILD, CACHE, EXAMPLE_EVIDENCE, NAME, ROOT, ansible_environment, live_collections, user_venv

# For the example nothing but this machine is asked: no inventory is missed, and nothing is left in the home folder.
OFFLINE = {
    "ANSIBLE_HOME": str(CACHE / "home/.ansible"),
    "ANSIBLE_REMOTE_TEMP": str(CACHE / "home/.ansible/tmp"),
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
}


def playbook(name: str, arguments: list[str], run_dir: pathlib.Path, settings: dict[str, str] | None = None) -> int:
    """Run one of the collection's playbooks from this checkout; gives its exit status."""
    folder = user_venv()
    environment = {**ansible_environment(folder, live_collections()), **(settings or {})}
    for variable, value in os.environ.items():
        if variable.startswith("ANSIBLE_") and variable != "ANSIBLE_COLLECTIONS_PATH":
            environment[variable] = value
    command = ["ansible-playbook", f"{NAME}.{name}", "-e", f"kubelet_certs_run_dir={run_dir}", *arguments]
    print(f"+ {shlex.join(command)}", flush=True)
    return subprocess.run(
        [str(folder / "bin" / command[0]), *command[1:]], env=environment, cwd=ROOT, check=False
    ).returncode


def main() -> int:
    """Gives the exit status."""
    inventory, kubeconfig = os.environ.get("INVENTORY"), os.environ.get("KUBECONFIG")
    arguments = shlex.split(os.environ.get("ARGS", ""))
    if inventory and not kubeconfig:
        print(
            "INVENTORY is given and KUBECONFIG is not. Give both: make diagnose KUBECONFIG=… INVENTORY=…",
            file=sys.stderr,
        )
        return 2
    if inventory and kubeconfig:
        run_dir = ROOT / "kubelet-certs-runs" / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        os.environ["KUBECONFIG"] = os.path.abspath(os.path.expanduser(kubeconfig))
        status = playbook("diagnose", ["-i", os.path.abspath(os.path.expanduser(inventory)), *arguments], run_dir)
    else:
        print(f"No INVENTORY is given: judging the evidence recorded from the lab, {EXAMPLE_EVIDENCE}")
        print("For your own cluster: make diagnose KUBECONFIG=~/.kube/config INVENTORY=inventory.yml")
        run_dir = BUILD / "example-run"
        shutil.rmtree(run_dir, ignore_errors=True)
        shutil.copytree(ROOT / EXAMPLE_EVIDENCE, run_dir)
        status = playbook("rediagnose", arguments, run_dir, OFFLINE)
    if (run_dir / "report.html").is_file():
        print(f"\nThe report is in {run_dir / 'report.html'}\nThe evidence and the diagnosis are in {run_dir}/")
    else:
        print(f"\nNo report was made. What was collected is in {run_dir}/", file=sys.stderr)
        status = status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
