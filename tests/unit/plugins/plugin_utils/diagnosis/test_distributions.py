# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every distribution from constructed evidence: recognised, judged by who rotates there, and given the remedy that fits it."""

from __future__ import annotations

import copy
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.distribution_files import (
    DistributionError,
    built_in_distributions,
    parse_distribution,
    read_distribution,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.distribution import (
    _renewal_days,
)

from .evidence_builder import NODE, Data, changed
from .layouts import LAYOUTS

TABLE = [
    # layout, distribution, who rotates, verdict, restart, how many proofs at least
    ("kubeadm", "kubeadm", "kubelet", "healthy", "systemctl restart kubelet", 2),
    ("kubespray", "kubespray", "kubelet", "healthy", "systemctl restart kubelet", 2),
    ("k3s", "k3s", "supervisor", "healthy", "systemctl restart k3s-agent", 5),
    ("k3s-data-dir", "k3s", "supervisor", "healthy", "systemctl restart k3s", 3),
    ("rke2", "rke2", "supervisor", "healthy", "systemctl restart rke2-agent", 5),
    ("microk8s", "microk8s", "nobody", "healthy", "snap restart microk8s.daemon-kubelite", 4),
    ("microk8s-token", "microk8s", "nobody", "healthy", "snap restart microk8s.daemon-kubelite", 4),
    ("k0s", "k0s", "kubelet", "healthy", "systemctl restart k0sworker", 4),
    ("kops", "kops", "installer", "healthy", "systemctl restart kubelet", 3),
    ("openshift", "openshift", "kubelet", "healthy", "systemctl restart kubelet", 4),
    ("eks", "eks", "iam", "healthy", "systemctl restart kubelet", 3),
    ("bottlerocket", "bottlerocket", None, "unknown", None, 1),
    ("aks", "aks", "kubelet", "healthy", "systemctl restart kubelet", 3),
    ("aks-old-path", "aks", "kubelet", "healthy", "systemctl restart kubelet", 2),
    ("gke", "gke", "kubelet", "healthy", "systemctl restart kubelet", 3),
    ("talos", "talos", "kubelet", "unknown", None, 1),
    ("by-hand", None, None, "healthy", "systemctl restart kubelet", 0),
]


def _judged(layout: str, **case: t.Any) -> Data:
    diagnosis = diagnose(changed({"layout": layout, **case}), built_in_rules())
    return t.cast("Data", next(node for node in diagnosis["nodes"] if node["name"] == NODE))


def test_the_table_has_every_layout_and_every_distribution() -> None:
    assert {row[0] for row in TABLE} == set(LAYOUTS)
    assert {row[1] for row in TABLE} - {None} == {distribution.name for distribution in built_in_distributions()}


@pytest.mark.parametrize(
    ("layout", "name", "rotates_by", "verdict", "restart", "proofs"), TABLE, ids=[r[0] for r in TABLE]
)
def test_recognised_and_judged(
    layout: str, name: str | None, rotates_by: str | None, verdict: str, restart: str | None, proofs: int
) -> None:
    node = _judged(layout)
    distribution = node["distribution"]
    assert distribution["name"] == name, distribution
    assert len(distribution["evidence"]) >= proofs
    assert all(line["text"] and line["source"] in ("node_info", "node_probe") for line in distribution["evidence"])
    if rotates_by:
        assert distribution["rotates_by"] == rotates_by
    assert node["verdict"] == verdict, node["findings"]
    assert node["primary"] is None
    if restart:
        wrong_clock = _judged(layout, set={"nodes/worker-1/clock/offset_seconds": 7200})
        assert restart in [step["command"] for step in wrong_clock["primary"]["fix"]["steps"]]


@pytest.mark.parametrize("layout", [row[0] for row in TABLE if row[2] in ("supervisor", "nobody", "installer", "iam")])
def test_rules_about_the_kubelets_own_rotation_do_not_fire_where_another_rotates(layout: str) -> None:
    reviews = {
        f"cluster/rbac_info/reviews/{name}/allowed": False
        for name in ("node_selfnodeclient", "node_create_csr", "bootstrap_nodeclient")
    }
    for used in (30, 85, 95, 101):
        node = _judged(layout, client_used=used, set=reviews)
        found = {finding["rule"] for finding in node["findings"]}
        assert not found & {
            "rotation-disabled",
            "rotation-overdue",
            "kubeconfig-embedded-certificate",
            "client-certificate-expired-no-bootstrap",
            "auto-approval-binding-missing",
            "bootstrap-approval-binding-missing",
            "csr-create-forbidden",
        }, (used, found)
        assert not {entry["rule"] for entry in node["skipped"]} & {"rotation-disabled", "rotation-overdue"}


def test_serving_csrs_of_eks_are_judged() -> None:
    node = _judged(
        "eks",
        csrs=[{"signer": "serving", "age": 600}],
        set={"cluster/rbac_info/reviews/node_selfnodeclient/allowed": False},
    )
    assert node["primary"]["rule"] == "serving-csr-not-approved"
    assert "aws eks" in node["primary"]["fix"]["steps"][0]["command"]


@pytest.mark.parametrize(
    ("layout", "command"),
    [
        ("kubeadm", "kubeadm token create"),
        ("k3s", "k3s certificate check"),
        ("openshift", "oc get csr"),
        ("aks", "az aks nodepool list"),
        ("gke", "gcloud compute instances describe worker-1"),
        ("k0s", "k0s token create"),
        ("kops", "kops rolling-update"),
        ("microk8s", "microk8s refresh-certs"),
    ],
)
def test_an_expired_certificate_is_mended_as_the_distribution_does(layout: str, command: str) -> None:
    node = _judged(layout, client_used=101)
    commands = [step["command"] or "" for finding in node["findings"] for step in finding["fix"]["steps"]]
    assert node["verdict"] == "expired"
    assert any(text.startswith(command) for text in commands), commands
    assert layout == "kubeadm" or not any("kubeadm" in text for text in commands)


def test_two_that_fit_equally_are_none() -> None:
    labels = {"cloud.google.com/gke-nodepool": "a", "kubernetes.azure.com/agentpool": "b"}
    evidence = changed({"layout": "by-hand"})
    next(n for n in evidence["cluster"]["node_info"]["nodes"] if n["name"] == NODE)["labels"] = labels
    node = next(n for n in diagnose(evidence, built_in_rules())["nodes"] if n["name"] == NODE)
    assert node["distribution"]["name"] is None
    assert len(node["distribution"]["evidence"]) == 2


def test_a_kubelet_that_rotates_comes_before_what_is_usual() -> None:
    node = _judged("microk8s", set={"nodes/worker-1/kubelet/flags": {"rotate-certificates": "true"}}, client_used=95)
    assert node["distribution"]["rotates_by"] == "kubelet"
    assert "rotation-overdue" in {finding["rule"] for finding in node["findings"]}


def test_a_hostile_unit_name_is_no_command() -> None:
    evidence = changed({"layout": "k3s"})
    evidence["nodes"][NODE]["kubelet"]["unit"].update(name="x; rm -rf /", active_state="inactive", sub_state="dead")
    evidence["nodes"][NODE]["kubelet"]["pid"] = None
    node = next(n for n in diagnose(evidence, built_in_rules())["nodes"] if n["name"] == NODE)
    for finding in node["findings"]:
        assert "rm -rf" not in " ".join(step["command"] or "" for step in finding["fix"]["steps"])


@pytest.mark.parametrize(
    ("version", "days"),
    [
        ("v1.28.15+k3s1", 90), ("v1.30.12+k3s1", 90), ("v1.30.13+k3s1", 120), ("v1.32.4+rke2r1", 90), ("v1.32.5+rke2r1", 120),
        ("v1.33.0+k3s1", 90), ("v1.34.1+k3s1", 120), ("v1.37.2+k3s1", 120), (None, 90), ("junk", 90),
    ],
)  # fmt: skip
def test_the_window_of_renewal_by_version(version: str | None, days: int) -> None:
    for name in ("k3s", "rke2"):
        distribution = next(d for d in built_in_distributions() if d.name == name)
        assert _renewal_days(distribution, version) == days


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotates_by": "magic"}, "rotates_by"),
        ({"csrs": "some"}, "csrs"),
        ({"titel": "x"}, "unknown keys"),
        ({"title": ""}, "missing keys"),
        ({"recognised_by": [{"when": "a"}]}, "recognised_by"),
        ({"recognised_by": [{"when": "a ==", "proof": "x", "source": "y"}]}, "JMESPath"),
        ({"remedies": {"renew": {"risk": "none", "steps": []}}}, "risk"),
        ({"remedies": {"later": {"risk": "low", "steps": []}}}, "remedies are for"),
        ({"remedies": {"renew": {"risk": "low", "steps": [{"command": "x"}]}}}, "has a text"),
        ({"commands": {"stop": "x"}}, "commands are"),
        ({"rotates_by": "supervisor"}, "renews_within"),
    ],
)
def test_a_wrong_file_is_refused(change: Data, message: str) -> None:
    data = {"name": "x", "title": "X", "recognised_by": [{"when": "a", "proof": "x", "source": "y"}], "rotates_by": "kubelet",
            "csrs": "all", "approves_client_by": "x", "approves_serving_by": "x", "unit": "x", "log": "x", "paths": {"a": "b"},
            "sources": ["https://example.com"]}  # fmt: skip
    parse_distribution(copy.deepcopy(data))
    with pytest.raises(DistributionError, match=message):
        parse_distribution({**data, **change})


def test_the_files_name_is_the_distributions(tmp_path: t.Any) -> None:
    path = tmp_path / "y.yml"
    path.write_text(yaml.safe_dump({"name": "x"}))
    with pytest.raises(DistributionError, match=r"y\.yml"):
        read_distribution(str(path))
