# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What changed before the first failure, ranked: first what has a mechanism by which it makes the primary cause, then what is nearest.

A change is never a cause by its time alone. ``mechanism`` says how a change of that kind brings about a finding of that rule or stage, and
is null where none is known: then it is listed, last, for the reader to judge.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, seconds_since

WINDOW_SECONDS = 24 * 3600
"""How long before the first failure a change is worth naming."""

OF_STAGE: dict[str, dict[str, str]] = {
    "kubelet": {
        "kubelet": "the kubelet acts on its files and flags when it starts",
        "version": "a newer kubelet knows other flags and settings than the one before",
        "node": "a node that was registered anew is another one to the API server",
    },
    "configuration": {
        "kubelet": "the kubelet reads its configuration and kubeconfig when it starts",
        "version": "the defaults of rotation differ between versions",
    },
    "schedule": {"kubelet": "each start of the kubelet draws a new moment for the rotation"},
    "connection": {
        "ca": "a node trusts only the CA that its kubeconfig holds",
        "manifest": "the API server's flags decide where and with which certificate it answers",
        "kubelet": "the kubelet reads where the API server is, and its CA, when it starts",
        "version": "an upgrade restarts the API server",
    },
    "request": {
        "rbac": "roles and bindings decide who may create a request",
        "manifest": "the API server's flags decide which admission and which tokens it takes",
        "version": "an upgrade brings new checks of who may ask for which name",
        "node": "a node may ask for its own name only",
    },
    "approval": {
        "rbac": "roles and bindings decide who is approved, and who may approve",
        "manifest": "the controller manager's flags decide whether it runs and approves",
        "version": "an upgrade restores default roles, and no binding of the installer's",
    },
    "signing": {
        "manifest": "the controller manager's flags decide whether and with what it signs",
        "ca": "the signer reads its CA's files again when they change",
        "rbac": "roles and bindings decide who may sign",
        "version": "an upgrade writes the control plane's manifests anew",
    },
    "storage": {"kubelet": "the kubelet sees its folder as it is mounted when it starts"},
    "use": {
        "ca": "the API server accepts only clients of the CAs that it holds",
        "manifest": "flags decide which CA signs, and which CAs the API server accepts",
        "kubelet": "a kubelet that starts loads the certificate that lies there",
        "node": "a node that was registered anew is another one to the API server",
    },
}
"""Stage of the primary cause → kind of change → how the one brings about the other."""

_OF_CLIENT_CA = {kind: OF_STAGE["use"][kind] for kind in ("ca", "manifest")}

OF_RULE: dict[str, dict[str, str]] = {
    "api-server-untrusted": {"ca": OF_STAGE["connection"]["ca"], "kubelet": OF_STAGE["connection"]["kubelet"]},
    "auto-approval-binding-missing": {"rbac": OF_STAGE["approval"]["rbac"]},
    "bootstrap-approval-binding-missing": {"rbac": OF_STAGE["approval"]["rbac"]},
    "ca-bundles-differ": _OF_CLIENT_CA,
    "ca-rotated-node-left-behind": {"ca": "the CA was changed everywhere but on this node"},
    "client-ca-lacks-issuer": _OF_CLIENT_CA,
    "controller-manager-not-leading": {"rbac": "its role decides whether it may write its lease"},
    "csr-create-forbidden": {"rbac": OF_STAGE["request"]["rbac"]},
    "signer-permission-missing": {"rbac": OF_STAGE["signing"]["rbac"]},
    "signer-wrong-issuer": _OF_CLIENT_CA,
}
"""As OF_STAGE for single rules, whose mechanism is narrower than their stage's. It comes before the stage's."""


def ranked(changes: t.Iterable[Data], failure: str | None, primary: Data | None) -> list[Data]:
    """The changes of the window before the first failure with ``seconds_before`` and ``mechanism``, the likeliest first.

    A change whose time is None (an object that is gone, and left none) is kept only where it has a mechanism.
    """
    if failure is None:
        return []
    found = []
    for change in changes:
        before = seconds_since(change["time"], failure)
        rank, mechanism = _mechanism(change, primary)
        if change["time"] is None and mechanism is None:
            continue
        if change["time"] is not None and (before is None or not 0 <= before <= WINDOW_SECONDS):
            continue
        told = {key: value for key, value in change.items() if key != "stages"}
        found.append((rank, before or 0, {**told, "seconds_before": before, "mechanism": mechanism}))
    return [change for _rank, _before, change in sorted(found, key=lambda entry: entry[:2])]


def _mechanism(change: Data, primary: Data | None) -> tuple[int, str | None]:
    if primary is None or primary["stage"] not in change.get("stages", (primary["stage"],)):
        return 2, None
    narrow = OF_RULE.get(primary["rule"], {}).get(change["kind"])
    if narrow:
        return 0, narrow
    wide = OF_STAGE.get(primary["stage"], {}).get(change["kind"])
    return (1, wide) if wide else (2, None)
