#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects the state of the control plane that signs kubelets' certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_info
short_description: Collects the state of the control plane that signs kubelets' certificates
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Tells whether the API server can be reached, is ready and alive, which certificates it presents and what its clock says, which CA it
    trusts for clients and which one the cluster trusts, and who the controller manager is, since when, with which flags about signing.
  - The certificates presented are read by a handshake that verifies nothing, so that an untrusted or expired one is told as well.
options:
  last_issued:
    description:
      - Whether to list certificate signing requests for the time of the last issue. M(kubecare.kubelet_certs.csr_info) tells it too.
    type: bool
    default: true
seealso:
  - module: kubecare.kubelet_certs.csr_info
  - module: kubecare.kubelet_certs.node_info
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.cluster_evidence
"""

EXAMPLES = r"""
- name: Collect the state of the control plane
  kubecare.kubelet_certs.control_plane_info:
  delegate_to: localhost
  run_once: true
  register: control_plane

- name: Say why the API server cannot be reached
  ansible.builtin.debug:
    msg: "{{ control_plane.api_server.error.message }}"
  when: not control_plane.api_server.reachable

- name: Show which CA certificates kubelets' certificates must come from
  ansible.builtin.debug:
    msg: "{{ control_plane.client_ca.certificates | map(attribute='subject') }}"
  when: control_plane.client_ca is not none

- name: Collect it into a file, through a proxy and without listing requests
  kubecare.kubelet_certs.control_plane_info:
    proxy: http://proxy.example.com:3128
    last_issued: false
    dest: /var/lib/kubelet-certs/control_plane_info.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
api_server:
  description: The API server as this machine meets it.
  returned: O(dest) is not given
  type: dict
  contains:
    url: {description: "Scheme, host and port.", type: str, sample: "https://api.example.com:6443"}
    reachable: {description: Whether any request got an HTTP answer., type: bool}
    error: {description: "Why none did: C(reason), C(message).", type: dict}
    version: {description: Its version., type: str, sample: v1.36.3}
    time: {description: What its clock says., type: str, sample: "2026-11-23T20:05:00Z"}
    time_offset_seconds: {description: "Its clock minus this machine's, good to about a second.", type: int, sample: 0}
    readyz: {description: "Whether it is ready: C(ok), and C(checks) with C(name), C(ok), C(message).", type: dict}
    livez: {description: "Whether it is alive, alike.", type: dict}
    pods:
      description: >-
        Its pods, C(name), C(node), C(ready), C(restarts), C(started) and C(image); empty where it runs as no pod.
      type: list
      elements: dict
    serving_certificates:
      description: The certificates it presents, the leaf first.
      type: list
      elements: dict
      contains:
        subject: {description: Distinguished name., type: str, sample: CN=kube-apiserver}
        common_name: {description: Common name., type: str}
        organizations: {description: Organizations., type: list, elements: str}
        issuer: {description: Distinguished name of the issuer., type: str}
        serial: {description: Serial number in hexadecimal., type: str}
        not_before: {description: Start of validity., type: str, sample: "2026-11-23T20:00:00Z"}
        not_after: {description: End of validity., type: str, sample: "2027-11-23T20:00:00Z"}
        dns_names: {description: DNS names., type: list, elements: str}
        ip_addresses: {description: Addresses., type: list, elements: str}
        emails: {description: Mail addresses., type: list, elements: str}
        uris: {description: URIs., type: list, elements: str}
        key_usages: {description: "Usages in Kubernetes' words.", type: list, elements: str}
        extended_key_usages: {description: "Extended usages in Kubernetes' words.", type: list, elements: str}
        is_ca: {description: Whether it may issue certificates., type: bool}
        public_key: {description: Kind of the public key., type: str, sample: RSA 2048}
        public_key_sha256: {description: Digest of the public key., type: str}
        subject_key_id: {description: Subject key identifier., type: str}
        authority_key_id: {description: Authority key identifier., type: str}
        fingerprint_sha256: {description: Fingerprint., type: str}
        error: {description: Why it could not be decoded; then there is nothing else., type: str}
