# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Certificate signing requests as ``docs/evidence.md`` (*cluster/csr_info.json*) has them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    condition,
    integer,
    managed_fields,
    mapping,
    moment,
    sequence,
    text,
    texts,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import first_certificate, request_record

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
KUBELET_SIGNERS = (CLIENT_SIGNER, SERVING_SIGNER)
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

NODE_PREFIX = "system:node:"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
MAX_PEM_BYTES = 64 * 1024
"""A request or certificate of a kubelet is about 1 KiB; etcd would take 1.5 MiB."""


def csr_evidence(api: Api, signers: t.Sequence[str], page_size: int) -> Data:
    """``{csrs, last_issued, not_seen}``, oldest request first. All of it is null when the list of any signer could not be read."""
    try:
        csrs = [
            csr
            for signer in dict.fromkeys(signers)
            for csr in list_all(api, CSRS, page_size, csr_record, fieldSelector=f"spec.signerName={signer}")
        ]
    except ApiError as error:
        return {"csrs": None, "last_issued": None, "not_seen": [error.not_seen("csrs")]}
    csrs.sort(key=lambda csr: (csr["created"] or "", csr["name"] or ""))
    return {"csrs": csrs, "last_issued": last_issued(csrs), "not_seen": []}


def last_issued(csrs: t.Iterable[Data]) -> dict[str, str]:
    """The newest issue of each signer; a signer that issued nothing of these is absent."""
    newest: dict[str, str] = {}
    for csr in csrs:
        signer, since = csr["signer_name"], csr["state_since"]
        if csr["state"] == "issued" and signer and since and since > newest.get(signer, ""):
            newest[signer] = since
    return newest


def issue_record(csr: Data) -> Data:
    """The part of ``csr_record`` that ``last_issued`` needs: nothing is decoded."""
    status = mapping(csr.get("status"))
    state, since = _state(csr, status)
    return {"signer_name": text(mapping(csr.get("spec")).get("signerName")), "state": state, "state_since": since}


def csr_record(csr: Data) -> Data:
    """One CertificateSigningRequest. Whatever in it cannot be decoded becomes ``error``."""
    metadata, spec, status = (mapping(csr.get(part)) for part in ("metadata", "spec", "status"))
    request, error = _decoded_request(spec.get("request"))
    common_name: str = (request or {}).get("common_name") or ""
    state, since = _state(csr, status)
    return {
        "name": text(metadata.get("name")),
        "uid": text(metadata.get("uid")),
        "created": moment(metadata.get("creationTimestamp")),
        "signer_name": text(spec.get("signerName")),
        "requestor": text(spec.get("username")),
        "groups": texts(spec.get("groups")),
        "presented_sha256": _presented(mapping(spec.get("extra"))),
        "node": common_name[len(NODE_PREFIX) :] or None if common_name.startswith(NODE_PREFIX) else None,
        "usages": texts(spec.get("usages")),
        "requested_duration_seconds": integer(spec.get("expirationSeconds")),
        "request": request,
        "request_sha256": _digest(spec.get("request")),
        "error": error,
        "conditions": [
            {
                **condition(entry),
                "last_update": moment(entry.get("lastUpdateTime")),
                "last_transition": moment(entry.get("lastTransitionTime")),
            }
            for entry in map(mapping, sequence(status.get("conditions")))
        ],
        "state": state,
        "state_since": since,
        "certificate": _decoded_certificate(status.get("certificate")),
        "managed_fields": managed_fields(metadata),
    }


def _state(csr: Data, status: Data) -> tuple[str, str | None]:
    """``(state, since)``. A certificate makes a request issued whatever its conditions; Failed beats Denied beats Approved.

    No condition tells when a certificate was issued: the write of ``status.certificate`` in ``managedFields`` does, and where that is
    not recorded, the approval, which a living signer follows within a second.
    """
    metadata = mapping(csr.get("metadata"))
    conditions = {
        str(entry.get("type")): entry
        for entry in map(mapping, sequence(status.get("conditions")))
        if entry.get("status", "True") == "True"
    }
    if status.get("certificate"):
        return "issued", _issue_time(metadata) or _decided(conditions.get("Approved"))
    for kind, state in (("Failed", "failed"), ("Denied", "denied"), ("Approved", "approved_not_signed")):
        if kind in conditions:
            return state, _decided(conditions[kind])
    return "pending", moment(metadata.get("creationTimestamp"))


def _decided(entry: Data | None) -> str | None:
    source = entry or {}
    return moment(source.get("lastTransitionTime")) or moment(source.get("lastUpdateTime"))


def _issue_time(metadata: Data) -> str | None:
    times = [
        moment(entry.get("time"))
        for entry in map(mapping, sequence(metadata.get("managedFields")))
        if "f:certificate" in mapping(mapping(entry.get("fieldsV1")).get("f:status"))
    ]
    return max((time for time in times if time), default=None)


def _presented(extra: Data) -> str | None:
    """The fingerprint of the client certificate that the request came with, which the API server notes since Kubernetes 1.32
    (``apiserver/pkg/authentication/request/x509/x509.go``: CommonNameUserConversion); None for a token and before."""
    for value in texts(extra.get(CREDENTIAL_ID)) or ():
        kind, _equals, digest = value.partition("=")
        if kind == "X509SHA256" and re.fullmatch(r"[0-9a-f]{64}", digest):
            return digest
    return None


def _decoded_request(value: t.Any) -> tuple[Data | None, str | None]:
    pem = _base64(value)
    return (
        (None, "cannot be decoded: spec.request is no base64 text of its size") if pem is None else request_record(pem)
    )


def _digest(value: t.Any) -> str | None:
    """SHA-256 of the request's bytes as they were sent, by which a plan knows it again; None where they cannot be had."""
    pem = _base64(value)
    return None if pem is None else hashlib.sha256(pem).hexdigest()


def _decoded_certificate(value: t.Any) -> Data | None:
    if not value:
        return None
    pem = _base64(value)
    if pem is None:
        return {"error": "cannot be decoded: status.certificate is no base64 text of its size"}
    return first_certificate(pem) or {"error": "cannot be decoded: status.certificate holds no certificate"}


def _base64(value: t.Any) -> bytes | None:
    if not isinstance(value, str) or len(value) > MAX_PEM_BYTES * 4 // 3:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None
