# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter diagnose: its words for wrong input."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import FilterModule

diagnose = FilterModule().filters()["diagnose"]


@pytest.mark.parametrize(
    ("evidence", "options", "message"),
    [
        ("text", {}, "the evidence is a mapping, not str"),
        ({}, {}, "carries no time of collection"),
        ({}, {"now": "tomorrow"}, "tomorrow"),
        ({}, {"now": "2026-11-23T20:00:00Z", "rule_dirs": ["/nowhere"]}, "rule folder '/nowhere' cannot be read"),
        ({}, {"now": "2026-11-23T20:00:00Z", "rule_overrides": {"x": {}}}, "there is no rule 'x'"),
    ],
)
def test_wrong_input_is_named(evidence: t.Any, options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message) as caught:
        diagnose(evidence, **options)
    assert "kubecare.kubelet_certs.diagnose" in str(caught.value)


def test_a_rule_of_the_users_own_is_applied(tmp_path: t.Any) -> None:
    (tmp_path / "my-rule.yml").write_text(
        "{id: my-rule, title: T, stage: kubelet, severity: warning, when: 'node.name == `\"n\"`', shows: S, why: W,"
        " fix: {steps: [{text: X}], risk: low}}"
    )
    evidence = {"cluster": {"node_info": {"collected_at": "2026-11-23T20:00:00Z", "nodes": [{"name": "n"}]}}}
    (node,) = diagnose(evidence, rule_dirs=[str(tmp_path)])["nodes"]
    assert (node["verdict"], node["primary"]["rule"]) == ("at_risk", "my-rule")


def test_a_rule_of_the_users_own_may_not_take_the_id_of_a_shipped_one(tmp_path: t.Any) -> None:
    (tmp_path / "csr-pending.yml").write_text(
        "{id: csr-pending, title: T, stage: kubelet, severity: warning, when: 'a', shows: S, why: W,"
        " fix: {steps: [{text: X}], risk: low}}"
    )
    with pytest.raises(AnsibleFilterError, match="there is a rule 'csr-pending' already"):
        diagnose({}, now="2026-11-23T20:00:00Z", rule_dirs=[str(tmp_path)])
