# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin audit_compare; the work is done in plugins/action/audit_compare.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_compare
short_description: Compares a run with the last audit of its cluster
version_added: 0.1.0
author:
  - The kubecare founders (@kubecare)
description:
  - Says what is new, resolved and worse since the last audit in a history, which nodes are no longer seen, and how much of their lifetime the
    client certificates of each node pool had left, audit by audit.
  - A finding is resolved only when its node was seen and its rule had the evidence it needs. Otherwise it stands as it was.
  - Writes C(history.json), for M(kubecare.kubelet_certs.report), and C(audit), for M(kubecare.kubelet_certs.audit_keep), to the run folder. The
    history itself is only read.
  - An audit of the history that is damaged is passed over with a warning, and the one before it is taken.
options:
  run_dir:
    description: A run folder with C(diagnosis.json).
    type: path
    required: true
  history_dir:
    description: The folder of the history. It need not exist; then this is the first audit.
    type: path
    required: true
  cluster:
    description: The name of the cluster in the history and in metrics. By default the host and port of its API server.
    type: str
attributes:
  check_mode:
    description: Can run in check mode, and then does the same. A comparison is an answer and no change.
    support: full
  diff_mode:
    description: There is nothing to compare with.
    support: none
  platform:
    description: Runs on the control node, about nodes of any kind.
    support: full
    platforms: posix
seealso:
  - module: kubecare.kubelet_certs.audit_keep
  - module: kubecare.kubelet_certs.report
"""

EXAMPLES = r"""
- name: Compare tonight with last night
  kubecare.kubelet_certs.audit_compare:
    run_dir: kubelet-certs-history/runs/20261125T020000Z-3f9c1a
    history_dir: kubelet-certs-history
    cluster: production
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
clusters:
  description: The names of the clusters that were audited.
  returned: success
  type: list
  elements: str
  sample: [production]
since:
  description: The time of the audit that was compared with; null for the first.
  returned: success
  type: str
  sample: '2026-11-24T02:00:41Z'
changes:
  description: How many findings are new and resolved, how many nodes are worse, no longer seen, new and gone.
  returned: success
  type: dict
  sample: {new: 37, resolved: 0, worse: 37, unseen: 1, joined: 0, gone: 0}
verdicts:
  description: Nodes by verdict.
  returned: success
  type: dict
  sample: {expired: 0, failing: 37, at_risk: 0, unknown: 1, healthy: 3}
quiet:
  description: Whether all nodes are healthy, and nothing is new, resolved, worse or out of sight.
  returned: success
  type: bool
text:
  description: All of it in one line.
  returned: success
  type: str
  sample: '41 nodes: 37 failing, 1 unknown, 3 healthy; 37 new, 37 worse, 1 no longer seen since 2026-11-24 02:00'
"""
