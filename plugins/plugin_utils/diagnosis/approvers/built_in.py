# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The approver of kube-controller-manager (csrapproving), for client certificates of kubelets.

Source: ``pkg/controller/certificates/approver/sarapprove.go`` (recognizers, authorize) and ``pkg/apis/certificates/helpers.go``
(ValidateKubeletClientCSR) of Kubernetes 1.36, in the order of the latter. It recognises a request, then asks by SubjectAccessReview whether
the requestor may create certificatesigningrequests/selfnodeclient (only where the requestor is the common name), else /nodeclient.
"""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import Case
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = "https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/certificates/approver/sarapprove.go"
ROUTES = ("selfnodeclient", "nodeclient")


def replay(case: Case) -> tuple[list[Data], list[str], bool | None]:
    """The checks, the names of those that decide against it, and whether it approves (None: unknown)."""
    recognising = [
        checks.decoded(case),
        checks.organizations(case),
        checks.no_names(case, "no DNS names", "dns_names"),
        checks.no_names(case, "no mail addresses", "emails"),
        checks.no_names(case, "no addresses", "ip_addresses"),
        checks.no_names(case, "no URIs", "uris"),
        checks.common_name(case),
        checks.usages(case, "digital signature", "client auth"),
    ]
    own = checks.is_requestor(case)
    by_self = case.selfnodeclient if own["passed"] else False
    routes = [
        checks.check(
            "selfnodeclient",
            by_self,
            f"{case.requestor} may create certificatesigningrequests/selfnodeclient: {_told(case.selfnodeclient)}"
            if own["passed"]
            else "not asked, as the requestor is not the common name",
        ),
        checks.check(
            "nodeclient",
            case.nodeclient,
            f"{case.requestor} may create certificatesigningrequests/nodeclient: {_told(case.nodeclient)}",
        ),
    ]
    refused = [str(entry["name"]) for entry in recognising if entry["passed"] is False]
    if refused:
        return [*recognising, own, *routes], refused, False
    if by_self or case.nodeclient:
        return [*recognising, own, *routes], [], True
    failing = [str(entry["name"]) for entry in (own, *routes) if entry["passed"] is False]
    unknown = by_self is None or case.nodeclient is None
    return [*recognising, own, *routes], failing, None if unknown else False


def _told(answer: bool | None) -> str:
    return "unknown" if answer is None else "yes" if answer else "no"
