# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an act is planned on, and when it is not planned: evidence of one node in, drafts out."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.acts import REGISTRY
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import CannotAct, Case, Draft
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import make_plan

Data = dict[str, t.Any]

PKI = "/var/lib/kubelet/pki"
NOW = "2026-06-01T00:00:00Z"
OLD, NEW = f"{PKI}/kubelet-client-2026-01-02-03-04-05.pem", f"{PKI}/kubelet-client-2026-02-02-03-04-05.pem"
CURRENT, UPDATED = f"{PKI}/kubelet-client-current.pem", f"{PKI}/kubelet-client-updated.pem"


def file(path: str, target: str | None = None, end: str = "2027-01-01T00:00:00Z", **more: t.Any) -> Data:
    """A file that holds a certificate of the node and its key, or a link to one."""
    leaf = {"not_before": "2026-01-01T00:00:00Z", "not_after": end, "common_name": "system:node:worker-7"}
    kind = "link" if target else "file"
    return {"path": path, "type": kind, "target": target, "certificates": [leaf], "key_matches": True, **more}


def drafts(act: str, rule: str, *files: Data, **evidence: t.Any) -> list[Draft]:
    """What an act is planned as on a node with these files."""
    probe = {"pki": {"path": PKI, "files": list(files), **evidence.pop("pki", {})}, **evidence}
    return REGISTRY[act].drafts(Case({"name": "worker-7"}, rule, probe, {}, NOW))


@pytest.mark.parametrize(
    "files",
    [
        [file(CURRENT, OLD), file(OLD), file(NEW)],
        [file(CURRENT)],
        [file(CURRENT, NEW), file(NEW), file(UPDATED)],
        [file(CURRENT, OLD, certificates=[]), file(NEW)],
    ],
    ids=["to an older one", "no link", "a file in the way", "to an empty one"],
)
def test_a_link_that_is_not_in_order_is_repaired(files: list[Data]) -> None:
    assert len(drafts("repair_link", "rotated-file-never-used", *files)) == 1


@pytest.mark.parametrize("target", [NEW, NEW.rsplit("/", 1)[-1], OLD])
def test_the_link_of_the_client_certificate_is_left_alone_where_it_is_in_order(target: str) -> None:
    """What is found may be about the serving certificate, which this act does not touch."""
    files = [file(CURRENT, target), *([file(NEW)] if target != OLD else [])]
    with pytest.raises(CannotAct, match="in order"):
        drafts("repair_link", "certificate-file-damaged", *files)


def test_no_link_without_a_valid_certificate() -> None:
    with pytest.raises(CannotAct, match="holds no certificate"):
        drafts("repair_link", "certificate-link-dangling", file(CURRENT, OLD, certificates=[]), file(OLD, end=NOW))


def history(client: int, serving: int = 0) -> Data:
    """What the probe says of so many dated files: the names of 5000 at most, without the newest three."""

    def kind(name: str, number: int) -> Data:
        names = [
            f"kubelet-{name}-2025-01-{n // 3600 + 1:02}-00-{n // 60 % 60:02}-{n % 60:02}.pem" for n in range(number)
        ]
        return {"files": number, "last_hour": 0, "oldest": names[:-3][:5000]}

    return {"history": {"client": kind("client", client), "serving": kind("server", serving)}}


def test_old_files_are_removed_but_not_one_that_is_pointed_to() -> None:
    first = "kubelet-client-2025-01-01-00-00-00.pem"
    (draft,) = drafts("free_space", "certificate-files-accumulate", file(CURRENT, first), pki=history(1500, 5))
    assert len(draft.parameters["remove"]) == 1500 - 3 - 1 + 2
    assert first not in draft.parameters["remove"]


@pytest.mark.parametrize(
    ("rule", "client", "serving", "reason"),
    [
        ("pki-file-system-full", 3, 2, "something else fills"),
        ("certificate-files-accumulate", 7000, 0, "more old certificate files"),
        ("certificate-files-accumulate", 4000, 4000, "more old certificate files"),
    ],
)
def test_files_that_would_not_help(rule: str, client: int, serving: int, reason: str) -> None:
    with pytest.raises(CannotAct, match=reason):
        drafts("free_space", rule, file(CURRENT, OLD), pki=history(client, serving))


def finding(rule: str, task: str, *explained_by: str) -> Data:
    """A finding whose rule names an act."""
    return {
        "rule": rule,
        "title": rule,
        "severity": "critical",
        "explained_by": list(explained_by),
        "fix": {"risk": "low", "task": task, "steps": []},
    }


def test_no_new_identity_where_the_link_is_repaired() -> None:
    """Both findings of an empty file beside one that is valid: the kubelet starts with that one, and is restarted for it."""
    probe = {
        "pki": {"path": PKI, "files": [file(CURRENT, OLD, certificates=[]), file(NEW)]},
        "bootstrap_kubeconfig": {"path": "/etc/kubernetes/bootstrap-kubelet.conf"},
        "kubeconfig": {"path": "/etc/kubernetes/kubelet.conf", "server": "https://api:6443"},
        "kubelet": {"unit": {"name": "kubelet.service"}},
    }
    ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    evidence = {"nodes": {"worker-7": probe}, "cluster": {"control_plane_info": {"cluster_ca": {"pem": ca}}}}
    symptom = finding("client-certificate-expired-no-bootstrap", "rebootstrap", "certificate-file-empty")
    findings = [finding("certificate-file-empty", "repair_link"), symptom]
    node = {"name": "worker-7", "host": "worker-7", "findings": findings}
    plan = make_plan(evidence, {"now": NOW, "nodes": [node]})
    assert [step["act"] for step in plan["steps"]] == ["repair_link", "restart_kubelet"]
    assert [answer["rule"] for answer in plan["steps"][0]["answers"]] == [found["rule"] for found in findings]
    assert [
        s["act"]
        for s in make_plan(evidence, {"now": NOW, "nodes": [{**node, "findings": [finding("x", "rebootstrap")]}]})[
            "steps"
        ]
    ] == ["rebootstrap"]
