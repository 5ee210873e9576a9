# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The way through the API alone: what a kubelet tells of itself through the API server's node proxy, and the certificate on its port.

It tells its configuration (``/configz``), when its certificates end (``/metrics``), whether it is well (``/healthz``) and, where
``enableSystemLogQuery`` is on, its log. Its files, its process and its way to the API server are not seen, and that is said.
"""

from __future__ import annotations

import json
import math
import re
import time
import typing as t
import urllib.parse
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Answer, Api, ApiError, explain
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import mapping, sequence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._nodes import NODES, node_record
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._presented import presented_certificates
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import from_epoch
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import blank, unreachable
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.log import log
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    Section,
    plain,
    script_parts,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data

MAX_LOG_LINES = 20_000
_MAX_LINE = 65_536
_KUBELET_PORT = 10250
_BEYOND = "is not seen through the API alone: that takes SSH or a probe pod"
_HIDDEN = (
    "root",
    "kubelet",
    "kubeconfig",
    "bootstrap_kubeconfig",
    "pki",
    "client_ca_file",
    "denials",
    "control_plane",
    "network",
)
"""Keys of the evidence that only the node itself can tell."""

_METRICS = {
    "process_start_time_seconds": "started",
    "kubelet_certificate_manager_client_ttl_seconds": "client_not_after",
    "kubelet_certificate_manager_server_ttl_seconds": "serving_not_after",
    "kubelet_certificate_manager_client_expiration_renew_errors": "client_renew_errors",
    "kubelet_server_expiration_renew_errors": "serving_renew_errors",
}
_METRIC = re.compile(r"^(\w+) (\S{1,40})$")
_EXEC_CALLS = re.compile(r"^rest_client_exec_plugin_call_total\{[^}]*\} ([0-9.e+]{1,40})$")
_BUILD = re.compile(r'^kubernetes_build_info\{[^}]*git_version="([A-Za-z0-9.+-]{1,60})"')
_CONFIG = {
    "rotateCertificates": ("rotate_certificates", bool),
    "serverTLSBootstrap": ("server_tls_bootstrap", bool),
    "tlsCertFile": ("tls_cert_file", str),
    "tlsPrivateKeyFile": ("tls_private_key_file", str),
    "enableServer": ("enable_server", bool),
}
_JOURNAL_LINE = re.compile(r"^([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d)\.\d+ \S+ [^ ]*\[\d+\]: (.*)$")
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_=-]{40,}")


def api_only(
    api: Api,
    node: str,
    host: str,
    log_since_seconds: int,
    log_lines: int,
    unit: str,
    clock: t.Callable[[], float] = time.time,
) -> Data:
    """The evidence of one node as the API shows it; of one whose kubelet did not answer, that it could not be reached."""
    record, complaint = _node(api, node)
    if record is None:
        return unreachable(host, clock(), complaint.reason, complaint.message)
    base = f"{NODES}/{urllib.parse.quote(node, safe='')}/proxy"
    seen: dict[str, Answer] = {}
    not_seen: list[Data] = []
    first: ApiError | None = None
    for part, subject in (("configz", "config"), ("metrics", "metrics"), ("healthz", "healthz")):
        try:
            seen[part] = _of_kubelet(api, f"{base}/{part}")
        except ApiError as error:
            first = first or error
            not_seen.append(error.not_seen(subject))
    if not seen:
        return unreachable(host, clock(), t.cast("ApiError", first).reason, t.cast("ApiError", first).message)
    evidence = blank(host, clock(), True)
    evidence.update(hostname=node, addresses=_addresses(record), not_seen=not_seen, metrics=None)
    for key in _HIDDEN:
        not_seen.append({"subject": key, "reason": "unsupported", "message": f"{key} {_BEYOND}"})
    configz: Data = {}
    if "configz" in seen:
        configz = _configz(seen["configz"])
        evidence["config"] = _config(configz)
        if evidence["config"] is None:
            not_seen.append({"subject": "config", "reason": "malformed", "message": "/configz is no configuration"})
    if "metrics" in seen:
        evidence["metrics"] = _metrics(seen["metrics"])
    evidence["clock"] = _clock(next(iter(seen.values())))
    port = record["kubelet_port"] or _KUBELET_PORT
    address = _address(record)
    if "healthz" in seen:
        status = seen["healthz"].status
        evidence["healthz"] = {"address": address, "port": port, "answer": "answered", "http_status": status}
    evidence["serving"] = _serving(address, port, api.timeout, not_seen)
    evidence["log"] = _log(api, base, configz, unit, log_since_seconds, log_lines, clock(), not_seen)
    return evidence


def _node(api: Api, name: str) -> tuple[Data | None, ApiError]:
    """The Node's record; else why there is none. By list, which the audit identity may."""
    absent = ApiError("not_found", f"there is no Node {name}; which one this host is, says the option node_name")
    try:
        items = sequence(api.get_json(NODES, fieldSelector=f"metadata.name={name}", resourceVersion="0").get("items"))
    except ApiError as error:
        return None, error
    return (node_record(mapping(items[0])) if items else None), absent


