# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin audit_keep; the work is done in plugins/action/audit_keep.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_keep
short_description: Keeps an audit in the history, publishes its metrics, and removes what is old
version_added: 0.1.0
author:
  - The kubecare founders (@kubecare)
description:
  - Keeps what M(kubecare.kubelet_certs.audit_compare) made of a run, whole or not at all. It gets its name in the history by one rename, so that an
    audit that was cut short is never read, and the earlier ones are untouched by it. Any number may be at work at once.
  - Writes metrics for Prometheus, in one step, as the textfile collector of node_exporter takes them. They are valid as OpenMetrics too.
  - Removes audits and run folders that are not to be kept, and what was cut short a day ago. Whatever else lies in the folder is not touched.
options:
  run_dir:
    description: The run folder that was compared.
    type: path
    required: true
  history_dir:
    description: The folder of the history. It is made for its owner only if it does not exist.
    type: path
    required: true
  keep:
    description: How many audits stay. V(0) keeps all.
    type: int
    default: 400
  keep_days:
    description: Of how many days audits stay. V(0) keeps all. The newest audit always stays.
    type: int
    default: 0
  keep_runs:
    description:
      - How many run folders stay in C(runs) of the history, with evidence, diagnosis and report. V(0) keeps all.
      - The audits stay longer. They are what comparing and the trend need, and a small part of the size.
    type: int
    default: 7
  metrics_file:
    description: Where to write metrics, with a name that ends in C(.prom). By default they are not written.
    type: path
attributes:
  check_mode:
    description: Can run in check mode, and then writes and removes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  platform:
    description: Runs on the control node, about nodes of any kind.
    support: full
    platforms: posix
seealso:
  - module: kubecare.kubelet_certs.audit_compare
"""

EXAMPLES = r"""
- name: Keep it, 90 of them, and have node_exporter show it
  kubecare.kubelet_certs.audit_keep:
    run_dir: kubelet-certs-history/runs/20261125T020000Z-3f9c1a
    history_dir: kubelet-certs-history
    keep: 90
    metrics_file: /var/lib/prometheus/node-exporter/kubelet_certs.prom
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: The folder of the audit, with C(audit.json) and C(nodes.json).
  returned: success
  type: str
  sample: /srv/kubelet-certs-history/audits/20261125T020000Z-3f9c1a
removed:
  description: The audits and run folders that were removed.
  returned: success
  type: list
  elements: str
"""
