# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that collect evidence from the API server share; their specification is ``module_utils/_cluster_evidence.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """Options, notes and attributes of the modules that collect from the API server."""

    DOCUMENTATION = r"""
options:
  page_size:
    description:
      - Objects asked for in one request of a list.
    type: int
    default: 500
  dest:
    description:
      - Path to write the evidence to as JSON, on the machine that the module runs on. The module then returns counts instead of the
        evidence, so that a big cluster's does not pass through Ansible's variables.
      - The file is replaced whole, and readable by its owner only; folders that are missing are made for the owner only.
      - It is written in check mode as well, and is no change, which is about the cluster.
    type: path
notes:
  - Reads only, and asks for each kind of object once, whatever the number of nodes.
  - An API server that is down or refuses the credentials is a finding, not a failure. The module succeeds with RV(ignore:reachable) or the
    C(reason) in RV(ignore:not_seen) saying so. It fails for what the user has to correct, as a kubeconfig that is missing or malformed.
  - Runs where the API server can be reached from, usually with C(delegate_to) V(localhost) and C(run_once).
attributes:
  check_mode:
    support: full
    description: Can run in check mode, and does the same there.
  diff_mode:
    support: N/A
    description: Shows what has changed; nothing does.
"""
