# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that says what a plan has not healed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unhealed
short_description: Says which nodes of a plan a later diagnosis does not find healed
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - A node is healed when it is healthy, or at risk of something else, and none of the findings that the plan's steps answer is left.
options:
  _input:
    description: The later diagnosis.
    type: dict
    required: true
  plan:
    description: The plan.
    type: dict
    required: true
  nodes:
    description: Names of the nodes to compare, by default all that a step of the plan answers.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Stop when the first ones do not heal
  ansible.builtin.assert:
    that: (after | kubecare.kubelet_certs.unhealed(plan)) | length == 0
"""

RETURN = r"""
_value:
  description: What is still wrong, by node.
  type: dict
  sample: {worker-7: "it is failing: csr-pending"}
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import is_healed


def unhealed(
    diagnosis: t.Mapping[str, t.Any], plan: t.Mapping[str, t.Any], nodes: t.Sequence[str] | None = None
) -> dict[str, str]:
    """See DOCUMENTATION. Raises AnsibleFilterError when plan or diagnosis is none."""
    rules: dict[str, set[str]] = {}
    try:
        for step in plan["steps"]:
            for answer in step["answers"]:
                rules.setdefault(str(answer["node"]), set()).add(str(answer["rule"]))
        wrong = {node: is_healed(dict(diagnosis), node, found) for node, found in rules.items()}
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError("kubecare.kubelet_certs.unhealed: takes a diagnosis and a plan") from error
    return {node: text for node, text in wrong.items() if text and (nodes is None or node in nodes)}


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"unhealed": unhealed}
