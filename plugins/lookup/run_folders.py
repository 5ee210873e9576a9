# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup that finds the run folders of a run over several clusters."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_folders
short_description: Finds the run folders of a run, one a cluster
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - A run over several clusters has a run folder of its own for each, in C(clusters/). Of any other run it is the run folder itself.
options:
  _terms:
    description: Run folders on the control node.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Judge each cluster of a run
  ansible.builtin.debug:
    msg: "{{ (lookup('kubecare.kubelet_certs.evidence', item) | kubecare.kubelet_certs.diagnose).fleet }}"
  loop: "{{ query('kubecare.kubelet_certs.run_folders', 'kubelet-certs-runs/20261123T200500Z') }}"
"""

RETURN = r"""
_raw:
  description: Absolute paths of run folders.
  type: list
  elements: path
  sample: [/srv/runs/20261123T200500Z/clusters/prod, /srv/runs/20261123T200500Z/clusters/test]
"""

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, cluster_folders


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        found: list[str] = []
        try:
            for term in terms:
                run_dir = os.path.abspath(os.path.expanduser(str(term)))
                found += list(cluster_folders(run_dir).values()) or [run_dir]
        except RunFolderError as error:
            raise AnsibleError(f"kubecare.kubelet_certs.run_folders: {error}") from error
        return found
