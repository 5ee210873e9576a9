# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""alex1989hu/kubelet-serving-cert-approver, for serving certificates. It never denies: what fails stays pending, with an event ApproveFailed.

Source: ``controller/certificatesigningrequest/helper.go`` (isRequestConform) and ``controller.go`` (authorize) of July 2026. Releases before
Kubernetes 1.27's change of usages wanted key encipherment and refuse requests without it (its issue 139).
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import (
    Case,
    check,
    shown,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = "https://github.com/alex1989hu/kubelet-serving-cert-approver/blob/main/controller/certificatesigningrequest/helper.go"

_USAGES = {"digital signature", "server auth", "key encipherment"}


def replay(case: Case) -> list[Data]:
    """Its checks in its order; it stops at the first that fails."""
    usages = sorted(str(usage) for usage in case.csr.get("usages") or ())
    return [
        checks.decoded(case),
        checks.organizations(case),
        checks.common_name(case),
        checks.is_requestor(case),
        checks.no_names(case, "no mail addresses or URIs", "emails", "uris"),
        checks.some_names(case),
        check("usages", set(usages) <= _USAGES, f"{shown(usages)}; allowed: {shown(sorted(_USAGES))}"),
        check(
            "may create requests",
            case.create,
            f"{case.requestor} may create certificatesigningrequests: "
            f"{'unknown' if case.create is None else 'yes' if case.create else 'no'}",
        ),
    ]
