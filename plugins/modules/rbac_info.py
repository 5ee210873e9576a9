#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects who may create, approve and sign kubelets' certificate requests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rbac_info
short_description: Collects who may create, approve and sign kubelets' certificate requests
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Asks the API server, by one SubjectAccessReview each, what it asks itself when a node or a bootstrap token requests a certificate, and
    when the controller manager approves and signs it.
  - Tells which cluster role bindings grant that, and when these and their roles were last changed and by whom.
  - A SubjectAccessReview is a question and stores nothing. It needs the verb C(create) on C(subjectaccessreviews).
options:
  node_name:
    description:
      - The node to ask for, by default the first that the API server lists, or V(kubelet-certs-audit) where it lists none.
    type: str
  bootstrap_user:
    description:
      - The user of a bootstrap token to ask for.
    type: str
    default: system:bootstrap:kubecare
  bootstrap_groups:
    description:
      - The groups of a bootstrap token to ask for. The default is what kubeadm gives its tokens.
    type: list
    elements: str
    default: ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"]
seealso:
  - module: kubecare.kubelet_certs.csr_info
  - name: TLS bootstrapping
    description: Which roles kubelets need to get certificates.
    link: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.cluster_evidence
"""

EXAMPLES = r"""
- name: Collect who may do what about kubelets' certificates
  kubecare.kubelet_certs.rbac_info:
  delegate_to: localhost
  run_once: true
  register: rbac

- name: Say that renewals are not approved automatically
  ansible.builtin.debug:
    msg: No binding lets nodes renew their client certificates
  when: rbac.reviews is not none and rbac.reviews.node_selfnodeclient.allowed is false

- name: Say what could not be asked
  ansible.builtin.debug:
    msg: "{{ item.subject }}: {{ item.message }}"
  loop: "{{ rbac.not_seen }}"

- name: Ask for one node, and for tokens of an own group
  kubecare.kubelet_certs.rbac_info:
    node_name: worker-7
    bootstrap_groups: ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"]
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
reviews:
  description: >-
    The reviews by id, V(node_create_csr), V(node_list_csr), V(node_watch_csr), V(node_selfnodeclient), V(bootstrap_create_csr), V(bootstrap_nodeclient),
    V(approver_update_approval), V(approver_approve_client), V(signer_update_status), V(signer_sign_client), V(signer_sign_serving),
    V(manager_approve_client) and V(manager_sign_client),
    each a dictionary of the keys below; null when the API server could not be asked at all.
  returned: O(dest) is not given
  type: dict
  contains:
    identity: {description: "Who is asked for: V(node), V(bootstrap), V(approver), V(signer) or V(manager).", type: str, sample: node}
    user: {description: The user asked for., type: str, sample: "system:node:worker-7"}
    groups: {description: The groups asked for., type: list, elements: str, sample: ["system:nodes", "system:authenticated"]}
    verb: {description: Verb., type: str, sample: create}
    api_group: {description: API group., type: str, sample: certificates.k8s.io}
    resource: {description: Resource., type: str, sample: certificatesigningrequests}
    subresource: {description: Subresource., type: str, sample: selfnodeclient}
    name: {description: "Name of the object, a signer's; null where it does not matter.", type: str}
    allowed: {description: The answer; null when there was none., type: bool, sample: true}
    reason: {description: What the API server gives as the reason., type: str}
    granted_by: {description: The cluster role bindings that grant it; null when they were not listed., type: list, elements: str}
bindings:
  description: The cluster role bindings whose role grants one of the above to somebody; null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
  contains:
    name: {description: Name., type: str, sample: "kubeadm:node-autoapprove-certificate-rotation"}
    role: {description: The cluster role., type: str, sample: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"}
    subjects: {description: "To whom: C(kind), C(name), C(namespace).", type: list, elements: dict}
    grants:
      description: Ids of the reviews that it grants to the very user asked for; null when the roles could not be listed.
      type: list
      elements: str
    resource_version: {description: The version that it was read in., type: str}
    created: {description: When it was made., type: str}
    last_changed: {description: When it was last written., type: str}
    last_manager: {description: Who wrote it last., type: str, sample: kubeadm}
    labels: {description: Its labels., type: dict}
roles:
  description: The cluster roles that grant one of the above; null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
  contains:
    name: {description: Name., type: str}
    grants: {description: "What it grants: ids of reviews without the identity.", type: list, elements: str, sample: [selfnodeclient]}
    resource_version: {description: The version that it was read in., type: str}
    created: {description: When it was made., type: str}
    last_changed: {description: When it was last written., type: str}
    last_manager: {description: Who wrote it last., type: str}
reviews_total:
  description: How many reviews were answered.
  returned: O(dest) is given
  type: int
  sample: 10
bindings_total:
  description: How many bindings were written; null when they could not be listed.
  returned: O(dest) is given
  type: int
  sample: 6
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
      sample: bindings
    reason:
      description: >-
        One of V(unreachable), V(timeout), V(tls), V(unauthorized), V(forbidden), V(not_found), V(unsupported), V(malformed), V(too_large),
        V(disabled), V(error).
      type: str
      sample: forbidden
    message:
      description: What the API server or the connection said.
      type: str
      sample: 'HTTP 403: clusterrolebindings is forbidden: User "audit" cannot list resource "clusterrolebindings"'
dest:
  description: The file that was written.
  returned: O(dest) is given
  type: str
  sample: /var/lib/kubelet-certs/runs/20261123/cluster/rbac_info.json
"""

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ARGUMENTS,
    ClusterModule,
    run,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping, text
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac import identities, rbac_evidence

NO_NODE = "kubelet-certs-audit"
BOOTSTRAP_USER = "system:bootstrap:kubecare"  # no token's: an id has six characters
BOOTSTRAP_GROUPS = ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"]


def collect(api: Api, params: Data) -> tuple[Data, Data]:
    """The evidence, and how many answers and bindings it holds."""
    node = params["node_name"] or first_node(api)
    known = identities(node, params["bootstrap_user"], params["bootstrap_groups"])
    evidence = rbac_evidence(api, known, params["page_size"])
    answered = [review for review in (evidence["reviews"] or {}).values() if review["allowed"] is not None]
    bindings = None if evidence["bindings"] is None else len(evidence["bindings"])
    return evidence, {"reviews_total": len(answered), "bindings_total": bindings}


def first_node(api: Api) -> str:
    """The name of some node; every node's identity is alike, so the name of none will do as well."""
    try:
        items = api.get_json("/api/v1/nodes", limit=1).get("items")
    except ApiError:
        return NO_NODE
    first = mapping(items[0]) if isinstance(items, list) and items else {}
    return text(mapping(first.get("metadata")).get("name")) or NO_NODE


def main() -> None:
    """Runs the module."""
    arguments = {
        **ARGUMENTS,
        "node_name": {"type": "str"},
        "bootstrap_user": {"type": "str", "default": BOOTSTRAP_USER},
        "bootstrap_groups": {"type": "list", "elements": "str", "default": BOOTSTRAP_GROUPS},
    }
    run(ClusterModule(argument_spec=arguments, supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
