#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation alone: ``plugins/action/node_probe.py`` does the work, on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_probe
short_description: Sees everything about a node's kubelet certificates in one round trip
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Sends one POSIX-shell script to the node on standard input and reads one answer. Nothing is installed, written or changed on the node,
    and it needs no Python there. What it cannot see, because a tool is missing or a file may not be read, is said in RV(not_seen).
  - The script goes by the host's own connection, or through a pod that has the node's root mounted read-only. Of a node where neither is to be
    had, the API server tells what the kubelet says of itself. See O(way).
  - It looks at the kubelet's process and unit, kubeconfig and configuration, certificate files and their file system, the log, the clock, the
    way to the API server and the certificate served on the kubelet's port, and on a control-plane node at the CA files and the manifests' flags.
  - Private keys, tokens and passwords never leave the node. Of PEM files only C(CERTIFICATE) blocks are read out, and whether a key matches is found out
    on the node. Of flags and of the environment only the names are returned, but for those that matter here.
  - The node's client certificate is presented to the API server only if the CA of the kubeconfig vouches for that server. The question put then is a
    C(SelfSubjectReview), which stores nothing.
  - A node that cannot be reached, or where the probe cannot run, is a result and no failure, so that a play over many nodes goes on.
options:
  way:
    description:
      - V(ssh) takes the host's own Ansible connection, whichever that is, with O(ignore:become) where it is set.
      - V(pod) runs the same script in a probe pod of the node through the API server's exec, and sees the same. The collection's
        C(docs/manifests/probe-daemonset.yml) makes these pods.
      - V(api) asks the kubelet through the API server's node proxy for its configuration, the end of its certificates, its health and, where
        C(enableSystemLogQuery) is on, its log; and looks which certificate its port presents. Files, process and network of the node are not
        seen, and RV(not_seen) says so. C(docs/manifests/api-only.yml) is the permission it takes.
      - V(auto) tries these in their order until one of them reaches the node. A connection that is V(local) is passed over, as it is the control node.
      - V(pod) and V(api) go through the kubelet. Where that is down, or cannot ask the API server who may, they do not get in either.
    type: str
    choices: [ssh, pod, api, auto]
    default: ssh
  access:
    description:
      - Options of this module by which the API server is reached, as C(context), for V(pod) and V(api). They stand over those that are given beside it.
      - It is for an inventory of several clusters, whose hosts each have their own.
    type: dict
    default: {}
  pod_namespace:
    description: The namespace of the probe pods.
    type: str
    default: kubelet-certs-probe
  pod_selector:
    description: The labels that the probe pods have. Whoever may make pods with these labels in O(pod_namespace) can answer for a node.
    type: str
    default: app.kubernetes.io/name=kubelet-certs-probe
  dest:
    description:
      - The run folder on the control node. The evidence is written to C(nodes/<inventory host>.json) in it, readable by its owner only.
      - Without it the evidence is returned as RV(evidence).
    type: path
  node_name:
    description:
      - The name of the host's Node, where the inventory knows it. It helps to match the two where the host does not answer.
      - The ways V(pod) and V(api) ask for this Node, by default for the one with the name of the inventory host.
    type: str
  timeout:
    description: Seconds after which the node gives up, from 5 to 3600. What was seen until then is kept.
    type: int
    default: 60
  log_since_seconds:
    description: How far to look back in the log, in seconds, over restarts of the node. From 60 to 2678400.
    type: int
    default: 86400
  log_lines:
    description: The number of log lines to return at most, from 0 to 1000. All lines of the time asked for are counted.
    type: int
    default: 40
  log_file:
    description: The kubelet's log file on a node without a journal. By default the usual places are tried.
    type: str
  kubelet_unit:
    description: The systemd unit that runs the kubelet. By default it is found out.
    type: str
  kubelet_kubeconfig:
    description: The path of the kubelet's kubeconfig on the node. By default what the kubelet's flags say.
    type: str
  kubelet_config:
    description: The path of the KubeletConfiguration on the node. By default what the kubelet's flags say.
    type: str
  pki_path:
    description: The folder of the kubelet's certificates on the node. By default what the kubelet's flags say, else C(/var/lib/kubelet/pki).
    type: str
  manifests_path:
    description: The folder of the static pods on the node. By default what the KubeletConfiguration says, else C(/etc/kubernetes/manifests).
    type: str
  proc_path:
    description: Where the node's process table is mounted, for a probe that runs in a container.
    type: str
    default: /proc
  api_probe:
    description: Whether the node tries to reach the API server.
    type: bool
    default: true
