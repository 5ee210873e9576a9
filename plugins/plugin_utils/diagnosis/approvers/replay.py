# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Which approver is responsible for a request, and what its published checks say of it. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import (
    built_in,
    by_hand,
    kubelet_csr_approver,
    kubelet_rubber_stamp,
    kubelet_serving_cert_approver,
    machine_approver,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import Case
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

BUILT_IN = "kube-controller-manager"
BY_HAND = "nobody"

_SERVING: dict[str, tuple[t.Callable[[Case], list[Data]], str]] = {
    "kubelet-csr-approver": (kubelet_csr_approver.replay, kubelet_csr_approver.SOURCE),
    "kubelet-serving-cert-approver": (kubelet_serving_cert_approver.replay, kubelet_serving_cert_approver.SOURCE),
    "machine-approver": (machine_approver.replay_serving, machine_approver.SOURCE),
    "kubelet-rubber-stamp": (kubelet_rubber_stamp.replay, kubelet_rubber_stamp.SOURCE),
}


def replay_client(case: Case, installed: list[Data]) -> Data:
    """A client certificate's request: OpenShift's machine-approver for its joining nodes, else the controller manager."""
    approver = next((one for one in installed if one.get("approver") == "machine-approver"), None)
    if approver and case.requestor == machine_approver.BOOTSTRAPPER:
        return _judged(_installed(approver), machine_approver.replay_client(case), machine_approver.SOURCE)
    found, failing, approves = built_in.replay(case)
    recognised = all(entry["passed"] for entry in found[: -len(built_in.ROUTES) - 1])
    return {
        "approver": {"name": BUILT_IN, "kind": "controller", "workload": "csrapproving", "ready": None, "image": None},
        "checks": found,
        "failing": failing,
        "decision": "unknown" if approves is None else "approves" if approves else "refuses",
        "recognised": recognised,
        "source": built_in.SOURCE,
    }


def replay_serving(case: Case, installed: list[Data] | None, managed_by: str | None) -> Data:
    """A serving certificate's request: by the approver that is installed, a ready one first.

    With none, or none that is known to be, the checks are those that a person makes.
    """
    ordered = sorted(installed or (), key=lambda one: not one.get("ready"))
    approver = next((one for one in ordered if one.get("approver") in _SERVING), None)
    if approver:
        run, source = _SERVING[str(approver["approver"])]
        return _judged(_installed(approver), run(case), source)
    name = managed_by or (BY_HAND if installed is not None else None)
    nobody = {"name": name, "kind": "managed" if managed_by else None, "workload": None, "ready": None, "image": None}
    return _judged(nobody, by_hand.replay(case), by_hand.SOURCE)


def _installed(approver: Data) -> Data:
    return {
        "name": approver.get("approver"),
        "kind": approver.get("kind"),
        "workload": f"{approver.get('namespace')}/{approver.get('name')}",
        "ready": approver.get("ready"),
        "image": approver.get("image"),
    }


def _judged(approver: Data, found: list[Data], source: str) -> Data:
    failing = [str(entry["name"]) for entry in found if entry["passed"] is False]
    unknown = any(entry["passed"] is None for entry in found)
    return {
        "approver": approver,
        "checks": found,
        "failing": failing,
        "decision": "refuses" if failing else "unknown" if unknown else "approves",
        "recognised": None,
        "source": source,
    }
