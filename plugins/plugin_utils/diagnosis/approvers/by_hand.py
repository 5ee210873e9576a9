# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Nobody: what a person should check before approving a serving certificate by hand, and what its signer wants.

Source: ``pkg/apis/certificates/helpers.go`` (ValidateKubeletServingCSR) of Kubernetes 1.36, which is what the signer refuses by; Kubernetes itself
never compares the names with the node, so the last check is what approving means.
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import Case
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = "https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/apis/certificates/helpers.go"


def replay(case: Case) -> list[Data]:
    """The checks, in the signer's order."""
    return [
        checks.decoded(case),
        checks.organizations(case),
        checks.some_names(case),
        checks.no_names(case, "no mail addresses or URIs", "emails", "uris"),
        checks.usages(case, "digital signature", "server auth"),
        checks.common_name(case),
        checks.is_requestor(case),
        checks.of_the_node(case),
    ]
