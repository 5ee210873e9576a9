# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The way through a probe pod: the script goes to a shell in the node's own root, by the API server's exec over a WebSocket.

The kubernetes client's own exec keeps all that comes, however much, and drops impersonation; so the connection is made here, by the
WebSocket library that it brings along. The subprotocol is Kubernetes' ``v4.channel.k8s.io``: the first byte of a message is its channel.
"""

from __future__ import annotations

import json
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Answer, Api, ApiError, explain
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    mapping,
    safe_text,
    sequence,
    text,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError, deadline
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import MAX_ANSWER_CHARS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.reply import Reply

try:
    import websocket
except ImportError:  # the kubernetes client needs it too, and its absence is told as that one's
    websocket = None  # type: ignore[assignment]

HOST_ROOT = "/host"
"""Where the pod has the node's root mounted, read-only."""
COMMAND = ("chroot", HOST_ROOT, "/bin/sh")
MAX_BYTES = 2 * MAX_ANSWER_CHARS
"""Of all that may come over the wire; the answer is cut to ``MAX_ANSWER_CHARS`` later."""
_CHUNK = 16 * 1024
_MAX_COMPLAINT = 64 * 1024
_STDIN, _STDOUT, _STDERR, _ERROR = range(4)


class _TooMuchError(Exception):
    """More came than any probe says."""


def find_pod(api: Api, node: str, namespace: str, selector: str) -> tuple[str, str]:
    """``(name, container)`` of a probe pod that is ready on the node. Raises ApiError, with the reason not_found where there is none."""
    path = f"/api/v1/namespaces/{urllib.parse.quote(namespace, safe='')}/pods"
    pods = api.get_json(path, fieldSelector=f"spec.nodeName={node}", labelSelector=selector, resourceVersion="0")
    found = [mapping(pod) for pod in sequence(pods.get("items"))]
    for pod in found:
        metadata, spec, status = (mapping(pod.get(key)) for key in ("metadata", "spec", "status"))
        containers = [text(mapping(entry).get("name")) for entry in sequence(spec.get("containers"))]
        name = text(metadata.get("name"))
        if name and containers and containers[0] and not metadata.get("deletionTimestamp") and _ready(status):
            return name, containers[0]
    what = "is not ready" if found else "is there"
    raise ApiError(
        "not_found", f"{'the' if found else 'no'} probe pod of the node {what} (namespace {namespace}, {selector})"
    )


def _ready(status: Data) -> bool:
    conditions = [mapping(entry) for entry in sequence(status.get("conditions"))]
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def send_script(api: Api, namespace: str, pod: str, container: str, script: bytes, seconds: int) -> Reply:
    """Runs the script in the pod for at most ``seconds``. What came by then is in the reply, also of a way that broke off.

    The script ends by itself (its own time limit, ``exit`` as its last line); where the connection goes first, it ends when it next
    writes a line.
    """
    sent_at = time.time()
    came: dict[int, list[bytes]] = {channel: [] for channel in (_STDOUT, _STDERR, _ERROR)}
    broke: tuple[str, str] | None = None
    try:
        with deadline(seconds):
            _exchange(api, _url(api, namespace, pod, container), script, seconds, came)
    except NoAnswerInTimeError:
        broke = "timeout", f"no answer within {seconds} seconds"
    except _TooMuchError:
        broke = "too_large", f"more than {MAX_BYTES} bytes came"
    except ApiError as error:
        broke = error.reason, error.message
    except (websocket.WebSocketException, OSError, ValueError) as error:
        reason, message = explain(error, seconds)
        broke = reason, f"exec in the probe pod: {message}"
    said, complaint = (b"".join(came[channel]) for channel in (_STDOUT, _STDERR))
    reply = Reply(
        said.decode("utf-8", "surrogateescape"),
        sent_at,
        time.time(),
        complaint=" ".join((safe_text(complaint[-_MAX_COMPLAINT:].decode("utf-8", "replace"), 65536) or "").split())[
            -400:
        ],
        broke=broke,
    )
    if broke is None:
        reply.status, problem = _outcome(b"".join(came[_ERROR]))
        reply.complaint = reply.complaint or problem
        if reply.status is None:
            reply.broke = "error", problem or "the exec in the probe pod ended before the script did"
    return reply


