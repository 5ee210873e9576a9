# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that reads a run folder."""

from __future__ import annotations

DOCUMENTATION = r"""
name: evidence
short_description: Reads a run folder as one value
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Reads the evidence that a run of the role P(kubecare.kubelet_certs.collect#role) left in its run folder.
  - A file that is damaged is returned as evidence that was not seen, with the reason. The others are read all the same.
options:
  _terms:
    description: Run folders on the control node.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Count the hosts that were asked
  ansible.builtin.debug:
    msg: "{{ lookup('kubecare.kubelet_certs.evidence', 'kubelet-certs-runs/latest').nodes | length }}"

- name: Judge a folder somebody sent
  ansible.builtin.set_fact:
    diagnosis: "{{ lookup('kubecare.kubelet_certs.evidence', folder) | kubecare.kubelet_certs.diagnose }}"

- name: Say which hosts did not answer
  ansible.builtin.debug:
    msg: "{{ lookup('kubecare.kubelet_certs.evidence', folder).nodes | dict2items | rejectattr('value.reachable', 'true') | map(attribute='key') }}"
"""

RETURN = r"""
_raw:
  description: One value a folder, with C(manifest), C(cluster) (a module's result by its name) and C(nodes) (a host's evidence by its inventory name).
  type: list
  elements: dict
"""

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, read_evidence


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [read_evidence(os.path.expanduser(str(term))) for term in terms]
        except RunFolderError as error:
            raise AnsibleError(f"kubecare.kubelet_certs.evidence: {error}") from error