def _of_kubelet(api: Api, path: str, **query: t.Any) -> Answer:
    """What the kubelet answers, an unhealthy ``/healthz`` too. Raises ApiError for what the API server says in its place."""
    answer = api.send("GET", path, query=query)
    if path.endswith("/healthz") and answer.status == 500 and answer.body.startswith((b"[+]", b"[-]")):
        return answer
    try:
        return Api.checked(answer)
    except ApiError as error:
        if answer.status in (502, 503, 504):
            raise ApiError("unreachable", error.message, answer.status) from None
        raise


def _addresses(record: Data) -> list[str]:
    kinds = ("InternalIP", "ExternalIP")
    return [str(entry["address"]) for kind in kinds for entry in record["addresses"] if entry["type"] == kind]


def _address(record: Data) -> str | None:
    """Where the API server, by its default, looks for the kubelet: the host name last."""
    return next(iter([*_addresses(record), *(str(entry["address"]) for entry in record["addresses"])]), None)


def _configz(answer: Answer) -> Data:
    try:
        return mapping(mapping(json.loads(answer.body)).get("kubeletconfig"))
    except (ValueError, RecursionError):
        return {}


def _config(given: Data) -> Data | None:
    """The configuration in effect, flags and drop-ins in it. A switch that is off is left out of ``/configz`` (Go's ``omitempty``)."""
    if given.get("kind") != "KubeletConfiguration":
        return None
    result: Data = {"source": "configz", "exists": True, "drop_ins": [], "unset": []}
    for name, (key, kind) in _CONFIG.items():
        value = given.get(name)
        if kind is bool:
            result[key] = value is True if value is None or isinstance(value, bool) else None
        else:
            result[key] = plain(value) if isinstance(value, str) and value else None
    # The kubelet writes the self-signed pair that it made for itself into its own configuration (InitializeTLS).
    if str(result["tls_cert_file"]).endswith("/kubelet.crt") and str(result["tls_private_key_file"]).endswith(
        "/kubelet.key"
    ):
        result.update(tls_cert_file=None, tls_private_key_file=None)
    authority = mapping(mapping(given.get("authentication")).get("x509")).get("clientCAFile")
    result["client_ca_file"] = plain(authority) if isinstance(authority, str) and authority else None
    texts = ("tls_cert_file", "tls_private_key_file", "client_ca_file")
    result["unset"] = [key for key in texts if result[key] is None]
    gates = list(mapping(given.get("featureGates")).items())[:400]
    result["feature_gates"] = {plain(str(name)): value for name, value in gates if isinstance(value, bool)}
    return result


def _metrics(answer: Answer) -> Data:
    """The few that tell of certificates; a time to live is counted from the answer's own time, so by the clock that it is from."""
    found: Data = dict.fromkeys((*_METRICS.values(), "version", "exec_plugin_calls"))
    sent = _date(answer) or answer.received
    for line in answer.body.decode("utf-8", "replace").splitlines():
        build = _BUILD.match(line) if line.startswith("kubernetes_build_info") else None
        if build:
            found["version"] = build[1]
        # Without a call there is no such line; that this version counts them is told by the gauge beside it.
        if line.startswith("rest_client_exec_plugin_"):
            calls = _EXEC_CALLS.match(line)
            counted = _number("exec_plugin_calls", calls[1], sent) if calls else None
            if calls or line.startswith("rest_client_exec_plugin_ttl_seconds "):
                found["exec_plugin_calls"] = int(found["exec_plugin_calls"] or 0) + int(counted or 0)
        matched = _METRIC.match(line) if line.startswith(("kubelet_", "process_")) else None
        key = _METRICS.get(matched[1]) if matched else None
        if matched and key:
            found[key] = _number(key, matched[2], sent)
    return found


def _number(key: str, said: str, sent: float) -> str | int | None:
    try:
        value = float(said)
    except ValueError:
        return None
    if not math.isfinite(value) or abs(value) > 2**40:
        return None
    if key.endswith(("errors", "calls")):
        return int(value)
    try:
        return from_epoch(int(value if key == "started" else sent + value))
    except ValueError:
        return None


