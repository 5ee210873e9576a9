# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running the collection's diagnose playbook inside the lab, over real SSH."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from . import identities, init, recording, running, settings
from .settings import LabError

PLAYBOOK = "kubecare.kubelet_certs.diagnose"


def playbook_command() -> str:
    """``ansible-playbook``: of this Python's environment when it has one, else of PATH."""
    beside = pathlib.Path(sys.executable).with_name("ansible-playbook")
    found = str(beside) if beside.is_file() else shutil.which("ansible-playbook")
    if not found:
        raise LabError("There is no ansible-playbook in PATH.")
    return found


def collections_path(temporary: pathlib.Path) -> str:
    """A collections path in which this repository is the collection."""
    parent = temporary / "ansible_collections/kubecare"
    parent.mkdir(parents=True)
    (parent / "kubelet_certs").symlink_to(settings.REPOSITORY)
    configured = os.environ.get("ANSIBLE_COLLECTIONS_PATH")
    return os.pathsep.join(filter(None, [str(temporary), configured]))


def run(
    state: pathlib.Path,
    run_directory: pathlib.Path,
    *options: str,
    playbook: str = PLAYBOOK,
    identity: str = identities.AUDIT,
) -> subprocess.CompletedProcess[str]:
    """Run a playbook, by default the diagnosis, as a shipped identity into ``run_directory``. It may fail: look at what it wrote."""
    with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
        temporary = pathlib.Path(folder)
        command = [playbook_command(), "--inventory", str(state / "inventory.yml"), playbook]
        command += ["--extra-vars", f"kubelet_certs_run_dir={run_directory}", *options]
        limit = 300 * settings.PATIENCE
        try:
            return subprocess.run(
                running.enter_network(running.require_init(state), command),
                env={
                    **running.environment(state, identities.config(identity)),
                    "ANSIBLE_COLLECTIONS_PATH": collections_path(temporary),
                    "ANSIBLE_LOCAL_TEMP": str(temporary / "ansible"),
                    "ANSIBLE_SSH_CONTROL_PATH_DIR": str(temporary / "ssh"),
                    "ANSIBLE_NOCOLOR": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"The playbook did not end within {limit:.0f} s.") from error


def record(state: pathlib.Path, name: str) -> pathlib.Path:
    """Diagnose the lab as it is and keep the evidence under ``tests/fixtures``, with what is injected."""
    placed = {path.stem: json.loads(path.read_text())["node"] for path in (state / "injected").glob("*.json")}
    with tempfile.TemporaryDirectory(prefix="kubecare-lab-run-") as folder:
        directory = pathlib.Path(folder) / "run"
        done = run(state, directory)
        if not (directory / "manifest.json").is_file():
            raise LabError(f"The playbook wrote no evidence:\n{done.stdout[-2000:]}")
        return recording.keep(directory, name, init.Plan.load(state).kubernetes, placed)
