# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that checks a plan from outside."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checked_plan
short_description: Refuses a remediation plan that is not exactly what one may be
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Takes a plan as untrusted input, from a file or another job's artifact, and returns it, made anew of what was checked.
  - Fails naming the path in the plan and what is wrong there. Nothing is corrected.
options:
  _input:
    description: The plan, as a dictionary or as JSON text.
    type: raw
    required: true
  hosts:
    description: The hosts of the inventory. A step for any other is refused.
    type: list
    elements: str
    required: true
  evidence:
    description: What was collected now. A plan that takes a control plane of it for a worker is refused, as it would be one of a batch.
    type: dict
"""

EXAMPLES = r"""
- name: Take up a plan that was approved
  ansible.builtin.set_fact:
    plan: "{{ lookup('ansible.builtin.file', 'plan.json') | kubecare.kubelet_certs.checked_plan(groups['all']) }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
"""

import json
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import PlanError, check_plan
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import control_planes_of

NAME = "kubecare.kubelet_certs.checked_plan"
MAX_TEXT = 32 * 1024 * 1024


def checked_plan(
    plan: t.Any, hosts: t.Sequence[str], evidence: t.Mapping[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError naming the path that is wrong."""
    try:
        text = plan if isinstance(plan, str) else json.dumps(plan) if isinstance(plan, Mapping) else "null"
        if len(text) > MAX_TEXT:
            raise AnsibleFilterError(f"{NAME}: the plan is larger than 32 MiB")
        return check_plan(
            json.loads(text), frozenset(str(host) for host in hosts), control_planes_of(dict(evidence or {}))
        )
    except PlanError as error:
        raise AnsibleFilterError(f"{NAME}: the plan is refused: {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise AnsibleFilterError(f"{NAME}: the plan is no JSON of a sane shape") from error


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"checked_plan": checked_plan}
