# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that takes up a plan from outside."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checked_plan
short_description: Takes up a remediation plan from outside, and refuses it if it is not exactly what one may be
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Takes a plan as untrusted input, from the variable C(kubelet_certs_plan) (the artifact of another job) or from a file, and returns it, made anew of
    what was checked.
  - The variable is read as it was given, before Ansible looks for templates in it. So none that is hidden in a plan is ever evaluated. Any other way to
    read the variable evaluates it, C(is defined) too.
  - Fails naming the path in the plan and what is wrong there. Nothing is corrected.
options:
  file:
    description: The path of a plan on the control node, which is taken where the variable is not set. Empty, there is none.
    type: str
    default: ''
  hosts:
    description: The hosts of the inventory. A step for any other is refused.
    type: list
    elements: str
    required: true
  run_dir:
    description: The run folder of what was collected now. A plan that takes a control plane of it for a worker is refused, as it would be one of a batch.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Take up a plan that was approved
  ansible.builtin.set_fact:
    plan: "{{ lookup('kubecare.kubelet_certs.checked_plan', file='plan.json', hosts=groups['all']) }}"

- name: Take up the one that was given by -e kubelet_certs_plan, if there is one
  ansible.builtin.set_fact:
    plans: "{{ query('kubecare.kubelet_certs.checked_plan', hosts=groups['all']) }}"
"""

RETURN = r"""
_raw:
  description: The plan. The list is empty where neither the variable nor the file is given.
  type: list
  elements: dict
"""

import json
import os
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, read_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import PlanError, check_plan
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.plan import control_planes_of

NAME = "kubecare.kubelet_certs.checked_plan"
VARIABLE = "kubelet_certs_plan"
MAX_TEXT = 32 * 1024 * 1024


def checked_plan(plan: t.Any, hosts: t.Iterable[str], run_dir: str = "") -> dict[str, t.Any]:
    """The plan, which is a mapping or JSON text. Raises AnsibleError naming the path that is wrong."""
    try:
        text = plan if isinstance(plan, str) else json.dumps(plan) if isinstance(plan, Mapping) else "null"
        if len(text) > MAX_TEXT:
            raise AnsibleError(f"{NAME}: the plan is larger than 32 MiB")
        control_planes = control_planes_of(read_evidence(os.path.expanduser(run_dir)) if run_dir else {})
        return check_plan(json.loads(text), frozenset(str(host) for host in hosts), control_planes)
    except PlanError as error:
        raise AnsibleError(f"{NAME}: the plan is refused: {error}") from None
    except RunFolderError as error:
        raise AnsibleError(f"{NAME}: {error}") from None
    except (ValueError, TypeError, RecursionError):
        raise AnsibleError(f"{NAME}: the plan is no JSON of a sane shape") from None


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        self.set_options(direct=kwargs)
        path = self.get_option("file")
        known = {name: self.get_option(name) for name in ("hosts", "run_dir")}
        if terms:
            raise AnsibleError(f"{NAME}: takes no terms")
        if VARIABLE in (variables or {}):
            return [checked_plan(variables[VARIABLE], **known)]
        return [checked_plan(_text_of(os.path.expanduser(path)), **known)] if path else []


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(MAX_TEXT + 1)
    except OSError as error:
        raise AnsibleError(f"{NAME}: {path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise AnsibleError(f"{NAME}: the plan is no JSON of a sane shape") from None
