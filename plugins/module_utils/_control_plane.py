# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The control plane as ``docs/evidence.md`` (*cluster/control_plane_info.json*) has it: health, CAs, controller manager."""

from __future__ import annotations

import base64
import email.utils
import re
import shlex
import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._admission import admission_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Answer, Api, ApiError, explain
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._approvers import approver_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import (
    CSRS,
    KUBELET_SIGNERS,
    issue_record,
    last_issued,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    integer,
    last_change,
    lease,
    mapping,
    moment,
    safe_text,
    sequence,
    text,
    texts,
    truth,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._presented import presented_certificates
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import certificates_in, public_pem

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
MANAGER = "kube-controller-manager"
MANAGER_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{MANAGER}"
MANAGER_SELECTORS = (f"component={MANAGER}", f"k8s-app={MANAGER}", f"app={MANAGER}")
CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
ROOT_CA_NAMESPACES = ("kube-public", "kube-system", "default")

_FLAGS = re.compile(
    r"cluster-signing-[a-z-]+|controllers|root-ca-file|client-ca-file|requestheader-client-ca-file|use-service-account-credentials"
    r"|leader-elect(?:-[a-z-]+)?|feature-gates|kubeconfig|authentication-kubeconfig|authorization-kubeconfig|v"
)
"""The flags that bear on signing; others may hold what is nobody's business."""


_SIGNATURE = re.compile(r"jws-kubeconfig-([a-z0-9]{6})")
_CHECK = re.compile(r"^\[([+-])\](\S+) ?(.*)$")


class _Seen:
    """Reads one subject after the other; what fails is None and in ``not_seen``."""

    def __init__(self) -> None:
        self.not_seen: list[Data] = []

    def of(self, subject: str, read: t.Callable[[], t.Any]) -> t.Any:
        try:
            return read()
        except ApiError as error:
            self.not_seen.append(error.not_seen(subject))
            return None


def control_plane_evidence(api: Api, with_last_issued: bool, page_size: int) -> Data:
    """All of the evidence but ``collected_at``. Certificates presented are read also when the server is not trusted or refuses requests."""
    seen = _Seen()
    answer: Answer | None = seen.of("api_server.version", lambda: api.get("/version"))
    evidence = {
        "api_server": {
            "url": api.access.url,
            "version": seen.of("api_server.version", lambda: _version(answer)) if answer else None,
            "time": None,
            "time_offset_seconds": None,
            "readyz": seen.of("api_server.readyz", lambda: _health(api, "/readyz")),
            "livez": seen.of("api_server.livez", lambda: _health(api, "/livez")),
            "serving_certificates": seen.of("api_server.serving_certificates", lambda: _presented(api)),
            "pods": seen.of("api_server.pods", lambda: _api_server_pods(api, page_size)),
        },
        "client_ca": seen.of("client_ca", lambda: _client_ca(api)),
        "cluster_ca": seen.of("cluster_ca", lambda: _cluster_ca(api)),
        "cluster_info": seen.of("cluster_info", lambda: _cluster_info(api)),
        "controller_manager": {
            "lease": seen.of("controller_manager.lease", lambda: _manager_lease(api)),
            "pods": seen.of("controller_manager.pods", lambda: _manager_pods(api, page_size)),
        },
        "approvers": seen.of("approvers", lambda: approver_evidence(api, page_size)),
        "admission": seen.of("admission", lambda: admission_evidence(api, page_size)),
        "last_issued": seen.of("last_issued", lambda: _last_issued(api, page_size, with_last_issued)),
        "not_seen": seen.not_seen,
    }
    server = evidence["api_server"]
    server["time"], server["time_offset_seconds"] = clock(api.first_answer) if api.first_answer else (None, None)
    server["reachable"] = api.answered
    server["error"] = None
    if not api.answered and api.failure:
        server["error"] = {"reason": api.failure.reason, "message": api.failure.message}
    return evidence


def clock(answer: Answer) -> tuple[str | None, int | None]:
    """``(time, offset)`` of the Date header; the offset, its time minus this machine's, is good to a second and half the round trip."""
    try:
        date = email.utils.parsedate_to_datetime(answer.headers.get("Date") or "")
        seconds = date.timestamp()
        return format_time(date), round(seconds - (answer.sent + answer.received - 1) / 2)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None, None


def health(body: str, status: int) -> Data:
    """The answer of ``/readyz?verbose`` (``apiserver/pkg/server/healthz``): a line a check, ``[+]etcd ok``, ``[-]etcd failed: …``.

    A check that the query excluded says ``excluded: ok``. The status decides: 200 is ready.
    """
    checks = []
    for line in body.splitlines()[:500]:
        match = _CHECK.match(line)
        if match:
            sign, name, message = match.groups()
            checks.append(
                {
                    "name": text(name, 256),
                    "ok": sign == "+",
                    "message": "" if message == "ok" else safe_text(message, 256),
                }
            )
    return {"ok": status == 200, "checks": checks}


def flags_of(container: Data) -> dict[str, str]:
    """The flags of a container's command that bear on signing, without dashes; of one that is set twice the last, as in Go's ``flag``.

    ``--name value`` and a shell's ``-c "exec kube-controller-manager --name=value"`` are understood as well.
    """
    words: list[str] = []
    for word in texts(container.get("command")) + texts(container.get("args")):
        if MANAGER in word and " --" in word:
            try:
                words += shlex.split(word)
            except ValueError:
                words += word.split()
        else:
            words.append(word)
    found: dict[str, str] = {}
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else "-"
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            value = "true" if following.startswith("-") else following
        if _FLAGS.fullmatch(name):
            found[name] = safe_text(value) or ""
    return found


def pod_record(pod: Data) -> Data:
    """One pod of the controller manager. A termination's message is a program's free text: clipped, and rid of what looks like a secret."""
    metadata, spec, status = (mapping(pod.get(part)) for part in ("metadata", "spec", "status"))
    containers = [mapping(entry) for entry in sequence(spec.get("containers"))]
    container = next(
        (entry for entry in containers if entry.get("name") == MANAGER), containers[0] if containers else {}
    )
    statuses = [mapping(entry) for entry in sequence(status.get("containerStatuses"))]
    state = next((entry for entry in statuses if entry.get("name") == container.get("name")), {})
    ended = mapping(mapping(state.get("lastState")).get("terminated")) or mapping(
        mapping(state.get("state")).get("terminated")
    )
    return {
        "name": text(metadata.get("name")),
        "node": text(spec.get("nodeName")),
        "phase": text(status.get("phase")),
        "ready": truth(state.get("ready")),
        "restarts": integer(state.get("restartCount")),
        "started": moment(mapping(mapping(state.get("state")).get("running")).get("startedAt")),
        "waiting": text(mapping(mapping(state.get("state")).get("waiting")).get("reason")),
        "last_termination": {
            "reason": text(ended.get("reason")),
            "message": safe_text(ended.get("message"), 500),
            "exit_code": integer(ended.get("exitCode")),
            "finished": moment(ended.get("finishedAt")),
        }
        if ended
        else None,
        "flags": flags_of(container),
    }


def _version(answer: Answer) -> str | None:
    match = re.search(rb'"gitVersion"\s*:\s*"([^"\\]{1,64})"', answer.body[:65536])
    if not match:
        raise ApiError("malformed", "/version: the answer names no gitVersion")
    return text(match.group(1).decode("utf-8", "replace"))


def _health(api: Api, path: str) -> Data:
    answer = api.send("GET", path, query={"verbose": "true"})
    body = answer.body[:65536].decode("utf-8", "replace")
    if answer.status == 200 or "[-]" in body:
        return health(body, answer.status)
    api.checked(answer)
    raise ApiError("malformed", f"{path}: HTTP {answer.status} without a check")


def _presented(api: Api) -> list[Data]:
    configuration = api.access.configuration
    if configuration.proxy:
        raise ApiError("unsupported", "the API server is asked through a proxy, which hides the handshake")
    parts = urllib.parse.urlsplit(configuration.host)
    if parts.scheme != "https":
        raise ApiError("unsupported", "the API server is asked without TLS")
    try:
        return presented_certificates(
            parts.hostname or "", parts.port or 443, api.timeout, getattr(configuration, "tls_server_name", None)
        )
    except (OSError, ValueError) as error:
        reason, message = explain(error, api.timeout)
        raise ApiError(reason, f"{api.access.url}: {message}") from error


def _client_ca(api: Api) -> Data:
    path = f"{KUBE_SYSTEM}/configmaps/extension-apiserver-authentication"
    return _bundle(api.get_json(path), "client-ca-file", path)


def _cluster_ca(api: Api) -> Data:
    """Every namespace has the same ConfigMap, so the first that may be read will do. ``pem``: its certificates, for a node that lacks them."""
    *others, last = [f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt" for namespace in ROOT_CA_NAMESPACES]
    for path in others:
        try:
            return _bundle(api.get_json(path), "ca.crt", path, with_pem=True)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
    return _bundle(api.get_json(last), "ca.crt", last, with_pem=True)


def _cluster_info(api: Api) -> Data | None:
    """What kubeadm tells nodes that join. None where there is none: a cluster that kubeadm did not make.

    ``tokens``: public ids of the bootstrap tokens for which the bootstrap signer keeps a signature here
    (``pkg/controller/bootstrap/bootstrapsigner.go``): those that exist, have not expired and say usage-bootstrap-signing.
    """
    try:
        config_map = api.get_json(CLUSTER_INFO)
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    data = mapping(config_map.get("data"))
    return {
        **cluster_of(text(data.get("kubeconfig"), 256 * 1024) or ""),
        "tokens": sorted(match.group(1) for match in map(_SIGNATURE.fullmatch, data) if match),
    }


def cluster_of(kubeconfig: str) -> Data:
    """``server`` (scheme, host and port) and ``certificates`` of the one cluster of kubeadm's cluster-info, which is public."""
    server = re.search(
        r"^\s*(?:- )?server:\s*[\"']?(https://[A-Za-z0-9.:\[\]-]{1,300})[\"']?\s*$", kubeconfig, re.MULTILINE
    )
    ca = re.search(
        r"^\s*(?:- )?certificate-authority-data:\s*[\"']?([A-Za-z0-9+/=]+)[\"']?\s*$", kubeconfig, re.MULTILINE
    )
    try:
        pem = base64.b64decode(ca.group(1), validate=True) if ca else b""
    except ValueError:
        pem = b""
    return {"server": server.group(1) if server else None, "certificates": certificates_in(pem)}


def _bundle(config_map: Data, key: str, path: str, with_pem: bool = False) -> Data:
    pem = mapping(config_map.get("data")).get(key)
    if not isinstance(pem, str):
        raise ApiError("not_found", f"{path}: has no key {key}")
    if len(pem) > 512 * 1024:
        raise ApiError("too_large", f"{path}: {key} is larger than 512 KiB")
    changed, _manager = last_change(mapping(config_map.get("metadata")))
    raw = pem.encode("utf-8", "replace")
    bundle = {"certificates": certificates_in(raw), "last_changed": changed}
    return {**bundle, "pem": public_pem(raw)} if with_pem else bundle


def _manager_lease(api: Api) -> Data:
    spec = mapping(api.get_json(MANAGER_LEASE).get("spec"))
    return {**lease(spec), "transitions": integer(spec.get("leaseTransitions"))}


def _manager_pods(api: Api, page_size: int) -> list[Data]:
    for selector in MANAGER_SELECTORS:
        pods = list_all(api, f"{KUBE_SYSTEM}/pods", page_size, pod_record, labelSelector=selector)
        if pods:
            return sorted(pods, key=lambda pod: pod["name"] or "")
    return []


def _api_server_pods(api: Api, page_size: int) -> list[Data]:
    pods = list_all(
        api, f"{KUBE_SYSTEM}/pods", page_size, api_server_pod_record, labelSelector="component=kube-apiserver"
    )
    return sorted(pods, key=lambda pod: pod["name"] or "")


def api_server_pod_record(pod: Data) -> Data:
    """One pod of the API server: where, since when, of which image (an upgrade changes it). Its flags stay where they are."""
    metadata, spec, status = (mapping(pod.get(part)) for part in ("metadata", "spec", "status"))
    state = next((mapping(entry) for entry in sequence(status.get("containerStatuses"))), {})
    container = next((mapping(entry) for entry in sequence(spec.get("containers"))), {})
    return {
        "name": text(metadata.get("name")),
        "node": text(spec.get("nodeName")),
        "ready": truth(state.get("ready")),
        "restarts": integer(state.get("restartCount")),
        "started": moment(mapping(mapping(state.get("state")).get("running")).get("startedAt")),
        "image": text(container.get("image")),
    }


def _last_issued(api: Api, page_size: int, wanted: bool) -> dict[str, str]:
    if not wanted:
        raise ApiError("disabled", "the option last_issued is false")
    return last_issued(
        record
        for signer in KUBELET_SIGNERS
        for record in list_all(api, CSRS, page_size, issue_record, fieldSelector=f"spec.signerName={signer}")
    )
