# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin diagnose; the work is done in plugins/action/diagnose.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnose
short_description: Judges a run folder and writes its diagnosis
version_added: 0.1.0
author:
  - The kubecare founders (@kubecare)
description:
  - Does what the filter P(kubecare.kubelet_certs.diagnose#filter) does, with the evidence of a run folder, and writes C(diagnosis.json) to it.
  - It reads and writes node by node, so that a fleet of thousands takes little memory and no variable holds it.
  - It runs on the control node and connects to nothing. The same evidence, rules and O(now) always give the same diagnosis.
options:
  run_dir:
    description: A run folder.
    type: path
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
attributes:
  check_mode:
    description: Can run in check mode, and then does the same. A diagnosis is an answer and no change.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  platform:
    description: Runs on the control node, about nodes of any kind.
    support: full
    platforms: posix
notes:
  - The result is never V(changed). A diagnosis that was there is replaced in one step, so a reader never sees half of one.
  - Relative paths are relative to the folder that C(ansible-playbook) was started in.
seealso:
  - plugin: kubecare.kubelet_certs.diagnose
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Judge a run folder again, as of last night
  kubecare.kubelet_certs.diagnose:
    run_dir: kubelet-certs-runs/2026-11-23T20-05-00Z
    now: '2026-11-23T02:00:00Z'
  delegate_to: localhost
  run_once: true

- name: Judge it with a team's own rules, and without one that does not apply here
  kubecare.kubelet_certs.diagnose:
    run_dir: kubelet-certs-runs/2026-11-23T20-05-00Z
    rule_dirs: [/etc/kubelet-certs/rules]
    rule_overrides:
      serving-csr-not-approved: {exclude: true, reason: no logs or exec needed}
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: The file written.
  returned: success
  type: str
  sample: /srv/kubelet-certs-runs/2026-11-23T20-05-00Z/diagnosis.json
verdicts:
  description: Nodes by verdict.
  returned: success
  type: dict
  sample:
    expired: 0
    failing: 37
    at_risk: 0
    unknown: 0
    healthy: 4
"""
