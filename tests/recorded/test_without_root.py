# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded evidence judged again as a login that is not root would have seen it: less is said, and nothing that root's view does not know.

``hidden`` takes away what ``tests/lab/node_permissions.py`` shows to be not permitted on a machine laid out as kubeadm lays it out.
"""

from __future__ import annotations

import copy
import json
import pathlib
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter

Data = dict[str, t.Any]

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
RUNS: dict[str, Data] = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))}
DENIED = "may not be read by the user of the probe"

LESS_EXACT = {
    ("api-server-untrusted", "api-server-foreign"),
    ("api-server-untrusted", "one-api-server-differs"),
    ("api-server-untrusted", "kubelet-client-ca-stale"),
    ("signer-disabled", "external-signer-silent"),
}
"""Found without root, where root finds the other: the log says only that some certificate is not trusted (recorded before a kubelet's
refusal of its own callers was told from that), and whether the CA's key is kept elsewhere shows in files alone."""


def hidden(probe: Data, log: bool) -> Data:
    """The evidence of a node without what only root may read; ``log``: the login is in the group of the journal."""
    seen = copy.deepcopy(probe)
    if seen.get("root") is not True:
        return seen
    seen.update(root=False, denials=None, network=None, log=seen["log"] if log else None)
    for entry in (seen["pki"] or {}).get("files") or ():
        if entry["certificates"] is not None and str(entry["mode"])[-1:] == "0":
            entry.update(certificates=None, has_key=None, key_matches=None, error=DENIED)
            entry.pop("key_readable", None)
    if seen["pki"]:
        seen["pki"]["writable"] = None
    for key in ("kubeconfig", "bootstrap_kubeconfig"):
        if seen[key] and seen[key]["exists"]:
            kept = {name: seen[key].get(name) for name in ("path", "exists", "mode", "owner", "modified")}
            seen[key] = {**dict.fromkeys(seen[key]), **kept, "error": DENIED}
    if seen["kubelet"]:
        seen["kubelet"].update(binary_changed=None, exe=None, version=None)
    control = seen["control_plane"]
    if control:
        control.update(files=[], etcd=[], manager_kubeconfig=None, manager_log=None)
        for manifest in control["manifests"].values():
            manifest.update(flags=None, image=None)
    return seen


@pytest.mark.parametrize("log", [False, True], ids=["without the log", "with the log"])
@pytest.mark.parametrize("name", RUNS)
def test_no_cause_is_named_that_root_does_not_find(name: str, log: bool) -> None:
    run = {part: RUNS[name][part] for part in ("manifest", "cluster", "nodes")}
    whole = {node["name"]: node for node in t.cast("Data", diagnose_filter(run))["nodes"]}
    nodes = {host: hidden(probe, log) for host, probe in run["nodes"].items()}
    for node in t.cast("Data", diagnose_filter({**run, "nodes": nodes}))["nodes"]:
        known = {finding["rule"] for finding in whole[node["name"]]["findings"]}
        causes = {finding["rule"] for finding in node["findings"] if finding["role"] != "symptom"} - known
        assert {rule for rule in causes if not any((rule, other) in LESS_EXACT for other in known)} == set()
        if node["verdict"] == "healthy":
            assert whole[node["name"]]["verdict"] == "healthy"
            assert run["nodes"][node["host"]]["root"] is not True, "absent evidence is never healthy"
