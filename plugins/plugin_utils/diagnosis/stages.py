# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The nine stages of a rotation, in causal order: the spine of signals, rules, report and docs."""

from __future__ import annotations

import typing as t


class Stage(t.NamedTuple):
    """``deciders``: signals of which at least one must be known before the stage may be called ok."""

    name: str
    title: str
    question: str
    deciders: tuple[str, ...]
    facts: tuple[str, ...]
    """Templates of short facts (see ``quote.fill``); one whose value is unknown is left out."""


STAGES = (
    Stage(
        "kubelet",
        "Kubelet",
        "Is a kubelet running here, as the node it thinks it is, and can it read its configuration?",
        ("kubelet.running",),
        (
            "unit {kubelet.unit} is {kubelet.unit_state}",
            "process since {kubelet.started}",
            "version {kubelet.version}",
            "distribution: {distribution.title}",
            "/healthz: {kubelet.healthz}",
        ),
    ),
    Stage(
        "configuration",
        "Configuration",
        "Is rotation on, and does the kubeconfig use the rotated file?",
        ("rotation.client", "kubeconfig.user_kind"),
        (
            "rotateCertificates: {rotation.client_setting}",
            "serverTLSBootstrap: {rotation.serving_setting}",
            "credentials: {kubeconfig.user_kind}",
        ),
    ),
    Stage(
        "schedule",
        "Schedule",
        "Is a rotation due (70 to 90 % of the lifetime), and is the clock right?",
        ("client_certificate.used_percent",),
        (
            "{client_certificate.used_percent} % of the lifetime used",
            "rotates between {client_certificate.rotation_from} and {client_certificate.rotation_until}",
            "a restart renews it from {renewal.due_since}",
            "clock {clock.offset_seconds} s off",
        ),
    ),
    Stage(
        "connection",
        "Connection",
        "Name, route, port, TLS both ways, authentication: does the node reach the API server?",
        ("connection.connect", "connection.resolved"),
        (
            "{connection.host}:{connection.port} {connection.connect}",
            "{connection.host} leads to {connection.resolved_to}",
            "through the proxy {connection.via_proxy}",
            "TLS {connection.tls}",
            "server trusted: {connection.server_trusted}, for that name: {connection.server_name_matches}, until {connection.server_not_after}",
            "answers HTTP {connection.http_status} to {connection.identity}",
        ),
    ),
    Stage(
        "request",
        "Request",
        "May the node create a CSR: RBAC, bootstrap token, admission?",
        ("rbac.node_create_csr.allowed", "csr.client.seen"),
        ("may create CSRs: {rbac.node_create_csr.allowed}", "requests since the last certificate: {csr.client.total}"),
    ),
    Stage(
        "approval",
        "Approval",
        "Who should approve the CSR, and why is it pending or denied?",
        ("rbac.auto_approval", "csr.client.pending"),
        (
            "renewals are approved: {rbac.auto_approval}",
            "pending: {csr.client.pending} client, {csr.serving.pending} serving",
            "approvers installed for serving certificates: {approvers.installed}",
            "{csr.client.replay.csr}: {csr.client.replay.approver.name} {csr.client.replay.decision}",
            "{csr.serving.replay.csr}: {csr.serving.replay.approver.name} {csr.serving.replay.decision}",
            "{csr.note}",
        ),
    ),
    Stage(
        "signing",
        "Signing",
        "Is the controller manager alive, its signer on, its CA and key a pair?",
        ("controller_manager.alive", "controller_manager.signer_on"),
        (
            "controller manager renewed its lease {controller_manager.lease_age_seconds} s ago",
            "signer on: {controller_manager.signer_on}",
        ),
    ),
    Stage(
        "storage",
        "Storage",
        "Can the kubelet store the certificate: disk, permissions, symlink, mount?",
        ("storage.writable", "storage.free_bytes"),
        ("{storage.path} writable: {storage.writable}", "{storage.free_bytes} bytes free"),
    ),
    Stage(
        "use",
        "Use",
        "Does the kubelet use the certificate, and does the API server accept it?",
        ("connection.http_status", "node.ready"),
        (
            "Ready: {node.ready}",
            "the API server knows it as {connection.identity}",
            "served is the one on disk: {serving_certificate.served_matches_disk}",
        ),
    ),
)

CSR_STAGES = ("request", "approval", "signing")
"""Gone through only where the kubelet asks for its certificate by a CSR."""

ORDER = {stage.name: index for index, stage in enumerate(STAGES)}
