#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects nodes, their leases and their events."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Collects nodes, their leases and their events
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Lists the cluster's nodes with their conditions, versions and addresses, when each was last written and by whom, the lease that a living
    kubelet renews, and the events about them.
  - This is evidence for the filter P(kubecare.kubelet_certs.diagnose#filter) to judge, and judges nothing itself.
options:
  names:
    description:
      - Names of the nodes to collect, by default all. A node that does not exist is told in RV(not_seen).
    type: list
    elements: str
    default: []
  events:
    description:
      - Whether to collect events.
    type: bool
    default: true
seealso:
  - module: kubecare.kubelet_certs.csr_info
  - module: kubecare.kubelet_certs.control_plane_info
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.api_module
  - kubecare.kubelet_certs.cluster_evidence
"""

EXAMPLES = r"""
- name: Collect all nodes of the cluster that the kubeconfig names
  kubecare.kubelet_certs.node_info:
    kubeconfig: ~/.kube/config
  delegate_to: localhost
  run_once: true
  register: cluster_nodes

- name: Show the nodes and when their leases were renewed
  ansible.builtin.debug:
    msg: "{{ cluster_nodes.nodes | items2dict(key_name='name', value_name='lease') }}"
  when: cluster_nodes.nodes is not none

- name: Collect one node without its events
  kubecare.kubelet_certs.node_info:
    names: [worker-7]
    events: false
  delegate_to: localhost
  register: worker

- name: Stop when the nodes could not be read
  ansible.builtin.assert:
    that: worker.not_seen | selectattr('subject', 'equalto', 'nodes') | length == 0
    fail_msg: "{{ worker.not_seen | map(attribute='message') | join(', ') }}"

- name: Collect a big cluster's nodes into a file
  kubecare.kubelet_certs.node_info:
    dest: /var/lib/kubelet-certs/node_info.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
nodes:
  description: The nodes by name; null when they could not be listed.
  returned: O(dest) is not given
  type: list
  elements: dict
  contains:
    name: {description: Name of the Node object., type: str, sample: worker-7}
    uid: {description: Its uid., type: str}
    created: {description: When it was made., type: str, sample: "2026-01-10T08:00:00Z"}
    deleting: {description: Whether it is being deleted., type: bool}
    labels: {description: Its labels., type: dict}
    taints: {description: "Its taints: C(key), C(value), C(effect).", type: list, elements: dict}
    unschedulable: {description: Whether it is cordoned., type: bool}
    provider_id: {description: What the cloud calls it., type: str}
    addresses: {description: "Its addresses: C(type), C(address).", type: list, elements: dict}
    conditions:
      description: "Its conditions: C(type), C(status), C(reason), C(message), C(last_heartbeat), C(last_transition)."
      type: list
      elements: dict
    kubelet_version: {description: Version of the kubelet., type: str, sample: v1.36.3}
    container_runtime_version: {description: Container runtime and version., type: str, sample: "containerd://1.7.24"}
    os_image: {description: Operating system., type: str, sample: Debian GNU/Linux 12 (bookworm)}
    kernel_version: {description: Kernel., type: str}
    machine_id: {description: Content of C(/etc/machine-id)., type: str}
    boot_id: {description: Id of the boot., type: str}
    kubelet_port: {description: Port of the kubelet., type: int, sample: 10250}
    managed_fields:
      description: "Who wrote it and when, oldest first: C(manager), C(operation), C(subresource), C(time)."
      type: list
      elements: dict
    lease:
      description: "Its lease: C(holder), C(acquired), C(renewed), C(duration_seconds); null when none was seen."
      type: dict
    events:
      description: >-
        Its newest 50 events by the time last seen: C(type), C(reason), C(message), C(count), C(first_seen), C(last_seen), C(component),
        C(host); null when they were not listed.
      type: list
      elements: dict
    events_dropped: {description: How many older events were left out., type: int, sample: 0}
nodes_total:
  description: How many nodes were written; null when they could not be listed.
  returned: O(dest) is given
  type: int
  sample: 41
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
      sample: events
    reason:
      description: >-
        One of V(unreachable), V(timeout), V(tls), V(unauthorized), V(forbidden), V(not_found), V(unsupported), V(malformed), V(too_large),
        V(disabled), V(error).
      type: str
      sample: forbidden
    message:
      description: What the API server or the connection said.
      type: str
      sample: 'HTTP 403: events is forbidden: User "audit" cannot list resource "events"'
dest:
  description: The file that was written.
  returned: O(dest) is given
  type: str
  sample: /var/lib/kubelet-certs/runs/20261123/cluster/node_info.json
"""

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ARGUMENTS,
    ClusterModule,
    run,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._nodes import node_evidence


def collect(api: Api, params: Data) -> tuple[Data, Data]:
    """The evidence, and how many nodes it holds."""
    evidence = node_evidence(api, params["names"], params["events"], params["page_size"])
    return evidence, {"nodes_total": None if evidence["nodes"] is None else len(evidence["nodes"])}


def main() -> None:
    """Runs the module."""
    arguments = {
        **ARGUMENTS,
        "names": {"type": "list", "elements": "str", "default": []},
        "events": {"type": "bool", "default": True},
    }
    run(ClusterModule(argument_spec=arguments, supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
