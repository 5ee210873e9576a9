# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes a plan of a diagnosis."""

from __future__ import annotations

DOCUMENTATION = r"""
name: remediation_plan
short_description: Makes a plan that mends what a diagnosis found
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Takes evidence and the diagnosis that was made of it, and returns ordered steps, each bound to what was seen, and procedures for what no task should do.
  - It is pure, with no connection to anything and no clock, and changes nothing.
  - The plan holds no secrets.
options:
  _input:
    description: The evidence, as P(kubecare.kubelet_certs.evidence#lookup) reads it from a run folder.
    type: dict
    required: true
  diagnosis:
    description: The diagnosis of it, as P(kubecare.kubelet_certs.diagnose#filter) returns it.
    type: dict
    required: true
  made_at:
    description: The time that the plan says it was made at, in RFC 3339. By default the time that was judged at.
    type: str
  acts:
    description: Acts that may be planned, by default all. What needs another one becomes a procedure.
    type: list
    elements: str
  max_risk:
    description: Acts of a higher risk become procedures.
    type: str
    choices: [low, medium, high]
    default: medium
seealso:
  - plugin: kubecare.kubelet_certs.checked_plan
    plugin_type: lookup
  - plugin: kubecare.kubelet_certs.diagnose
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Plan, from a run folder
  ansible.builtin.set_fact:
    plan: "{{ evidence | kubecare.kubelet_certs.remediation_plan(diagnosis) }}"
  vars:
    evidence: "{{ lookup('kubecare.kubelet_certs.evidence', run_dir) }}"
    diagnosis: "{{ evidence | kubecare.kubelet_certs.diagnose }}"

- name: Plan only what restores bindings
  ansible.builtin.debug:
    msg: "{{ evidence | kubecare.kubelet_certs.remediation_plan(diagnosis, acts=['restore_rbac'], max_risk='low') }}"
"""

RETURN = r"""
_value:
  description: The plan, as C(docs/remediation.md) of the collection describes it.
  type: dict
  sample:
    schema: kubecare.kubelet_certs/plan/1
    steps: [{id: "restore_rbac:kubeadm:node-autoapprove-certificate-rotation", act: restore_rbac, risk: low}]
    procedures: []
"""

import json
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import ACTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import make_plan

NAME = "kubecare.kubelet_certs.remediation_plan"


def remediation_plan(
    evidence: t.Any,
    diagnosis: t.Any,
    made_at: str | None = None,
    acts: t.Sequence[str] | None = None,
    max_risk: str = "medium",
) -> dict[str, t.Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError naming what is wrong."""
    if not isinstance(evidence, Mapping) or not isinstance(diagnosis, Mapping):
        raise AnsibleFilterError(f"{NAME}: evidence and diagnosis are mappings")
    try:
        return make_plan(
            json.loads(json.dumps(evidence, default=str)),
            json.loads(json.dumps(diagnosis, default=str)),
            made_at=str(made_at) if made_at else None,
            acts=[str(act) for act in acts] if acts else ACTS,
            max_risk=str(max_risk),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise AnsibleFilterError(f"{NAME}: {error}") from error


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"remediation_plan": remediation_plan}
