# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The two ways into a node that go through the API server. This loads the kubernetes client, which SSH does without."""

from __future__ import annotations

import contextlib
import tempfile
import time
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import (
    KUBERNETES_IMPORT_ERROR,
    KUBERNETES_REQUIREMENT,
    ConfigurationMistake,
    access,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._node_hosts import NODE_NAME
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import unreachable
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.api_only import api_only
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.pod import find_pod, send_script
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.reply import evidence_of

MAX_KUBELET_BYTES = 16 * 1024 * 1024
"""Of one answer that a kubelet gives through the API server."""


@contextlib.contextmanager
def connected(options: Data, temporary: str) -> t.Iterator[Api]:
    """The API server that the options lead to; credentials that must be files are in ``temporary`` for as long as this is open.

    Raises:
        ValueError: what the user gave cannot be used, in words.
    """
    if KUBERNETES_IMPORT_ERROR is not None:
        raise ConfigurationMistake(f"the Python package {KUBERNETES_REQUIREMENT} is needed on the control node")
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        yield Api(access(options, folder), options["request_timeout"], max_bytes=MAX_KUBELET_BYTES)


def evidence_by_pod(api: Api, host: str, options: Data, nonce: str, script: bytes, seconds: int) -> Data:
    """The evidence by a probe pod, whose answer is waited for at most ``seconds``."""
    node = _node_name(host, options)
    if node is None:
        return _no_node(host)
    namespace = options["pod_namespace"]
    try:
        pod, container = find_pod(api, node, namespace, options["pod_selector"])
    except ApiError as error:
        return unreachable(host, time.time(), error.reason, error.message)
    reply = send_script(api, namespace, pod, container, script, seconds)
    return _explained(evidence_of(reply, nonce, host, options["timeout"], options["log_lines"]))


def evidence_by_api(api: Api, host: str, options: Data) -> Data:
    """The evidence that the API alone gives."""
    node = _node_name(host, options)
    if node is None:
        return _no_node(host)
    unit = options["kubelet_unit"] or "kubelet"
    return _explained(api_only(api, node, host, options["log_since_seconds"], options["log_lines"], unit))


def _explained(evidence: Data) -> Data:
    """A kubelet whose own client certificate has ended lets nobody in, as it asks the API server about everybody; it says so in few words."""
    for entry in evidence["not_seen"]:
        if "Authorization error (user=" in entry["message"] or entry["message"].endswith("HTTP 401: Unauthorized"):
            entry["message"] += ": it cannot ask the API server who may; has its own client certificate ended?"
    return evidence


def _node_name(host: str, options: Data) -> str | None:
    name = str(options["node_name"] or host).lower()
    return name if NODE_NAME.fullmatch(name) else None


def _no_node(host: str) -> Data:
    message = "this can be no Node's name; which one the host is, says the option node_name"
    return unreachable(host, time.time(), "not_found", message)
