#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation alone: ``plugins/action/node_repair.py`` does the work, on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_repair
short_description: Puts one thing about a node's kubelet certificates right
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Does one act of a remediation plan on the node. It sends one POSIX-shell script on standard input, needs no Python there and installs nothing.
  - Before it acts it makes sure that all is still as it was when the plan was made, and stops with RV(status=moved) if not.
  - Each file is backed up beside itself as C(<file>.kubecare-<UTC time>) with its mode and owner, and replaced in one step. When an act fails after it
    has changed something, it puts everything back and says RV(status=rolled_back).
  - Private keys and tokens never leave the node, and O(bootstrap_token) is sent on standard input only.
options:
  act:
    description:
      - V(enable_rotation) sets C(rotateCertificates) to true in O(parameters.kubelet_config). All other lines stay.
      - V(use_rotating_kubeconfig) makes O(parameters.kubeconfig) name C(kubelet-client-current.pem) in place of the certificate and key that it
        carries or names. It refuses if that file is missing, has ended or is not of O(parameters.node).
      - V(rebootstrap) writes a bootstrap kubeconfig with O(bootstrap_token), moves the kubeconfig and the link to the ended certificate aside, restarts
        the kubelet, waits for its new certificate and removes the bootstrap kubeconfig.
      - V(refresh_ca) puts O(parameters.ca_pem) in the place of the CA in O(parameters.ca_file) and of that which O(parameters.kubeconfig) carries.
      - V(repair_modes) gives the folder of the certificates and its files the owner and modes that the kubelet gives them, and takes an immutable flag away.
      - V(repair_link) points C(kubelet-client-current.pem) to the newest file that holds a valid certificate and its key, and moves a left-over
        C(kubelet-client-updated.pem) aside.
      - V(free_space) removes old certificate files, never the two newest of a kind nor one in use. There is no backup of them.
        It fails where there is no room for a new certificate afterwards.
      - V(restart_kubelet) restarts the unit and waits until it stays active.
    type: str
    required: true
    choices: [enable_rotation, use_rotating_kubeconfig, rebootstrap, refresh_ca, repair_modes, repair_link, free_space, restart_kubelet]
  parameters:
    description: What the act works on. Each act says which of these it cannot do without.
    type: dict
    default: {}
    suboptions:
      kubeconfig:
        description: The path of the kubelet's kubeconfig.
        type: str
      kubelet_config:
        description: The path of the KubeletConfiguration, in YAML.
        type: str
      pki_path:
        description: The folder of the kubelet's certificates.
        type: str
      unit:
        description: The systemd unit that runs the kubelet.
        type: str
        default: kubelet
      ca_file:
        description: The path of the CA bundle.
        type: str
      bootstrap_kubeconfig:
        description: The path where the kubelet's unit looks for its bootstrap kubeconfig.
        type: str
      server:
        description: The URL of the API server, for V(rebootstrap). By default that of the kubeconfig.
        type: str
      ca_pem:
        description: CA certificates in PEM, and nothing else. Each must be a CA that has not ended.
        type: str
      remove:
        description: The names of the files that V(free_space) removes, like C(kubelet-client-2026-01-02-03-04-05.pem).
        type: list
        elements: str
      node:
        description: The node's name.
        type: str
      wait_for_new_certificate:
        description: Whether V(restart_kubelet) waits for a client certificate other than RV(before.certificate_sha256).
        type: bool
        default: false
  bound_to:
    description: What must still be so for the act to be done.
    type: dict
    default: {}
    suboptions:
      certificate_sha256:
        description: SHA-256 of the client certificate on disk, in hex. Null means that there is none. It is not checked when this key is absent.
        type: str
      files:
        description: Path to the SHA-256 of its content in hex, null for a file that is absent.
        type: dict
  bootstrap_token:
    description: The token for V(rebootstrap). It never appears in a result or as an argument of a process.
    type: str
  timeout:
    description: Seconds to wait at most for the kubelet and for a new certificate, from 5 to 3600.
    type: int
    default: 180
attributes:
  action:
    description: Runs as an action plugin on the control node.
    support: full
  async:
    description: Can run in the background.
    support: none
  check_mode:
    description: Says what it would change and changes nothing.
    support: full
  diff_mode:
    description: Shows the lines that change, without secrets.
    support: full
  platform:
    description: Systems that it can repair.
    support: full
    platforms: posix
notes:
  - It needs root, thus O(ignore:become=true). The one command that is run by become is C(/bin/sh).
  - V(use_rotating_kubeconfig) needs C(openssl) on the node, V(rebootstrap) and V(restart_kubelet) need C(systemctl).
seealso:
  - module: kubecare.kubelet_certs.node_probe
"""

EXAMPLES = r"""
- name: Switch rotation on, if the file is still the one that was looked at
  kubecare.kubelet_certs.node_repair:
    act: enable_rotation
    parameters:
      kubelet_config: /var/lib/kubelet/config.yaml
    bound_to:
      files:
        /var/lib/kubelet/config.yaml: "{{ seen_sha256 }}"
  become: true

- name: Restart the kubelet and wait for its new certificate
  kubecare.kubelet_certs.node_repair:
    act: restart_kubelet
    parameters:
      pki_path: /var/lib/kubelet/pki
      node: worker-7
      wait_for_new_certificate: true
    timeout: 300
  become: true

- name: Let an expired node bootstrap again
  kubecare.kubelet_certs.node_repair:
    act: rebootstrap
    parameters:
      kubeconfig: /etc/kubernetes/kubelet.conf
      pki_path: /var/lib/kubelet/pki
      bootstrap_kubeconfig: /etc/kubernetes/bootstrap-kubelet.conf
      node: worker-7
    bootstrap_token: "{{ made.token }}"
  become: true
  no_log: true
"""

RETURN = r"""
status:
  description: V(done), V(nothing_to_do), V(moved), V(failed) or V(rolled_back). The last three fail the task.
  returned: always
  type: str
  sample: done
act:
  description: The act.
  returned: always
  type: str
  sample: enable_rotation
message:
  description: What happened, in words.
  returned: always
  type: str
  sample: rotateCertificates is true in /var/lib/kubelet/config.yaml
changes:
  description: What was changed, or would be in check mode.
  returned: when the node answered in full
  type: list
  elements: str
  sample: ["set rotateCertificates: true in /var/lib/kubelet/config.yaml"]
backups:
  description: The backups that were made, on the node. They are yours to remove.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/kubelet/config.yaml.kubecare-20260102T030405Z]
before:
  description: The state before the act.
  returned: always
  type: dict
  sample: {active: active, certificate_sha256: null, not_after: null, files: {}}
  contains:
    active:
      description: What systemd says of the unit.
      returned: always
      type: str
    certificate_sha256:
      description: SHA-256 of the client certificate on disk, in hex.
      returned: always
      type: str
    not_after:
      description: When that certificate ends.
      returned: always
      type: str
    files:
      description: In RV(after), the files of O(bound_to.files) as that option has them. So the next act can be bound to what this one has made.
      returned: always
      type: dict
after:
  description: The state after the act, in the form of RV(before).
  returned: always
  type: dict
  sample: {active: active, certificate_sha256: null, not_after: null, files: {}}
"""
