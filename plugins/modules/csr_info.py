#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects certificate signing requests of kubelets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: csr_info
short_description: Collects certificate signing requests of kubelets
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Lists certificate signing requests with what they ask for, decoded, what was decided and when, and the certificate that was issued.
  - Kubernetes deletes requests, a decided one an hour after its decision, a pending one after a day. That there is none proves little.
options:
  signer_names:
    description:
      - Signers whose requests to collect, by default the two of kubelets.
    type: list
    elements: str
    default: [kubernetes.io/kube-apiserver-client-kubelet, kubernetes.io/kubelet-serving]
seealso:
  - module: kubecare.kubelet_certs.rbac_info
  - name: Certificates and Certificate Signing Requests
    description: What signers and approvers do.
    link: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.cluster_evidence
"""

EXAMPLES = r"""
- name: Collect kubelets' requests
  kubecare.kubelet_certs.csr_info:
  delegate_to: localhost
  run_once: true
  register: requests

- name: Show nodes that wait for an approval
  ansible.builtin.debug:
    msg: "{{ requests.csrs | selectattr('state', 'equalto', 'pending') | map(attribute='node') | unique }}"
  when: requests.csrs is not none

- name: Say why the requests could not be listed
  ansible.builtin.fail:
    msg: "{{ requests.not_seen | map(attribute='message') | join(', ') }}"
  when: requests.csrs is none

- name: Collect the requests of an own signer into a file
  kubecare.kubelet_certs.csr_info:
    signer_names: [example.com/kubelet-serving]
    dest: /var/lib/kubelet-certs/csr_info.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
csrs:
  description: The requests, oldest first; null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
  contains:
    name: {description: Name of the CertificateSigningRequest., type: str, sample: csr-x7k2p}
    uid: {description: Its uid., type: str}
    created: {description: When it was made., type: str, sample: "2026-11-23T20:05:00Z"}
    signer_name: {description: Who is to sign it., type: str, sample: kubernetes.io/kubelet-serving}
    requestor: {description: "The user who made it, as the API server authenticated it.", type: str, sample: "system:node:worker-7"}
    groups: {description: The groups of that user., type: list, elements: str}
    presented_sha256:
      description: Fingerprint of the client certificate that the request came with; null for a token, and before Kubernetes 1.32.
      type: str
    node: {description: The node that the common name asked for is of; null when it is of none., type: str, sample: worker-7}
    usages: {description: Key usages asked for., type: list, elements: str}
    requested_duration_seconds: {description: Lifetime asked for; null when none was., type: int}
    request:
      description: The request itself, decoded; null when that was not possible.
      type: dict
      contains:
        common_name: {description: Common name., type: str, sample: "system:node:worker-7"}
        organizations: {description: Organizations., type: list, elements: str, sample: ["system:nodes"]}
        dns_names: {description: DNS names., type: list, elements: str}
        ip_addresses: {description: Addresses., type: list, elements: str}
        emails: {description: Mail addresses., type: list, elements: str}
        uris: {description: URIs., type: list, elements: str}
        public_key: {description: Kind of the public key., type: str, sample: ECDSA P-256}
        public_key_sha256: {description: Digest of the public key., type: str}
        signature_valid: {description: Whether the request is signed with its key., type: bool}
    request_sha256: {description: SHA-256 of the request's bytes as they were sent., type: str}
    error: {description: Why the request could not be decoded., type: str}
    conditions:
      description: "Decisions: C(type), C(status), C(reason), C(message), C(last_update), C(last_transition)."
      type: list
      elements: dict
    state:
      description: >-
        V(pending), V(approved_not_signed), V(denied), V(failed) or V(issued). A request with a certificate is issued; of its conditions,
        Failed comes before Denied before Approved.
      type: str
      sample: pending
    state_since: {description: When it came to that state; null when that is not recorded., type: str, sample: "2026-11-23T20:05:00Z"}
    certificate: {description: "The certificate issued, as in M(kubecare.kubelet_certs.control_plane_info).", type: dict}
    managed_fields:
      description: "Who wrote it and when, oldest first: C(manager), C(operation), C(subresource), C(time)."
      type: list
      elements: dict
last_issued:
  description: The newest issue of each signer among these requests; null when they could not be listed.
  returned: O(dest) is not given
  type: dict
  sample: {"kubernetes.io/kubelet-serving": "2026-11-23T20:05:00Z"}
csrs_total:
  description: How many requests were written; null when they could not be listed.
  returned: O(dest) is given
  type: int
  sample: 164
reachable:
  description: Whether the API server answered at all.
  returned: success
  type: bool
  sample: true
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 4
collected_at:
  description: When the collection began, in UTC by the clock of the machine that the module runs on.
  returned: success
  type: str
  sample: "2026-11-23T20:05:00Z"
not_seen:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: The part of the result that is null.
      type: str
      sample: csrs
    reason:
      description: >-
        One of V(unreachable), V(timeout), V(tls), V(unauthorized), V(forbidden), V(not_found), V(unsupported), V(malformed), V(too_large),
        V(disabled), V(error).
      type: str
      sample: forbidden
    message:
      description: What the API server or the connection said.
      type: str
      sample: 'HTTP 403: certificatesigningrequests is forbidden: User "audit" cannot list resource "certificatesigningrequests"'
dest:
  description: The file that was written.
  returned: O(dest) is given
  type: str
  sample: /var/lib/kubelet-certs/runs/20261123/cluster/csr_info.json
"""

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ARGUMENTS,
    ClusterModule,
    run,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import KUBELET_SIGNERS, csr_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data


def collect(api: Api, params: Data) -> tuple[Data, Data]:
    """The evidence, and how many requests it holds."""
    evidence = csr_evidence(api, params["signer_names"], params["page_size"])
    return evidence, {"csrs_total": None if evidence["csrs"] is None else len(evidence["csrs"])}


def main() -> None:
    """Runs the module."""
    arguments = {
        **ARGUMENTS,
        "signer_names": {"type": "list", "elements": "str", "default": list(KUBELET_SIGNERS)},
    }
    run(ClusterModule(argument_spec=arguments, supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
