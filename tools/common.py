# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every tool here shares: folders, Pythons, virtual environments, and the collection where Ansible looks for it.

Standard library only: this runs before anything is installed. All that is made lies in ``.cache`` and ``build`` of the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
BUILD = ROOT / "build"
NAME = "kubecare.kubelet_certs"
IN_COLLECTIONS = pathlib.Path("ansible_collections", *NAME.split("."))
EXAMPLE_EVIDENCE = pathlib.Path("playbooks/files/example-evidence")
# The newest ansible-core that each Python runs, and all that the collection promises.
NEWEST_CORE = {"3.11": "2.19", "3.12": "2.20", "3.13": "2.21"}
# The package ansible of PyPI, which brings community collections, by the ansible-core that it needs.
COMMUNITY_PACKAGE = {"2.19": "12", "2.20": "13", "2.21": "14"}
CORES = (("2.17", "3.11"), ("2.18", "3.11"), ("2.19", "3.11"), ("2.20", "3.12"), ("2.21", "3.13"))


def pythons() -> dict[str, str]:
    """Usable interpreters as ``{"3.13": path}``, newest first (see ``tools/find-python``)."""
    found = subprocess.run(
        ["sh", str(ROOT / "tools/find-python")], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    return dict(t.cast("tuple[str, str]", tuple(line.split(" ", 1))) for line in found.splitlines())


def base_environment(home: pathlib.Path | None = None) -> dict[str, str]:
    """The caller's environment without what would lead Ansible or Python elsewhere; ``home`` replaces HOME."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PYTHON", "VIRTUAL_ENV", "MAKE"))
    }
    environment.update(PYTHONDONTWRITEBYTECODE="1", PIP_CACHE_DIR=str(CACHE / "pip"), PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment.setdefault("LC_ALL", "C.UTF-8")
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        environment["HOME"] = str(home)
    return environment


def venv(name: str, requirements: list[str], python: str) -> pathlib.Path:
    """The virtual environment ``name`` with ``requirements`` (pip's arguments) in it, for ``python`` ("3.13"). Made when needed.

    The folder's name holds a hash of the requirements and of the files they name; older ones of the same name are removed.
    """
    interpreter = pythons()[python]
    digest = hashlib.sha256(repr((interpreter, requirements)).encode())
    for requirement in requirements:
        if requirement.endswith(".txt"):
            digest.update((ROOT / requirement).read_bytes())
    folder = CACHE / "venv" / f"{name}-py{python}-{digest.hexdigest()[:10]}"
    complete = folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}-py{python}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return folder
        for old in folder.parent.glob(f"{name}-py{python}-*"):
            shutil.rmtree(old)
        print(f"Making the virtual environment {folder.relative_to(ROOT)}", flush=True)
        environment = base_environment()
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True, env=environment, cwd=ROOT)
        install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input", *requirements]
        subprocess.run(install, check=True, env=environment, cwd=ROOT)
        complete.touch()
    return folder


def user_venv() -> pathlib.Path:
    """What a user of the collection has: Ansible and the run-time packages, on the newest Python."""
    python = next(iter(pythons()))
    return venv("user", [f"ansible-core=={NEWEST_CORE[python]}.*", "-r", "requirements.txt"], python)


def developer_venv() -> pathlib.Path:
    """Ansible, the run-time packages and all linters, on the newest Python."""
    python = next(iter(pythons()))
    core = f"ansible-core=={NEWEST_CORE[python]}.*"
    return venv("developer", [core, "-r", "requirements.txt", "-r", "requirements-dev.txt"], python)


def live_collections() -> pathlib.Path:
    """A collections path in which the collection is this checkout itself (a link)."""
    link = CACHE / "live" / IN_COLLECTIONS
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT)
    return CACHE / "live"


def tracked_files() -> list[pathlib.PurePath]:
    """The files git knows of that are there, else (no git work tree) all files but caches."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    if listed.returncode == 0:
        names = [pathlib.PurePath(name) for name in listed.stdout.decode().split("\0") if name]
        return [name for name in names if (ROOT / name).is_file()]
    skipped = {".cache", "build", ".git", "__pycache__"}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [path for path in files if not skipped.intersection(path.parts)]


def copied_collection() -> pathlib.Path:
    """A copy of the tracked files where ansible-test accepts them (it does not follow links). Gives the copy's folder."""
    target = CACHE / "copy" / IN_COLLECTIONS
    wanted = set(tracked_files())
    for path in sorted(target.rglob("*"), reverse=True):
        relative: pathlib.PurePath = path.relative_to(target)
        if relative.parts[0] == ".git" or relative.parts[:2] == ("tests", "output"):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif relative not in wanted:
            path.unlink()
    for relative in sorted(wanted):
        destination = target / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / relative, destination, follow_symlinks=False)
    if not (target / ".git").exists():  # else ansible-test asks the checkout around it, which ignores this folder
        subprocess.run(["git", "init", "--quiet", str(target)], check=True, env=base_environment())
    return target


def ansible_environment(
    folder: pathlib.Path, collections: pathlib.Path, home: pathlib.Path | None = None
) -> dict[str, str]:
    """Environment in which the Ansible of the virtual environment ``folder`` runs with the given collections path."""
    environment = base_environment(home)
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    return environment
