# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans from outside: one that is right is taken, everything else is refused with the path of what is wrong."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible_collections.kubecare.kubelet_certs.plugins.lookup.checked_plan import checked_plan
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.acts import REGISTRY
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import (
    BOUND_TO,
    PARAMETERS,
    PlanError,
    check_plan,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import ACTS

Data = dict[str, t.Any]

HOSTS = ["worker-7", "cp1"]
UID = "3f0c1b5e-6d0c-4c57-8a0e-6b1f0f2f9a11"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def step(act: str, parameters: Data, bound_to: Data, **more: t.Any) -> Data:
    of_node = REGISTRY[act].module == "node_repair"
    return {
        "id": f"{act}:worker-7",
        "act": act,
        "module": REGISTRY[act].module,
        "node": "worker-7",
        "host": "worker-7" if of_node else None,
        "control_plane": False,
        "answers": [{"node": "worker-7", "rule": "rotation-disabled", "title": "Rotation is off"}],
        "risk": REGISTRY[act].risk,
        "title": "…",
        "commands": [],
        "changes": [],
        "needs": [],
        "parameters": parameters,
        "bound_to": bound_to,
        "verified_by": "…",
        **more,
    }


def plan() -> Data:
    """Steps: 0 of the node, 1 a request, 2 the CA, 3 files, 4 stale requests, 5 RBAC, 6 a new identity."""
    places = {"node": "worker-7", "pki_path": "/var/lib/kubelet/pki", "kubeconfig": "/etc/kubernetes/kubelet.conf"}
    bound = {"certificate_sha256": "a" * 64, "files": {"/var/lib/kubelet/config.yaml": None}}
    role = "kubeadm:node-autoapprove-bootstrap"
    return {
        "schema": "kubecare.kubelet_certs/plan/1",
        "made_at": "2026-11-25T07:00:00Z",
        "evidence_at": "2026-11-25T07:00:00Z",
        "cluster": {"api_url": "https://api:6443", "version": None},
        "nodes": [{"name": "worker-7", "host": "worker-7", "control_plane": False}],
        "steps": [
            step("enable_rotation", {**places, "kubelet_config": "/var/lib/kubelet/config.yaml", "unit": "kubelet"}, bound),
            step(
                "approve_csr",
                {"name": "csr-1", "node": "worker-7", "signer_name": "kubernetes.io/kubelet-serving"},
                {"uid": UID, "request_sha256": "b" * 64},
            ),
            step("refresh_ca", {**places, "unit": "kubelet", "ca_pem": CA}, bound),
            step("free_space", {**places, "remove": ["kubelet-client-2026-01-02-03-04-05.pem"]}, bound),
            step("delete_csrs", {"names": ["csr-2"]}, {"uids": {"csr-2": UID}}),
            step("restore_rbac", {"objects": [role]}, {"resource_versions": {role: None}}),
            step(
                "rebootstrap",
                {
                    **places,
                    "unit": "kubelet.service",
                    "bootstrap_kubeconfig": "/etc/kubernetes/bootstrap-kubelet.conf",
                    "server": "https://rancher.example/k8s/clusters/c-m-1",
                    "ca_pem": CA,
                },
                bound,
            ),
        ],
        "procedures": [
            {"rule": "signing-ca-expired", "title": "…", "nodes": ["worker-7"], "risk": "high", "why": "…", "steps": [{"text": "…", "command": None}]}
        ],
    }  # fmt: skip


def test_a_plan_that_is_right_is_taken() -> None:
    assert check_plan(plan(), HOSTS) == plan()
    assert checked_plan(json.dumps(plan()), HOSTS) == plan()


def test_every_act_has_its_shapes() -> None:
    assert set(REGISTRY) == set(ACTS) == set(PARAMETERS) == set(BOUND_TO)


HOSTILE: list[tuple[str, t.Any, str]] = [
    ("schema", "kubecare.kubelet_certs/plan/2", "schema"),
    ("extra", 1, "a key that is not known"),
    ("made_at", "yesterday", "made_at"),
    ("nodes.0.host", "elsewhere", "nodes[0].host"),
    ("nodes.0.name", "Worker_7", "nodes[0].name"),
    ("steps", {}, "steps"),
    ("steps.0.act", "run_shell", "steps[0].act"),
    ("steps.0.module", "ansible.builtin.shell", "steps[0].module"),
    ("steps.0.module", "cluster_repair", "steps[0].module"),
    ("steps.0.host", "localhost", "steps[0].host"),
    ("steps.0.host", None, "steps[0].node"),
    ("steps.0.node", "worker-8", "steps[0].parameters.node"),
    ("steps.0.node", "a" * 254, "steps[0].node"),
    ("steps.0.title", "{{ lookup('pipe', 'id') }}", "steps[0].title"),
    ("steps.0.title", "{% raw %}", "steps[0].title"),
    ("steps.0.title", "\x1b[2J", "steps[0].title"),
    ("steps.0.title", "\u202e", "steps[0].title"),
    ("steps.0.title", "a" * 5000, "steps[0].title"),
    ("steps.0.title", 7, "steps[0].title"),
    ("steps.0.risk", "none", "steps[0].risk"),
    ("steps.2.risk", "low", "steps[2].risk"),
    ("steps.0.control_plane", "no", "steps[0].control_plane"),
    ("steps.0.answers", [], "steps[0].answers"),
    ("steps.0.answers.0.rule", "../x", "steps[0].answers[0].rule"),
    ("steps.0.commands", "rm -rf /", "steps[0].commands"),
    ("steps.0.parameters.kubelet_config", "/etc/shadow", "steps[0].parameters.kubelet_config"),
    ("steps.0.parameters.kubelet_config", "/var/lib/kubelet/../../etc/shadow", "steps[0].parameters.kubelet_config"),
    ("steps.0.parameters.kubelet_config", "var/lib/kubelet/config.yaml", "steps[0].parameters.kubelet_config"),
    ("steps.0.parameters.kubelet_config", "/var/lib/kubelet/$(id)", "steps[0].parameters.kubelet_config"),
    ("steps.0.parameters.kubelet_config", "/var/lib/kubelet/a\nb", "steps[0].parameters.kubelet_config"),
    ("steps.0.parameters.pki_path", "/var/lib/kubelet", "steps[0].parameters.pki_path"),
    ("steps.0.parameters.pki_path", "/var/lib/kubelet-evil/pki", "steps[0].parameters.pki_path"),
    ("steps.0.parameters.unit", "sshd; reboot", "steps[0].parameters.unit"),
    ("steps.0.parameters.bootstrap_token", "abcdef.0123456789abcdef", "steps[0].parameters"),
    ("steps.0.bound_to", {}, "steps[0].bound_to"),
    ("steps.0.bound_to.certificate_sha256", "A" * 64, "steps[0].bound_to.certificate_sha256"),
    ("steps.0.bound_to.files", {"/etc/passwd": None}, "steps[0].bound_to.files"),
    ("steps.1.id", "enable_rotation:worker-7", "steps[1].id"),
    ("steps.1.host", "worker-7", "steps[1].host"),
    ("steps.1.parameters.signer_name", "kubernetes.io/kube-apiserver-client", "steps[1].parameters.signer_name"),
    ("steps.1.parameters.node", "cp1", "steps[1].parameters.node"),
    ("steps.1.bound_to.uid", "any", "steps[1].bound_to.uid"),
    ("steps.1.bound_to.request_sha256", None, "steps[1].bound_to.request_sha256"),
    ("steps.2.parameters.ca_pem", CA + "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "steps[2].parameters.ca_pem"),
    ("steps.2.parameters.ca_pem", "", "steps[2].parameters.ca_pem"),
    ("steps.3.parameters.remove", ["kubelet-client-current.pem"], "steps[3].parameters.remove[0]"),
    ("steps.3.parameters.remove", ["../kubelet-client-2026-01-02-03-04-05.pem"], "steps[3].parameters.remove[0]"),
    ("steps.3.parameters.remove", [], "steps[3].parameters.remove"),
    ("steps.3.parameters.remove", ["kubelet-client-2026-01-02-03-04-05.pem"] * 2, "steps[3].parameters.remove"),
    ("steps.4.parameters.names", ["csr-2", "csr-3"], "steps[4].bound_to.uids"),
    ("steps.5.parameters.objects", ["cluster-admin"], "steps[5].parameters.objects[0]"),
    ("steps.5.bound_to.resource_versions", {"kubeadm:kubelet-bootstrap": None}, "steps[5].bound_to.resource_versions"),
    ("steps.6.parameters.server", "http://api:6443", "steps[6].parameters.server"),
    ("steps.6.parameters.server", "https://user:word@api:6443", "steps[6].parameters.server"),
    ("steps.6.parameters.server", "https://api:6443/a b", "steps[6].parameters.server"),
    ("procedures.0.steps.0.shell", "id", "procedures[0].steps[0]"),
    ("procedures.0.nodes", ["worker 7"], "procedures[0].nodes[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "named"), HOSTILE, ids=[f"{p}={str(v)[:30]!r}" for p, v, _n in HOSTILE])
def test_what_is_wrong_is_refused_by_its_path(path: str, value: t.Any, named: str) -> None:
    changed = copy.deepcopy(plan())
    place: t.Any = changed
    *way, last = path.split(".")
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    with pytest.raises(PlanError) as refused:
        check_plan(changed, HOSTS)
    assert named in str(refused.value)


@pytest.mark.parametrize("data", [None, [], "", "{", "null", "[" * 100000, 7, {}, {"steps": []}])
def test_what_is_no_plan_is_refused_without_a_traceback(data: t.Any) -> None:
    with pytest.raises(AnsibleError, match="checked_plan: the plan"):
        checked_plan(data, HOSTS)
