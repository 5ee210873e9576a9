# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus and promtool: those in PATH, else Debian's package unpacked into ``.cache``. Nothing is installed, no service started."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from common import CACHE, base_environment
from parts import Log

FOLDER = CACHE / "prometheus"


def program(name: str, log: Log) -> pathlib.Path | None:
    """The program ``prometheus`` or ``promtool``; None where there is none and this machine has no apt to fetch it."""
    found = shutil.which(name)
    if found:
        return pathlib.Path(found)
    unpacked = FOLDER / "usr/bin" / name
    if not unpacked.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            return None
        _unpack(log)
    return unpacked


def _unpack(log: Log) -> None:
    """Download the package for this machine and unpack it; ``CalledProcessError`` when that fails."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    download = FOLDER / "download"
    download.mkdir(parents=True)
    environment = base_environment()
    if os.geteuid() == 0:
        log.run(["apt-get", "update", "-qq"], environment)
    status, output = log.run(["apt-get", "download", "-qq", "prometheus"], environment, download)
    packages = sorted(download.glob("*.deb"))
    if status or not packages:
        raise RuntimeError(f"apt-get could not download prometheus: {output.strip()}")
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(FOLDER)], check=True)
    shutil.rmtree(download)
