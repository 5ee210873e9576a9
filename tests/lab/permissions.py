# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the diagnosis in the lab as the shipped audit identity, as the lab always does, whole and with each of its rules taken away.

With all of them everything is seen. Without one, the run still finishes, still judges, and says that very subject was forbidden.
So no permission is missing, none is superfluous, and a 403 for each kind of list is reported.
"""

from __future__ import annotations

import copy
import json
import pathlib
import sys
import tempfile
import typing as t

from kubelab import diagnose, identities, lifecycle

NOT_SEEN = {
    "nodes": "node_info.nodes",
    "events": "node_info.events",
    "certificatesigningrequests": "csr_info.csrs",
    "subjectaccessreviews": "rbac_info.reviews",
    "clusterrolebindings": "rbac_info.bindings",
    "clusterroles": "rbac_info.roles",
    "leases in kube-node-lease": "node_info.leases",
    "kube-controller-manager": "control_plane_info.controller_manager.lease",
    "pods": "control_plane_info.controller_manager.pods",
    "extension-apiserver-authentication": "control_plane_info.client_ca",
    "kube-root-ca.crt": "control_plane_info.cluster_ca",
    "deployments": "control_plane_info.approvers",
    "validatingwebhookconfigurations": "control_plane_info.admission",
    "cluster-info": "control_plane_info.cluster_info",
}
"""What is not seen without the rule for it."""

Documents = list[dict[str, t.Any]]


def subject_of(document: dict[str, t.Any], rule: dict[str, t.Any]) -> str:
    """The key of NOT_SEEN for a rule of the manifest."""
    if rule.get("resourceNames"):
        return str(rule["resourceNames"][0])
    namespace = document["metadata"].get("namespace")
    return f"leases in {namespace}" if rule["resources"] == ["leases"] else str(rule["resources"][0])


def gaps(state: pathlib.Path) -> dict[str, str]:
    """Diagnose; gives the cluster's ``not_seen`` as subject → reason."""
    with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
        run_dir = pathlib.Path(folder) / "run"
        done = diagnose.run(state, run_dir, "--extra-vars", "kubelet_certs_collect_nodes=false")
        if done.returncode or not (run_dir / "report.html").is_file():
            raise AssertionError(f"the run did not finish with a report:\n{done.stdout[-3000:]}")
        diagnosis = json.loads((run_dir / "diagnosis.json").read_text())
        return {gap["subject"]: gap["reason"] for gap in diagnosis["cluster"]["not_seen"]}


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        return check(state)


def check(state: pathlib.Path) -> int:
    """Runs the cases and prints a line for each; gives the exit status."""
    documents = identities.documents(identities.AUDIT)
    cases: list[tuple[str, Documents, dict[str, str]]] = [("all rules", documents, {})]
    for index, document in enumerate(documents):
        for number, rule in enumerate(document.get("rules", ())):
            fewer = copy.deepcopy(documents)
            del fewer[index]["rules"][number]
            subject = subject_of(document, rule)
            cases.append((f"without {subject}", fewer, {NOT_SEEN[subject]: "forbidden"}))
    failed = 0
    try:
        for name, objects, expected in cases:
            identities.apply(state, objects)
            found = gaps(state)
            # A list that fails takes what is read from it with it: more gaps of the same kind may follow.
            good = (
                found == expected
                if not expected
                else expected.items() <= found.items() and set(found.values()) == {"forbidden"}
            )
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: not seen {found or 'nothing'}", flush=True)
    finally:
        identities.apply(state, documents)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
