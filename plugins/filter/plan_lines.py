# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that shows a plan, or what became of one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_lines
short_description: Shows a remediation plan, or its results, as lines for people
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - A plan (a dictionary) becomes its steps and procedures in order; a list of results becomes a table.
  - No terminal obeys what is in the lines.
options:
  _input:
    description: A plan of P(kubecare.kubelet_certs.remediation_plan#filter), or a list of results, each with C(step), C(status) and C(message).
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ plan | kubecare.kubelet_certs.plan_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.show import plan_lines, result_lines


def plan_lines_filter(value: t.Any) -> list[str]:
    """See DOCUMENTATION. Raises AnsibleFilterError for what is neither."""
    try:
        return plan_lines(dict(value)) if isinstance(value, Mapping) else result_lines(list(value))
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError("kubecare.kubelet_certs.plan_lines: neither a plan nor a list of results") from error


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"plan_lines": plan_lines_filter}