def _url(api: Api, namespace: str, pod: str, container: str) -> str:
    parts = urllib.parse.urlsplit(str(api.access.configuration.host))
    quoted = [urllib.parse.quote(part, safe="") for part in (namespace, pod)]
    query = [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
    query += [("command", word) for word in COMMAND]
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path}/api/v1/namespaces/{quoted[0]}/pods/{quoted[1]}/exec"
    return urllib.parse.urlunsplit((scheme, parts.netloc, path, urllib.parse.urlencode(query), ""))


def _exchange(api: Api, url: str, script: bytes, seconds: int, came: dict[int, list[bytes]]) -> None:
    """Fills ``came``, channel by channel, until the other side closes."""
    socket = _bounded_socket(sslopt=_tls(api.access.configuration), skip_utf8_validation=True)
    try:
        try:
            socket.connect(
                url,
                header=[f"{name}: {value}" for name, value in api.access.headers],
                subprotocols=["v4.channel.k8s.io"],
                suppress_origin=True,
                redirect_limit=0,
                timeout=min(api.timeout, seconds),
                **_proxy(api.access.configuration),
            )
        except websocket.WebSocketBadStatusException as error:
            now = time.time()
            Api.checked(Answer(error.status_code, {}, getattr(error, "resp_body", None) or b"", now, now))
            raise
        socket.settimeout(seconds)
        for start in range(0, len(script), _CHUNK):
            socket.send_binary(bytes((_STDIN,)) + script[start : start + _CHUNK])
        while True:
            code, frame = socket.recv_data_frame(True)
            if code == websocket.ABNF.OPCODE_CLOSE:
                return
            data = frame.data if code in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) else b""
            if len(data) > 1 and data[0] in came:
                came[data[0]].append(data[1:])
            if data[:1] == bytes((_ERROR,)) and len(data) > 1:
                return
    finally:
        socket.shutdown()


def _bounded_socket(**options: t.Any) -> t.Any:
    """A WebSocket that gives up when more than ``MAX_BYTES`` have come: the library has no bound of its own, not even for one frame."""

    class Bounded(websocket.WebSocket):
        left = MAX_BYTES

        def _recv(self, bufsize: int) -> bytes:
            part: bytes = super()._recv(bufsize)
            self.left -= len(part)
            if self.left < 0:
                raise _TooMuchError
            return part

    return Bounded(**options)


def _tls(configuration: t.Any) -> dict[str, t.Any]:
    if not configuration.host.startswith("https:"):
        return {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif configuration.ssl_ca_cert:
        context.load_verify_locations(configuration.ssl_ca_cert)
    else:
        context.load_default_certs()
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    name = getattr(configuration, "tls_server_name", None)
    return {"context": context, **({"server_hostname": name} if name else {})}


def _proxy(configuration: t.Any) -> dict[str, t.Any]:
    """As the client's other requests: by its configuration alone, not by this process's environment."""
    if not configuration.proxy:
        return {"http_no_proxy": ["*"]}
    parts = urllib.parse.urlsplit(configuration.proxy)
    options: dict[str, t.Any] = {
        "proxy_type": "http",
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or 3128,
        "http_no_proxy": [name.strip() for name in (configuration.no_proxy or "").split(",") if name.strip()],
    }
    if parts.username:
        options["http_proxy_auth"] = (
            urllib.parse.unquote(parts.username),
            urllib.parse.unquote(parts.password or ""),
        )
    return options


def _outcome(status: bytes) -> tuple[int | None, str]:
    """``(exit status, message)`` of the Status object that ends an exec; None where it says nothing of an exit."""
    try:
        said = mapping(json.loads(status or b"{}"))
    except (ValueError, RecursionError):
        return None, ""
    if said.get("status") == "Success":
        return 0, ""
    causes = [mapping(cause) for cause in sequence(mapping(said.get("details")).get("causes"))]
    code = next((text(cause.get("message")) for cause in causes if cause.get("reason") == "ExitCode"), None)
    exit_status = int(code) if code and code.isdigit() and len(code) < 4 else None
    return exit_status, safe_text(said.get("message"), 400) or ""
