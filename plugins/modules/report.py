# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin report; the work is done in plugins/action/report.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Shows a diagnosis of kubelet certificates
version_added: 0.1.0
author:
  - The kubecare founders (@kubecare)
description:
  - Shows what the filter P(kubecare.kubelet_certs.diagnose#filter) found, as a summary that fits one screen, as one
    self-contained HTML page, and as JSON.
  - Of a run that M(kubecare.kubelet_certs.audit_compare) compared, it shows the changes since the last audit and the trend as well.
  - It runs on the control node and connects to nothing.
  - Everything in a diagnosis is taken for hostile. Control characters are made visible, HTML is escaped, and the page's
    own Content-Security-Policy lets nothing run but the page's own script.
options:
  run_dir:
    description:
      - A run folder. Its C(diagnosis.json) is read, or those of its clusters; then the page is an overview with a page a cluster beside it,
        in C(clusters/).
      - Exactly one of O(run_dir) and O(diagnosis) is needed.
    type: path
  diagnosis:
    description:
      - The diagnosis itself.
      - Prefer O(run_dir) for fleets, it keeps the diagnosis out of variables.
    type: dict
  formats:
    description:
      - What to make.
      - V(console) displays the summary, V(html) writes C(report.html), V(json) writes C(diagnosis.json) to O(dest).
    type: list
    elements: str
    choices: [console, html, json]
    default: [console, html]
  dest:
    description:
      - The folder for the files. It is made if it does not exist.
      - O(run_dir) by default. Needed when a file is to be written of O(diagnosis).
    type: path
  color:
    description:
      - Whether the summary is coloured.
      - V(auto) colours it where Ansible colours its own output, V(never) does not.
    type: str
    choices: [auto, never]
    default: auto
  quiet:
    description:
      - Display one line instead of the summary when all nodes are healthy and nothing is new, resolved or worse since the last audit.
      - Only of a run that M(kubecare.kubelet_certs.audit_compare) compared.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode, and then does the same. A report is an answer and no change.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  platform:
    description: Runs on the control node, about nodes of any kind.
    support: full
    platforms: posix
notes:
  - The result is never V(changed). A report that was there is replaced in one step, so a reader never sees half of one.
  - Relative paths are relative to the folder that C(ansible-playbook) was started in.
seealso:
  - plugin: kubecare.kubelet_certs.diagnose
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show a run's diagnosis and write its page
  kubecare.kubelet_certs.report:
    run_dir: kubelet-certs-runs/2026-11-23T20-05-00Z
  delegate_to: localhost
  run_once: true

- name: Write the page alone, elsewhere
  kubecare.kubelet_certs.report:
    run_dir: kubelet-certs-runs/2026-11-23T20-05-00Z
    formats: [html]
    dest: /srv/www/kubelet-certs
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
paths:
  description: The files written, or in their place already, by format; of several clusters the folder C(clusters) for V(json).
  returned: success
  type: dict
  sample:
    html: /srv/www/kubelet-certs/report.html
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
clusters:
  description: The same by cluster.
  returned: the run folder is of several clusters
  type: dict
  sample:
    prod: {expired: 0, failing: 37, at_risk: 0, unknown: 0, healthy: 4}
clusters_without_nodes:
  description: Those of which no node is known, as their API server did not answer. They count as unknown, not as healthy.
  returned: the run folder is of several clusters
  type: list
  elements: str
  sample: [test]
"""
