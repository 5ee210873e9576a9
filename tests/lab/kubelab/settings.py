# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, versions, addresses and paths of the lab: everything another module would otherwise repeat."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import typing as t

#: Each has its Go module in ``kubernetes/``. The first is the one a lab runs unless told otherwise.
KUBERNETES_VERSIONS = ("1.36.3", "1.34.4")
#: Multiplies every time limit of the lab: more than 1 for a busy machine.
PATIENCE = float(os.environ.get("KUBECARE_LAB_PATIENCE", "1"))
MINIMUM_GO = (1, 26)
DEBIAN_SUITE = "bookworm"
#: Raise it when the packages or the files put into the node root change.
ROOT_REVISION = "2"

BINARIES = ("kube-apiserver", "kube-controller-manager", "kubelet", "kubectl")
API_NAME = "api.kubecare.test"
API_PORT = 6443
CONTROL_PLANE = "cp1"
BRIDGE = "lab0"
BRIDGE_ADDRESS = "10.77.0.1"
PREFIX = 24
SERVICE_CIDR = "10.96.0.0/12"
#: Where the binaries appear inside a machine.
MACHINE_BIN = "/opt/kubecare-lab/bin"
IMAGE = "kubecare.test/busybox:1"

LAB_DIRECTORY = pathlib.Path(__file__).resolve().parent.parent
ENTRY_POINT = LAB_DIRECTORY / "lab.py"
FAULTS = LAB_DIRECTORY / "faults"
COMPOUNDS = LAB_DIRECTORY / "compound"
REPOSITORY = LAB_DIRECTORY.parent.parent


class LabError(Exception):
    """The lab cannot do what was asked; the message is one sentence for the person who asked."""


def cache_root() -> pathlib.Path:
    """Where what is built once is kept."""
    explicit = os.environ.get("KUBECARE_LAB_CACHE")
    if explicit:
        return pathlib.Path(explicit).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base).absolute() / "kubecare-lab"


def state_root() -> pathlib.Path:
    """Where a running lab keeps its keys, logs and marks. It exists only while a lab does."""
    return pathlib.Path(os.environ.get("KUBECARE_LAB_STATE", "/run/kubecare-lab")).absolute()


def kubernetes_version(number: int = 0) -> str:
    """The version that a lab is started with, ``v1.36.3``; the second of several labs takes another than the first.

    :class:`LabError` where ``KUBECARE_LAB_KUBERNETES`` asks for one that there is no Go module for.
    """
    asked = os.environ.get("KUBECARE_LAB_KUBERNETES", KUBERNETES_VERSIONS[0]).removeprefix("v")
    if asked not in KUBERNETES_VERSIONS:
        raise LabError(f"The lab has no Kubernetes {asked}, only {' and '.join(KUBERNETES_VERSIONS)}.")
    first = KUBERNETES_VERSIONS.index(asked)
    return f"v{KUBERNETES_VERSIONS[(first + number) % len(KUBERNETES_VERSIONS)]}"


def go_module(version: str) -> pathlib.Path:
    """The folder of the Go module that says what that version is built from."""
    return LAB_DIRECTORY / "kubernetes" / version


def binaries_directory(version: str) -> pathlib.Path:
    """Where that version's binaries are, once they are built."""
    return cache_root() / f"bin-{version}-static"


def root_directory() -> pathlib.Path:
    return cache_root() / f"root-{DEBIAN_SUITE}-{ROOT_REVISION}"


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine of the lab. ``address`` is on the lab's bridge."""

    name: str
    address: str

    @property
    def is_control_plane(self) -> bool:
        return self.name == CONTROL_PLANE


def machines(workers: int) -> list[Machine]:
    """The control plane and ``workers`` nodes, in the order they are started."""
    prefix = BRIDGE_ADDRESS.rsplit(".", 1)[0]
    found = [Machine(CONTROL_PLANE, f"{prefix}.10")]
    found.extend(Machine(f"node{number}", f"{prefix}.{10 + number}") for number in range(1, workers + 1))
    return found


def say(text: str) -> None:
    """Progress for a person, on standard error: standard output is for what was asked for."""
    print(text, file=sys.stderr, flush=True)


Json = dict[str, t.Any]
