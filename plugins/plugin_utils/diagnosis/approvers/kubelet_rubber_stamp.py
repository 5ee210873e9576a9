# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""kontena/kubelet-rubber-stamp, for serving certificates. Its last release (0.3.1, of 2020) speaks certificates.k8s.io/v1beta1, which
Kubernetes 1.22 removed.

Source: ``pkg/controller/certificatesigningrequest/helpers.go`` (isNodeServingCert) and ``certificatesigningrequest_controller.go``. Forks under
other names speak v1; an image without a version number says nothing about it.
"""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import (
    Case,
    check,
    shown,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = (
    "https://github.com/kontena/kubelet-rubber-stamp/blob/master/pkg/controller/certificatesigningrequest/helpers.go"
)

_OLD = re.compile(r":v?0\.[0-3](\.\d+)?$")


def replay(case: Case) -> list[Data]:
    """Its checks in its order; it stops at the first that fails."""
    dns, addresses = case.names("dns_names"), case.names("ip_addresses")
    return [
        speaks_v1(case.image, case.cluster_version),
        checks.decoded(case),
        checks.organizations(case),
        check(
            "a DNS name and an address",
            bool(dns and addresses),
            f"{shown(dns)}; {shown(addresses)}; wanted: one of each",
        ),
        checks.common_name(case),
        checks.is_requestor(case),
    ]


def speaks_v1(image: str | None, cluster_version: str | None) -> Data:
    """Whether it speaks a version of the API that the cluster serves."""
    match = re.match(r"v?(\d+)\.(\d+)", cluster_version or "")
    told = (
        f"{image or 'unknown image'}; the cluster is {cluster_version or 'unknown'}, which has v1beta1 only before 1.22"
    )
    if not match:
        return check("API version", None, told)
    if (int(match[1]), int(match[2])) < (1, 22):
        return check("API version", True, told)
    return check("API version", False if _OLD.search(image or "") else None, told)
