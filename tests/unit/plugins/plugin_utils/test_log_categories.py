# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ruff: noqa: E501  the lines are as the kubelet writes them
"""Which line of which version of the kubelet means what."""

from __future__ import annotations

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._log_categories import CATEGORIES, categories_of

_CASES = [
    ('server.go:985] "Client rotation is on, will bootstrap in background"', ["rotation_enabled"]),
    ('transport.go:147] "Certificate rotation detected, shutting down client connections to start using new credentials"', ["rotated"]),
    ("csr.go:262] certificate signing request csr-x7k2p is issued", ["rotated"]),
    ('"Failed while requesting a signed certificate from the control plane" err="cannot create certificate signing request: Unauthorized" logger="kubernetes.io/kube-apiserver-client-kubelet.UnhandledError"', ["create_failed", "unauthorized"]),
    ("kubernetes.io/kube-apiserver-client-kubelet: Failed while requesting a signed certificate from the control plane: cannot create certificate signing request: Post \"https://api:6443/apis\": dial tcp 10.0.0.1:6443: connect: connection refused", ["create_failed", "connection_refused"]),
    ("Failed while requesting a signed certificate from the master: Unauthorized", ["create_failed", "unauthorized"]),
    ('{"ts":1700000000000.1,"msg":"Failed while requesting a signed certificate from the control plane","err":"cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden: User \\"system:anonymous\\" cannot create resource"}', ["create_failed", "forbidden", "anonymous"]),
    ('"Certificate request was not signed" err="timed out waiting for the condition"', ["not_signed"]),
    ("certificate request was not signed: timed out waiting for the condition", ["not_signed"]),
    ('"Certificate request was not signed" err="cannot watch on the certificate signing request: certificate signing request is denied, reason: KubectlDeny, message: no"', ["not_signed", "csr_denied"]),
    ('err="cannot watch on the certificate signing request: certificate signing request failed, reason: SignerValidationFailure, message: x"', ["csr_failed"]),
    ('"Unable to store the new cert/key pair" err="could not open \\"/var/lib/kubelet/pki/kubelet-client-1.pem\\": open /var/lib/kubelet/pki/kubelet-client-1.pem: read-only file system"', ["store_failed", "read_only"]),
    ('"Unable to store the new cert/key pair" err="failed to sync certificate data to disk: no space left on device (file: \\"x\\")"', ["store_failed", "disk_full"]),
    ('"Unable to store the new cert/key pair" err="could not open \\"/var/lib/kubelet/pki/kubelet-client-1.pem\\": permission denied"', ["store_failed", "permission_denied"]),
    ('err="expected \\"/var/lib/kubelet/pki/kubelet-client-current.pem\\" to be a symlink but it is a file"', ["not_a_symlink"]),
    ('"Reached backoff limit, still unable to rotate certs" err="timed out waiting for the condition"', ["backoff"]),
    ('"No valid client certificate is found and the server is responsive, exiting."', ["no_valid_certificate"]),
    ("It has been 5m0s since a valid client cert was found, but the server is not responsive.", ["no_valid_certificate"]),
    ("part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026-01-01 00:00:00 +0000 UTC", ["certificate_expired"]),
    ("Part of the existing bootstrap client certificate is expired: 2019-01-01 00:00:00 +0000 UTC", ["certificate_expired"]),
    ('"command failed" err="failed to run Kubelet: unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap-kubelet.conf: no such file or directory"', ["bootstrap_kubeconfig_missing", "start_failed"]),
    ('"command failed" err="failed to run Kubelet: invalid kubeconfig: x"', ["kubeconfig_unusable", "start_failed"]),
    ("unable to load TLS configuration from existing bootstrap client config read from /etc/kubernetes/kubelet.conf: open x: no such file", ["kubeconfig_unusable"]),
    ('"Failed to watch" err="failed to list *v1.Node: Get \\"https://api:6443/api/v1/nodes\\": dial tcp: lookup api on 10.0.0.2:53: no such host"', ["name_unresolved"]),
    ('err="Get \\"https://10.0.0.1:6443\\": dial tcp 10.0.0.1:6443: i/o timeout"', ["connection_timeout"]),
    ('err="Get \\"https://10.0.0.1:6443\\": net/http: TLS handshake timeout"', ["connection_timeout"]),
    ('err="dial tcp 10.0.0.1:6443: connect: no route to host"', ["connection_timeout"]),
    ('err="Get \\"https://a\\": tls: failed to verify certificate: x509: certificate signed by unknown authority"', ["server_untrusted"]),
    ('err="Get \\"https://a\\": x509: certificate has expired or is not yet valid: current time x is after y"', ["server_certificate_expired"]),
    ('err="Get \\"https://a\\": x509: certificate is valid for a, b, not c"', ["server_name_mismatch"]),
    ('err="x509: cannot validate certificate for 10.0.0.1 because it doesn\'t contain any IP SANs"', ["server_name_mismatch"]),
    ('err="admission webhook \\"w.example.com\\" denied the request: no"', ["admission_refused"]),
    ('err="certificatesigningrequests.certificates.k8s.io \\"csr-\\" is forbidden: can only create a node CSR with CN=system:node:X"', ["forbidden", "admission_refused", "identity_mismatch"]),
    ("http: TLS handshake error from 10.0.0.1:3: no serving certificate available for the kubelet", ["no_serving_certificate"]),
    ("could not convert data from \"x\" into cert/key pair: tls: private key does not match public key", ["store_failed", "key_mismatch"]),
    ('leases.coordination.k8s.io "new" is forbidden: User "system:node:old" cannot get resource "leases": can only access node lease with the same name as the requesting node', ["forbidden", "identity_mismatch"]),
    ('"Probe failed" probeType="Readiness" output="Get \\"http://10.1.1.1\\": dial tcp 10.1.1.1:80: connect: connection refused"', []),
    ('"Failed to pull image" err="PullImage: dial tcp: lookup registry on 10.0.0.2:53: no such host"', []),
    ('"SyncLoop ADD" source="api" pods=["kube-system/x"]', []),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), _CASES)
def test_categories_of(line: str, expected: list[str]) -> None:
    assert categories_of(f"E1123 10:00:00.000000     812 {line}") == expected


def test_every_category_is_met_by_a_line() -> None:
    assert set(CATEGORIES) == {name for _line, names in _CASES for name in names}


def test_the_node_sends_every_line_that_has_a_category() -> None:
    import re

    from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script

    script = build_script("n", {}).decode()
    wanted, unwanted = (
        re.search(rf"^LOG_{name}='(.*)'$", script, re.MULTILINE).group(1)  # type: ignore[union-attr]
        for name in ("WANTED", "UNWANTED")
    )
    for line, names in _CASES:
        if names:
            assert re.search(wanted, line.lower()), line
            assert not re.search(unwanted, line.lower()), line


def test_meanings_are_said_once() -> None:
    meanings = [category.meaning for category in CATEGORIES.values()]
    assert len(set(meanings)) == len(meanings)
    assert not [meaning for meaning in meanings if "\n" in meaning or meaning.endswith(".")]
