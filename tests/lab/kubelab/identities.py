# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identities of ``docs/manifests`` in the lab, each with a kubeconfig that holds a real token of its service account.

A lab has ``audit`` from its start, and diagnoses as it. ``remediate`` is there while something is mended.
"""

from __future__ import annotations

import pathlib
import typing as t

import yaml

from . import pki, running, settings
from .settings import Json

AUDIT = "audit"
REMEDIATE = "remediate"
MANIFESTS = settings.REPOSITORY / "docs/manifests"
#: What its documentation says to apply for an identity.
NEEDED = {AUDIT: ("audit",), REMEDIATE: ("audit", "approve", "remediate")}
TOKEN_LIFETIME = "720h"


def documents(*names: str) -> list[Json]:
    """The objects of the manifests of these names."""
    return [one for name in names for one in yaml.safe_load_all((MANIFESTS / f"{name}.yml").read_text())]


def config(identity: str) -> str:
    """The name of its kubeconfig in the state folder."""
    return f"{identity}.conf"


def apply(state: pathlib.Path, objects: t.Iterable[Json]) -> None:
    """Make the cluster's objects these."""
    running.kubectl(state, "apply", "--filename=-", stdin=yaml.safe_dump_all(objects))


def prepare(state: pathlib.Path, identity: str) -> None:
    """Apply what the identity needs, and write its kubeconfig with a new token."""
    apply(state, documents(*NEEDED[identity]))
    write_kubeconfig(state, identity)


def write_kubeconfig(state: pathlib.Path, identity: str) -> None:
    """The administrator's kubeconfig with a token of the identity's service account instead of a certificate."""
    account = f"kubelet-certs-{identity}"
    command = ("--namespace=kube-system", "create", "token", account, f"--duration={TOKEN_LIFETIME}")
    token = running.kubectl(state, *command).stdout.strip()
    content = yaml.safe_load((state / "admin.conf").read_text())
    content["users"][0]["user"] = {"token": token}
    pki.write(state / config(identity), yaml.safe_dump(content, sort_keys=False, width=100000), 0o600)


def withdraw_remediate(state: pathlib.Path) -> None:
    """Take away what only ``remediate`` needs: a diagnosis is to see the cluster as it is without."""
    objects = yaml.safe_dump_all(documents("approve", "remediate"))
    running.kubectl(state, "delete", "--ignore-not-found", "--filename=-", stdin=objects)
    (state / config(REMEDIATE)).unlink(missing_ok=True)