def _date(answer: Answer) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Date") or "").timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _clock(answer: Answer) -> Data | None:
    """The node's clock by the Date of its answer, which the proxy hands on; in whole seconds, so half of one is added."""
    date = _date(answer)
    if date is None:
        return None
    keys = ("synchronized", "source", "boot_time", "uptime_seconds", "suspended_seconds", "previous_boot_end")
    offset = round(date + 0.5 - (answer.sent + answer.received) / 2)
    return {"time": from_epoch(int(date)), "offset_seconds": offset, **dict.fromkeys(keys)}


def _serving(address: str | None, port: int, timeout: float, not_seen: list[Data]) -> Data | None:
    """What the kubelet's port presents to this machine. A port that cannot be reached from here may be open for the API server."""
    if address is None:
        not_seen.append({"subject": "serving", "reason": "not_found", "message": "the Node has no address"})
        return None
    try:
        certificates = presented_certificates(address, port, min(timeout, 10))
    except OSError as error:
        reason, message = explain(error, min(timeout, 10))
        where = f"{address}:{port} from the control node"
        not_seen.append({"subject": "serving", "reason": reason, "message": f"{where}: {message}"})
        return None
    return {"address": address, "port": port, "connect": "ok", "certificates": certificates, "error": None}


def _log(
    api: Api, base: str, configz: Data, unit: str, since_seconds: int, cap: int, now: float, not_seen: list[Data]
) -> Data | None:
    """The kubelet's log by NodeLogQuery, which is asked for only where the configuration says that it is on."""
    if not (configz.get("enableSystemLogQuery") is True and configz.get("enableSystemLogHandler") is not False):
        why = "enableSystemLogQuery is off in the kubelet's configuration" if configz else "/configz was not seen"
        not_seen.append({"subject": "log", "reason": "disabled" if configz else "error", "message": why})
        return None
    since = int(now) - since_seconds
    query = {"query": unit.removesuffix(".service"), "sinceTime": from_epoch(since), "tailLines": MAX_LOG_LINES}
    try:
        answer = _of_kubelet(api, f"{base}/logs/", **query)
    except ApiError as error:
        not_seen.append(error.not_seen("log"))
        return None
    lines = [found for line in answer.body.split(b"\n") if (found := _JOURNAL_LINE.match(_decoded(line)))]
    if not lines:
        message = "the log query gave no line of a journal: the kubelet logs elsewhere, or under another unit"
        not_seen.append({"subject": "log", "reason": "not_found", "message": message})
        return None
    section = Section("log", "journal", {"since": [str(since)], "complete": ["yes"], "lines": [str(len(lines))]})
    section.values["first"], section.values["last"] = [_moment(lines[0])], [_moment(lines[-1])]
    section.values["shape"] = [
        f"1 {_moment(line)} {_moment(line)} {_hidden(line[4])}" for line in lines if _wanted(line[4])
    ]
    if len(lines) >= MAX_LOG_LINES:
        section.values["partial"] = ["yes"]
    result = log(section, cap, datetime.fromtimestamp(now, timezone.utc))
    if result is not None and result["lines"] is None:
        message = f"only the newest {MAX_LOG_LINES} lines were asked for; counts are of these"
        not_seen.append({"subject": "log.lines", "reason": "too_large", "message": message})
    return result


def _decoded(line: bytes) -> str:
    return line[:_MAX_LINE].decode("utf-8", "replace")


def _moment(line: re.Match[str]) -> str:
    """As ``values.log_time`` reads syslog's times; the kubelet asks journalctl for UTC."""
    return f"{line[1]}_{line[2]}_{line[3]}"


def _hidden(message: str) -> str:
    """Without what is shaped like a secret or, as in the probe's script, like base64."""

    def word(found: re.Match[str]) -> str:
        said = found[0]
        kinds = all(re.search(kind, said) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
        return "[removed]" if len(said) >= 100 or (kinds and not said.startswith("node-csr-")) else said

    return _LONG_WORD.sub(word, plain(message))


def _wanted(message: str) -> bool:
    """Whether the probe's script would take this line; its own patterns say."""
    wanted, unwanted = _patterns()
    low = message.lower()
    kept = "command failed" in low or "failed to run kubelet" in low
    return bool(wanted.search(low)) and (kept or not unwanted.search(low))


_COMPILED: list[re.Pattern[str]] = []


def _patterns() -> list[re.Pattern[str]]:
    if not _COMPILED:
        (path,) = (part for part in script_parts() if part.endswith("_log.sh"))
        with open(path, encoding="utf-8") as stream:
            script = stream.read()
        for name in ("LOG_WANTED", "LOG_UNWANTED"):
            found = re.search(rf"(?m)^{name}='(.*)'$", script)
            _COMPILED.append(re.compile(t.cast("re.Match[str]", found)[1]))
    return _COMPILED
