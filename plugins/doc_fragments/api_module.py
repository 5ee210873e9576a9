# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module that asks the API server has; the specification is ``module_utils/_cluster_evidence.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """An option and attributes of the modules that ask the API server."""

    DOCUMENTATION = r"""
options:
  request_timeout:
    description:
      - Seconds that one request may take, from connecting to the last byte of the answer.
    type: int
    default: 30
attributes:
  platform:
    support: full
    description: Runs where Python does and the API server can be reached.
    platforms: posix
  action_group:
    support: full
    description: Options to reach the API server may be set for all with C(module_defaults).
    membership: [kubecare.kubelet_certs.kubelet_certs]
"""
