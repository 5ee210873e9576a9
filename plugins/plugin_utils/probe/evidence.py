# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""An answer of the probe as the evidence of one node (``docs/evidence.md``, *nodes/<inventory host>.json*)."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import from_epoch
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe import files
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe import kubelet as kubelets
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.log import log
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.network import etcd, network, serving
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Answer
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data

MAX_NOT_SEEN = 64
CUT = "the node's answer ended before this was said"

_KEYS = (
    "root", "hostname", "addresses", "clock", "kubelet", "kubeconfig", "config", "pki", "bootstrap_kubeconfig", "client_ca_file",
    "denials", "control_plane", "log", "serving", "healthz", "network",
)  # fmt: skip
_STAGE_OF = {
    "node": "root", "process": "kubelet", "unit": "kubelet", "kubeconfig": "kubeconfig", "config": "config", "pki": "pki", "file": "pki",
    "bootstrap": "bootstrap_kubeconfig", "client_ca": "client_ca_file", "denials": "denials", "manifest": "control_plane", "ca_file": "control_plane",
    "manager_kubeconfig": "control_plane", "manager_log": "control_plane",
    "log": "log", "serving": "serving", "healthz": "healthz", "network": "network", "etcd": "network", "address": "network", "proxy": "network",
}  # fmt: skip
"""Section kind → the key it fills, in the order in which the node is asked (see ``_KEYS``)."""


def blank(host: str, now: float, reachable: bool) -> Data:
    """The evidence of a host of which nothing is known yet; ``now`` is this machine's clock in seconds since 1970."""
    return {
        "collected_at": from_epoch(int(now)),
        "inventory_hostname": host,
        "reachable": reachable,
        **dict.fromkeys(_KEYS),
        "not_seen": [],
    }


def unreachable(host: str, now: float, reason: str, message: str) -> Data:
    """The evidence of a host that gave no answer."""
    return {
        **blank(host, now, False),
        "not_seen": [{"subject": "node", "reason": reason, "message": message}],
    }


def build_evidence(answer: Answer, host: str, sent_at: float, answered_at: float, log_lines: int, why_cut: str) -> Data:
    """The evidence of a host that answered, whole or in part.

    ``sent_at`` and ``answered_at`` are this machine's clock in seconds since 1970. Where an answer was cut, the key it was cut in and those
    after it are null, with ``why_cut`` (timeout or error) as the reason.
    """
    not_seen = [dict(entry) for entry in answer.not_seen]

    def missing(subject: str, reason: str, message: str) -> None:
        not_seen.append({"subject": subject, "reason": reason, "message": message})

    node = answer.first("node")
    now = datetime.fromtimestamp(answered_at, timezone.utc)
    evidence = blank(host, answered_at, True)
    if node is not None:
        evidence["root"] = node.yes("root")
        evidence["hostname"] = node.name or None
        evidence["addresses"] = [ip for ip in node.all("ip") if not ip.startswith(("127.", "fe80:", "::1"))]
        evidence["clock"] = kubelets.clock(node, answer.end_time, sent_at, answered_at)
        if evidence["clock"]["synchronized"] is None:
            missing("clock.synchronized", "missing_tool", "timedatectl did not say")
    if answer.first("process") is not None:
        evidence["kubelet"] = kubelets.kubelet(answer)
        if evidence["kubelet"]["flags"] is None:
            inside = evidence["kubelet"]["binary"] not in (None, "kubelet")
            why = "the kubelet runs inside a larger process that hands it none" if inside else "no kubelet runs"
            missing("kubelet.flags", "not_found", f"{why} and no unit of it tells its flags")
    flags = (evidence["kubelet"] or {}).get("flags")
    evidence["kubeconfig"] = files.kubeconfig(answer.first("kubeconfig"), "kubeconfig", missing)
    evidence["bootstrap_kubeconfig"] = files.kubeconfig(answer.first("bootstrap"), "bootstrap_kubeconfig", missing)
    evidence["config"] = files.config(answer.first("config"), flags, missing)
    evidence["pki"] = files.pki(answer, evidence["root"], missing)
    evidence["client_ca_file"] = files.client_ca(answer.first("client_ca"), missing)
    evidence["denials"] = None
    if not any(entry["subject"] == "denials" for entry in not_seen):
        evidence["denials"] = kubelets.denials(answer.first("denials"))
    evidence["control_plane"] = files.control_plane(answer, missing)
    evidence["log"] = log(answer.first("log"), log_lines, now)
    denied = any(entry["subject"] == "log" for entry in not_seen)
    if evidence["log"] is not None and evidence["log"]["source"] == "none":
        missing("log.lines", "not_found", "neither a journal nor a log file of the kubelet was found")
    elif evidence["log"] is not None and evidence["log"]["lines"] is None and not denied:
        missing("log.lines", "timeout", "the log could not be read to the end in time; counts are of the newest lines")
    evidence["serving"] = serving(answer.first("serving"))
    if evidence["control_plane"] is not None:
        evidence["control_plane"]["etcd"] = etcd(answer)
    evidence["healthz"] = kubelets.healthz(answer.first("healthz"))
    unit = (evidence["kubelet"] or {}).get("unit") or {}
    kubeconfigs = {key: evidence[key] for key in ("kubeconfig", "bootstrap_kubeconfig")}
    evidence["network"] = network(answer, kubeconfigs, unit.get("proxies") or {}, missing)
    if denied:
        evidence["log"] = None
    if not answer.finished:
        _forget_cut(answer, evidence, not_seen, why_cut)
    evidence["not_seen"] = not_seen[:MAX_NOT_SEEN]
    return evidence


def _forget_cut(answer: Answer, evidence: Data, not_seen: list[dict[str, str]], why: str) -> None:
    last = _STAGE_OF.get(answer.sections[-1].kind, "clock") if answer.sections else "root"
    for key in _KEYS[_KEYS.index(last) :]:
        evidence[key] = None
        not_seen[:] = [entry for entry in not_seen if entry["subject"].partition(".")[0] != key]
        not_seen.append({"subject": key, "reason": why, "message": CUT})
