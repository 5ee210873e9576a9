# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Which approver of kubelets' requests is installed, by its Deployment or DaemonSet, as ``docs/evidence.md`` (``approvers``) has it.

The names, labels and images are those of each project's own manifests and charts: postfinance/kubelet-csr-approver (``charts/``,
``deploy/k8s``), alex1989hu/kubelet-serving-cert-approver (``deploy/base``), openshift/cluster-machine-approver (``manifests/``),
kontena/kubelet-rubber-stamp (``deploy/``).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    integer,
    labels,
    mapping,
    moment,
    safe_text,
    sequence,
    text,
    texts,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all

WORKLOADS = {"Deployment": "/apis/apps/v1/deployments", "DaemonSet": "/apis/apps/v1/daemonsets"}

APPROVERS = {
    "kubelet-csr-approver": ("kubelet-csr-approver",),
    "kubelet-serving-cert-approver": ("kubelet-serving-cert-approver",),
    "machine-approver": ("machine-approver", "cluster-machine-approver", "origin-cluster-machine-approver"),
    "kubelet-rubber-stamp": ("kubelet-rubber-stamp", "kubelet-rubber-stamp-amd64"),
}
"""Approver → the names by which its image's last part, a label, its container or the workload itself is called."""

SETTINGS = frozenset(
    {
        "provider-regex",
        "provider-ip-prefixes",
        "max-expiration-sec",
        "bypass-dns-resolution",
        "bypass-hostname-check",
        "ignore-non-system-node",
        "skip-deny-step",
        "allowed-dns-names",
    }
)
"""Flags of kubelet-csr-approver (``internal/cmd/cmd.go``), each also an environment variable: PROVIDER_REGEX. Nothing else is told."""

_LABELS = ("app.kubernetes.io/name", "app", "name", "k8s-app")


def approver_evidence(api: Api, page_size: int) -> list[Data]:
    """The approvers of all namespaces, by namespace and name. Raises ApiError when one of the two kinds cannot be listed."""
    found: list[Data] = []
    for kind, path in WORKLOADS.items():
        records = list_all(api, path, page_size, lambda item, kind=kind: approver_record(kind, item))  # type: ignore[misc]
        found += [record for record in records if record is not None]
    return sorted(found, key=lambda record: (record["namespace"] or "", record["name"] or "", record["kind"]))


def approver_record(kind: str, item: Data) -> Data | None:
    """One workload as evidence; None when it is no approver that is known."""
    metadata, spec, status = (mapping(item.get(part)) for part in ("metadata", "spec", "status"))
    template = mapping(spec.get("template"))
    containers = [mapping(entry) for entry in sequence(mapping(template.get("spec")).get("containers"))]
    marks = {**labels(metadata.get("labels")), **labels(mapping(template.get("metadata")).get("labels"))}
    by_workload = _approver_of([text(metadata.get("name")), *(marks.get(key) for key in _LABELS)])
    by_container = ((_approver_of([_image_name(entry), text(entry.get("name"))]), entry) for entry in containers)
    main = next((entry for entry in containers if entry.get("name") != "kube-rbac-proxy"), {})
    approver, container = next(((name, entry) for name, entry in by_container if name), (by_workload, main))
    if approver is None:
        return None
    is_set = kind == "DaemonSet"
    desired = integer(status.get("desiredNumberScheduled")) if is_set else integer(spec.get("replicas", 1))
    return {
        "approver": approver,
        "kind": kind,
        "name": text(metadata.get("name")),
        "namespace": text(metadata.get("namespace")),
        "image": text(container.get("image"), 256),
        "desired": desired,
        "ready": integer(status.get("numberReady" if is_set else "readyReplicas", 0)) if status else None,
        "created": moment(metadata.get("creationTimestamp")),
        "settings": settings_of(container),
    }


def settings_of(container: Data) -> dict[str, str | None]:
    """The settings of SETTINGS, by flag, whether given as a flag or in the environment; None where another object holds the value.

    A flag beats the environment (``peterbourgon/ff``).
    """
    found: dict[str, str | None] = {}
    for entry in map(mapping, sequence(container.get("env"))):
        name = str(entry.get("name")).lower().replace("_", "-")
        if name in SETTINGS:
            found[name] = safe_text(entry.get("value"), 512)
    words = [*texts(container.get("command")), *texts(container.get("args"))]
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name in SETTINGS:
            found[name] = safe_text(value if equals else "true" if following.startswith("-") else following, 512)
    return found


def _image_name(container: Data) -> str | None:
    """``registry:5000/a/name:v1@sha256:…`` → ``name``."""
    image = text(container.get("image"), 256) or ""
    return re.split(r"[:@]", image.rpartition("/")[2])[0] or None


def _approver_of(names: t.Iterable[str | None]) -> str | None:
    given = {name for name in names if name}
    return next((approver for approver, known in APPROVERS.items() if given.intersection(known)), None)