client_ca:
  description: >-
    The CA that the API server trusts for clients, of the ConfigMap C(kube-system/extension-apiserver-authentication), C(certificates) and
    C(last_changed).
  returned: O(dest) is not given
  type: dict
cluster_ca:
  description: The CA that pods trust, of the ConfigMap C(kube-root-ca.crt), C(certificates), C(last_changed) and C(pem).
  returned: O(dest) is not given
  type: dict
cluster_info:
  description: >-
    What kubeadm tells nodes that join, of the ConfigMap C(kube-public/cluster-info), C(server), C(certificates) and C(tokens), the public ids
    of bootstrap tokens that exist, have not expired and may sign; null where there is none.
  returned: O(dest) is not given
  type: dict
controller_manager:
  description: The controller manager, which approves and signs.
  returned: O(dest) is not given
  type: dict
  contains:
    lease:
      description: "Its leader: C(holder), C(acquired), C(renewed), C(duration_seconds), C(transitions)."
      type: dict
    pods:
      description: >-
        Its pods, C(name), C(node), C(phase), C(ready), C(restarts), C(started), C(waiting) (why its
        container waits to start), C(last_termination) and C(flags), which are those about
        signing; empty where it runs as no pod.
      type: list
      elements: dict
approvers:
  description: >-
    The Deployments and DaemonSets of all namespaces that approve kubelets' requests (kubelet-csr-approver, kubelet-serving-cert-approver,
    OpenShift's machine-approver, kubelet-rubber-stamp), found by name, labels and image; null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
  contains:
    approver: {description: Which approver it is., type: str, sample: kubelet-csr-approver}
    kind: {description: Kind of the workload., type: str, sample: Deployment}
    name: {description: Its name., type: str}
    namespace: {description: Its namespace., type: str, sample: kube-system}
    image: {description: The image of the approver's container., type: str}
    desired: {description: How many of its pods are wanted., type: int, sample: 2}
    ready: {description: How many of them are ready., type: int, sample: 2}
    created: {description: When it was made., type: str}
    settings: {description: "What it checks by, such as C(provider-regex); null where another object holds the value.", type: dict}
admission:
  description: >-
    The webhooks and denying policies whose rules match certificate signing requests, C(kind), C(name), C(webhook), C(failure_policy),
    C(last_changed), C(last_manager), and C(acts), what they see of V(create), V(approve), V(sign); null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
last_issued:
  description: The newest issue of each signer of kubelets; null when requests were not listed.
  returned: O(dest) is not given
  type: dict
  sample: {"kubernetes.io/kubelet-serving": "2026-11-23T20:05:00Z"}
pods_total:
  description: How many pods of the controller manager were written; null when they could not be listed.
  returned: O(dest) is given
  type: int
  sample: 3
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
      sample: client_ca
    reason:
      description: >-
        One of V(unreachable), V(timeout), V(tls), V(unauthorized), V(forbidden), V(not_found), V(unsupported), V(malformed), V(too_large),
        V(disabled), V(error).
      type: str
      sample: forbidden
    message:
      description: What the API server or the connection said.
      type: str
      sample: 'HTTP 403: configmaps is forbidden: User "audit" cannot list resource "configmaps"'
dest:
  description: The file that was written.
  returned: O(dest) is given
  type: str
  sample: /var/lib/kubelet-certs/runs/20261123/cluster/control_plane_info.json
"""

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ARGUMENTS,
    ClusterModule,
    run,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._control_plane import control_plane_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data


def collect(api: Api, params: Data) -> tuple[Data, Data]:
    """The evidence, and how many pods it holds."""
    evidence = control_plane_evidence(api, params["last_issued"], params["page_size"])
    pods = evidence["controller_manager"]["pods"]
    return evidence, {"pods_total": None if pods is None else len(pods)}


def main() -> None:
    """Runs the module."""
    arguments = {**ARGUMENTS, "last_issued": {"type": "bool", "default": True}}
    run(ClusterModule(argument_spec=arguments, supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
