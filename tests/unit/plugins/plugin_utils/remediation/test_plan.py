# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the steps of a plan are bound to, and what they need besides. Which acts answer what is seen in ``tests/recorded/test_plan.py``."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import BOOTSTRAP_GROUP
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.acts import REGISTRY
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import CannotAct, Case
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import (
    BOUND_TO,
    PARAMETERS,
    _keys,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import make_plan
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.diagnosis.evidence_builder import (
    NODE,
    NOW,
    changed,
)

Data = dict[str, t.Any]

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CONFIG, KUBECONFIG, CA_FILE = (
    "/var/lib/kubelet/config.yaml",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/pki/ca.crt",
)
BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
LINK = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def older() -> Data:
    """Evidence of a healthy cluster, but for a link that a rotation left in the way, without a digest of any file."""
    made = changed({})
    left = {"path": LINK.replace("current", "updated"), "type": "link", "target": LINK, "exists": True}
    made["nodes"][NODE]["pki"]["files"].append(left)
    made["cluster"]["control_plane_info"]["cluster_ca"]["pem"] = CA
    made["nodes"][NODE]["client_ca_file"] = {"path": CA_FILE, "exists": True}
    return made


def evidence() -> Data:
    """The same with the digests."""
    made = older()
    probe = made["nodes"][NODE]
    probe["kubeconfig"]["sha256"] = "a" * 64
    probe["config"]["layers"][0]["sha256"] = "b" * 64
    probe["client_ca_file"]["sha256"] = "c" * 64
    for entry in probe["pki"]["files"]:
        if entry["path"] == LINK:
            entry["sha256"] = "d" * 64
    return made


def expired() -> Data:
    """The same, with no certificate of the node that is valid and a place for a bootstrap kubeconfig."""
    made = evidence()
    probe = made["nodes"][NODE]
    probe["bootstrap_kubeconfig"] = {"path": BOOTSTRAP, "exists": False, "sha256": None}
    for entry in probe["pki"]["files"]:
        entry["key_matches"] = None
    for name in ("bootstrap_create_csr", "bootstrap_nodeclient"):
        review = {"allowed": True, "groups": ["system:bootstrappers", BOOTSTRAP_GROUP]}
        made["cluster"]["rbac_info"]["reviews"][name] = review
    return made


def case(made: Data, rule: str = "some-rule") -> Case:
    """The worker with this finding."""
    return Case({"name": NODE, "host": NODE}, rule, made["nodes"][NODE], made["cluster"], NOW)


def draft(act: str, made: Data, rule: str = "some-rule") -> t.Any:
    """The act's step; what it is made of passes the check of a plan."""
    (found,) = REGISTRY[act].drafts(case(made, rule))
    _keys(found.parameters, "parameters", PARAMETERS[act])
    _keys(found.bound_to, "bound_to", BOUND_TO[act])
    return found


FILES = [
    ("enable_rotation", {CONFIG: "b" * 64}),
    ("use_rotating_kubeconfig", {KUBECONFIG: "a" * 64}),
    ("refresh_ca", {CA_FILE: "c" * 64, KUBECONFIG: "a" * 64}),
    ("repair_link", {LINK: "d" * 64}),
]


@pytest.mark.parametrize(("act", "files"), FILES, ids=[act for act, _files in FILES])
def test_an_act_is_bound_to_the_files_that_it_writes(act: str, files: Data) -> None:
    made = evidence()
    assert draft(act, made).bound_to["files"] == files
    assert draft(act, made).needs == ()


@pytest.mark.parametrize(("act", "files"), FILES, ids=[act for act, _files in FILES])
def test_evidence_of_an_older_run_binds_to_no_file_and_the_step_says_so(act: str, files: Data) -> None:
    step = draft(act, older())
    assert step.bound_to["files"] == {}
    assert step.bound_to["certificate_sha256"]
    assert [path for path in files if not any(path in need for need in step.needs)] == []
    assert len(step.needs) == len(files)


def test_a_drop_in_that_says_it_last_is_what_is_bound_to() -> None:
    made = evidence()
    drop_in = "/etc/kubernetes/kubelet.conf.d/90.conf"
    layer = {"path": drop_in, "rotate_certificates": False, "sha256": "e" * 64}
    made["nodes"][NODE]["config"]["layers"].append(layer)
    assert draft("enable_rotation", made).bound_to["files"] == {drop_in: "e" * 64}


def test_a_file_that_is_not_there_must_not_be_there_later() -> None:
    made = evidence()
    made["nodes"][NODE]["client_ca_file"].update(exists=False, sha256=None)
    assert draft("refresh_ca", made).bound_to["files"][CA_FILE] is None
    (link,) = [entry for entry in made["nodes"][NODE]["pki"]["files"] if entry["path"] == LINK]
    del link["sha256"]
    link.update(target_exists=False, certificates=[], key_matches=None)
    made["nodes"][NODE]["bootstrap_kubeconfig"] = {"path": BOOTSTRAP, "exists": False, "sha256": None}
    assert draft("rebootstrap", made).bound_to["files"] == {KUBECONFIG: "a" * 64, BOOTSTRAP: None}


@pytest.mark.parametrize("digest", [7, ["a" * 64], {}, None, "", "A" * 64, "x"])
def test_a_digest_of_another_form_binds_to_nothing(digest: t.Any) -> None:
    made = evidence()
    made["nodes"][NODE]["kubeconfig"]["sha256"] = digest
    step = draft("use_rotating_kubeconfig", made)
    assert step.bound_to["files"] == {}
    assert len(step.needs) == 1


@pytest.mark.parametrize("review", ["bootstrap_create_csr", "bootstrap_nodeclient"])
def test_no_new_identity_where_a_token_does_not_bring_one(review: str) -> None:
    made = expired()
    reviews = made["cluster"]["rbac_info"]["reviews"]
    assert draft("rebootstrap", made).needs == ()
    reviews[review]["allowed"] = False
    with pytest.raises(CannotAct, match=r"does not let a node .* by hand"):
        draft("rebootstrap", made)
    reviews[review]["allowed"] = None
    assert "which was not seen" in draft("rebootstrap", made).needs[0]
    reviews[review].update(allowed=False, groups=["system:bootstrappers"])
    assert "which was not seen" in draft("rebootstrap", made).needs[0]
    made["cluster"]["rbac_info"]["reviews"] = None
    assert len(draft("rebootstrap", made).needs) == 2


def diagnosis(*findings: tuple[str, list[str], list[str]]) -> Data:
    """The worker's diagnosis; a finding: the rule, the acts that mend it, what it is explained by."""
    found = [
        {
            "rule": rule,
            "severity": "critical",
            "title": rule,
            "explained_by": behind,
            "fix": {"task": acts, "risk": "medium", "steps": [{"text": "…"}]},
        }
        for rule, acts, behind in findings
    ]
    return {"now": NOW, "nodes": [{"name": NODE, "host": NODE, "distribution": None, "findings": found}], "cluster": {}}


EXPIRED = ("client-certificate-expired", ["rebootstrap"], [])
UNBOUND = ("bootstrap-approval-binding-missing", ["restore_rbac"], [])


def test_a_node_whose_request_nothing_approves_is_left_to_people() -> None:
    made = expired()
    made["cluster"]["rbac_info"]["reviews"]["bootstrap_nodeclient"]["allowed"] = False
    plan = make_plan(made, diagnosis(EXPIRED))
    assert plan["steps"] == []
    (procedure,) = plan["procedures"]
    assert procedure["rule"] == EXPIRED[0]
    assert "kubeadm:node-autoapprove-bootstrap" in procedure["why"]


def test_a_new_identity_after_the_binding_that_the_plan_restores() -> None:
    made = expired()
    made["cluster"]["rbac_info"]["reviews"]["bootstrap_nodeclient"]["allowed"] = False
    for behind in ([], [UNBOUND[0]]):
        plan = make_plan(made, diagnosis((*EXPIRED[:2], behind), UNBOUND))
        assert [step["id"] for step in plan["steps"]] == [
            "restore_rbac:kubeadm:node-autoapprove-bootstrap",
            f"rebootstrap:{NODE}",
        ]
    plan = make_plan(made, diagnosis(EXPIRED, UNBOUND), acts=["rebootstrap"])
    assert plan["steps"] == []
