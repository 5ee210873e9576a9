# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What prepares a machine of the lab refuses to run on anything else. Its tools are stand-ins here: they only write down that they were called."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "lab/machine/usr/local/sbin/lab-machine"
MARK = "/run/host/container-manager"


def run(folder: pathlib.Path, mark: str | None) -> tuple[int, str, bool]:
    """Status, standard error and whether a tool was called; ``mark``: what systemd-nspawn's file holds, None: there is none."""
    for tool in ("mount", "mountpoint", "mkdir"):
        (folder / tool).write_text(f"#!/bin/sh\n: >{folder}/called\nexit 9\n")
        (folder / tool).chmod(0o755)
    if mark is not None:
        (folder / "mark").write_text(mark)
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.count(MARK) == 2
    # Of this machine's own tools it gets none: should the guard not hold, nothing happens.
    done = subprocess.run(
        ["/bin/sh"],
        input=text.replace(MARK, f"{folder}/mark"),
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stderr, (folder / "called").exists()


@pytest.mark.parametrize("mark", [None, "", "docker\n", "not systemd-nspawn\n", "systemd-nspawn or so\n"])
def test_it_refuses_where_systemd_nspawn_did_not_make_the_machine(tmp_path: pathlib.Path, mark: str | None) -> None:
    status, error, called = run(tmp_path, mark)
    assert (status, called) == (1, False)
    assert "nothing was changed" in error


@pytest.mark.parametrize("mark", ["systemd-nspawn", "systemd-nspawn\n"])
def test_it_goes_on_in_a_machine_of_the_lab(tmp_path: pathlib.Path, mark: str) -> None:
    assert run(tmp_path, mark) == (9, "", True)
