# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that judges evidence."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnose
short_description: Judges the evidence of a run and names the first broken stage and its cause for every node
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Takes the evidence that the collection's modules saw, applies the rules to it, and returns the diagnosis.
  - It is pure, with no connection to anything and no clock. The same evidence, rules and O(now) always give the same diagnosis.
  - What was not seen is unknown. A rule that needs it is skipped and says what it missed.
requirements:
  - jmespath
options:
  _input:
    description: The evidence, as P(kubecare.kubelet_certs.evidence#lookup) reads it from a run folder.
    type: dict
    required: true
  now:
    description: The time to judge at, in RFC 3339. By default the latest time of collection in the evidence.
    type: str
  rule_dirs:
    description: Folders with rules of your own, one YAML file a rule, read besides the collection's.
    type: list
    elements: path
    default: []
  rule_overrides:
    description:
      - Changes to rules by their id. Each sets C(severity) to V(critical), V(warning) or V(info), or C(exclude) to V(true), and gives a C(reason).
    type: dict
    default: {}
  only_hosts:
    description: Judge only the nodes that an inventory host was matched to.
    type: bool
    default: false
  pool_label:
    description: A label of nodes that names their pool. It goes before those that providers give.
    type: str
"""

EXAMPLES = r"""
- name: Judge a run folder again
  ansible.builtin.set_fact:
    diagnosis: "{{ lookup('kubecare.kubelet_certs.evidence', run_dir) | kubecare.kubelet_certs.diagnose }}"

- name: Judge it as of last night, with a team's own rules, and without one that does not apply here
  ansible.builtin.set_fact:
    diagnosis: >-
      {{ lookup('kubecare.kubelet_certs.evidence', run_dir)
         | kubecare.kubelet_certs.diagnose(now='2026-11-23T02:00:00Z', rule_dirs=['/etc/kubelet-certs/rules'],
                                           rule_overrides={'serving-csr-not-approved': {'exclude': true, 'reason': 'no logs or exec needed'}}) }}

- name: Stop when a node has expired
  ansible.builtin.assert:
    that: (evidence | kubecare.kubelet_certs.diagnose).fleet.verdicts.expired == 0
"""

RETURN = r"""
_value:
  description: The diagnosis, with C(cluster), C(fleet) and C(nodes), as C(docs/diagnosis.md) of the collection describes it.
  type: dict
  sample:
    schema: kubecare.kubelet_certs/diagnosis/1
    now: '2026-11-23T20:05:00Z'
    fleet: {nodes: 3, verdicts: {healthy: 2, at_risk: 0, failing: 1, expired: 0, unknown: 0}}
"""

import json
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import JMESPATH_IMPORT_ERROR
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import RuleError, chosen_rules

NAME = "kubecare.kubelet_certs.diagnose"


def diagnose_filter(
    evidence: t.Any,
    now: str | None = None,
    rule_dirs: t.Sequence[str] = (),
    rule_overrides: t.Mapping[str, t.Any] | None = None,
    only_hosts: bool = False,
    pool_label: str | None = None,
) -> dict[str, t.Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError naming the input or option that is wrong."""
    if JMESPATH_IMPORT_ERROR:
        raise AnsibleFilterError(f"{NAME}: the Python library jmespath is needed on the control node")
    if not isinstance(evidence, Mapping):
        raise AnsibleFilterError(f"{NAME}: the evidence is a mapping, not {type(evidence).__name__}")
    try:
        rules = chosen_rules(rule_dirs, rule_overrides)
        return diagnose(
            _plain(evidence), rules, now=str(now) if now else None, only_hosts=only_hosts, pool_label=pool_label
        )
    except (RuleError, ValueError) as error:
        raise AnsibleFilterError(f"{NAME}: {error}") from error


def _plain(evidence: t.Mapping[str, t.Any]) -> t.Any:
    """The evidence without Ansible's own string and container types, which JMESPath does not take for text and objects."""
    try:
        return json.loads(json.dumps(evidence, default=str))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the evidence is not JSON: {error}") from error


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"diagnose": diagnose_filter}