attributes:
  action:
    description: Runs as an action plugin on the control node.
    support: full
  async:
    description: Can run in the background.
    support: none
  check_mode:
    description: Changes nothing, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
  platform:
    description: Systems that it can look at.
    support: full
    platforms: posix
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.api_module
notes:
  - The options to reach the API server are for V(pod), V(api) and V(auto) alone. A kubeconfig that starts a program for its credentials starts it
    once a host; a token (E(K8S_AUTH_API_KEY)) is cheaper.
  - Use O(ignore:become=true), as the certificates can be read by root only. Without root the rest is seen and the missing is said.
seealso:
  - module: kubecare.kubelet_certs.node_info
"""

EXAMPLES = r"""
- name: Look at the node's kubelet and keep the evidence in a run folder
  kubecare.kubelet_certs.node_probe:
    dest: ./run
  become: true

- name: Look at a node and use what was seen at once
  kubecare.kubelet_certs.node_probe:
    log_since_seconds: 3600
    api_probe: false
  become: true
  register: probe

- name: Look at a node that has no SSH server, through its probe pod
  kubecare.kubelet_certs.node_probe:
    way: pod
    kubeconfig: ~/.kube/config
    dest: ./run

- name: Look at each node by the way that there is
  kubecare.kubelet_certs.node_probe:
    way: auto
    node_name: "{{ node_name }}"
    dest: ./run
  become: true
  register: probe

- name: Say which way that was
  ansible.builtin.debug:
    msg: "{{ probe.way }}, after {{ probe.tried }}"

- name: Say when the client certificates end
  ansible.builtin.debug:
    msg: "{{ probe.evidence.pki.files | map(attribute='certificates') | flatten | map(attribute='not_after') }}"
"""

RETURN = r"""
way:
  description: The way that reached the node, V(ssh), V(pod) or V(api); null when none did.
  returned: always
  type: str
  sample: ssh
tried:
  description: The ways before it, and why they were left.
  returned: always
  type: list
  elements: dict
  sample: [{way: ssh, reason: unreachable, message: "ssh: connect to host worker-7 port 22: Connection refused"}]
  contains:
    way:
      description: The way.
      returned: always
      type: str
    reason:
      description: As in RV(not_seen).
      returned: always
      type: str
    message:
      description: In words.
      returned: always
      type: str
reachable:
  description: Whether the node answered.
  returned: always
  type: bool
  sample: true
identity:
  description: The node's name in its client certificate, null when there is none that says.
  returned: always
  type: str
  sample: worker-7
not_seen:
  description: What could not be seen, and why.
  returned: always
  type: list
  elements: dict
  sample: [{subject: pki.writable, reason: not_permitted, message: only root can tell whether the kubelet may write there}]
  contains:
    subject:
      description: The dotted path of the value that is null, V(node) when nothing was seen.
      returned: always
      type: str
    reason:
      description: One of V(unreachable), V(timeout), V(tls), V(unauthorized), V(forbidden), V(not_found), V(not_permitted), V(missing_tool),
        V(unsupported), V(malformed), V(too_large), V(disabled) and V(error).
      returned: always
      type: str
    message:
      description: In words.
      returned: always
      type: str
dest:
  description: The file the evidence was written to, on the control node.
  returned: when O(dest) is given
  type: str
  sample: ./run/nodes/worker-7.json
evidence:
  description: The evidence. See C(docs/evidence.md) of the collection.
  returned: when O(dest) is not given
  type: dict
  sample: {reachable: true, hostname: worker-7, root: true}
"""
