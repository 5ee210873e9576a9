# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What goes to the node for a repair and what comes back. Pure: nothing is read but the script's own files.

The script is the probe's ground (10_base, 30_files, 40_config) and the parts in ``script``. Settings are shell variables ``KCR_…`` at its
top, so parameters, and the bootstrap token among them, are never an argument of a process.
"""

from __future__ import annotations

import base64
import datetime
import os
import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _x509
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._patterns import (
    CERTIFICATES,
    DATED_FILE,
    MAX_FILES,
    MAX_NODE_CHARS,
    MAX_PEM_CHARS,
    MAX_REMOVED,
    MAX_SERVER_CHARS,
    MAX_UNIT_CHARS,
    NODE,
    SERVER,
    SHA256,
    UNIT,
    is_plain_path,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    Answer,
    Section,
    build_script,
    script_parts,
)

Data = dict[str, t.Any]

ACTS: t.Final = (
    "enable_rotation",
    "use_rotating_kubeconfig",
    "rebootstrap",
    "refresh_ca",
    "repair_modes",
    "repair_link",
    "free_space",
    "restart_kubelet",
)
PATHS: t.Final = ("kubeconfig", "kubelet_config", "pki_path", "ca_file", "bootstrap_kubeconfig")
PARAMETERS: t.Final = (*PATHS, "unit", "server", "ca_pem", "remove", "node", "wait_for_new_certificate")
STATUSES: t.Final = ("done", "nothing_to_do", "moved", "failed", "rolled_back")
LIMIT_BEYOND_TIMEOUT = 90
"""Seconds that an act may take besides its waiting, which takes ``timeout`` at most."""

_SHARED_PARTS = ("10_base.sh", "30_files.sh", "40_config.sh")


def repair_script(nonce: str, settings: t.Mapping[str, str | int]) -> bytes:
    """The whole script. Raises ValueError when a setting holds a line break or a NUL."""
    shared = [path for path in script_parts() if os.path.basename(path) in _SHARED_PARTS]
    own = script_parts(os.path.join(os.path.dirname(__file__), "script"))
    return build_script(nonce, settings, [*shared, *own])


def repair_settings(
    act: str, parameters: Data, bound_to: Data, token: str | None, timeout: int, check: bool
) -> dict[str, str | int]:
    """The script's variables. Raises ValueError, in words without secrets, when something is not what it must be."""
    if act not in ACTS:
        raise ValueError(f"act must be one of {', '.join(ACTS)}")
    if unknown := sorted(set(map(str, parameters)) - set(PARAMETERS)):
        raise ValueError(f"parameters: unknown: {', '.join(unknown)}"[:200])
    if unknown := sorted(set(map(str, bound_to)) - {"certificate_sha256", "files"}):
        raise ValueError(f"bound_to: unknown: {', '.join(unknown)}"[:200])
    paths = {name: _path(f"parameters.{name}", parameters.get(name)) for name in PATHS}
    wait = parameters.get("wait_for_new_certificate", False)
    if not isinstance(wait, bool):
        raise ValueError("parameters.wait_for_new_certificate must be true or false")
    if token is not None and (act != "rebootstrap" or not re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token)):
        raise ValueError("bootstrap_token is for rebootstrap only and must have the form of one")
    if act == "rebootstrap" and token is None:
        raise ValueError("rebootstrap needs bootstrap_token")
    return {
        "KCR_ACT": act,
        "KCR_CHECK": "yes" if check else "no",
        "KCR_TIMEOUT": timeout,
        "KCR_LIMIT": timeout + LIMIT_BEYOND_TIMEOUT,
        "KCR_KUBECONFIG": paths["kubeconfig"],
        "KCR_CONFIG": paths["kubelet_config"],
        "KCR_PKI": paths["pki_path"],
        "KCR_CA_FILE": paths["ca_file"],
        "KCR_BOOTSTRAP": paths["bootstrap_kubeconfig"],
        "KCR_UNIT": _word("parameters.unit", parameters.get("unit") or "kubelet", UNIT, MAX_UNIT_CHARS),
        "KCR_NODE": _word("parameters.node", parameters.get("node"), NODE, MAX_NODE_CHARS),
        "KCR_SERVER": _word("parameters.server", parameters.get("server"), SERVER, MAX_SERVER_CHARS),
        "KCR_CA_PEM": _ca(parameters.get("ca_pem")),
        "KCR_REMOVE": " ".join(_names(parameters.get("remove"))),
        "KCR_WAIT": "yes" if wait else "no",
        "KCR_TOKEN": token or "",
        **_bound(bound_to),
    }


def repair_result(answer: Answer, act: str, check: bool) -> Data:
    """The task's result from the node's answer, without ``diff``. An answer that was cut short is a failure."""
    outcome = answer.first("outcome")
    status = outcome.one("status") if outcome else None
    result: Data = {
        "act": act,
        "before": _state(answer.first("before")),
        "after": _state(answer.first("after")),
    }
    if outcome is None or status not in STATUSES or not answer.finished:
        message = "the node's answer broke off; what was changed there is not known"
        return {
            **result,
            "status": "failed",
            "changed": not check,
            "message": message,
            "backups": [],
            **_failed("failed", message),
        }
    done = status == "done"
    result.update(
        status=status,
        changed=done if check else bool(outcome.yes("changed")),
        message=("would be done: " if check and done else "") + (outcome.one("message") or ""),
        changes=outcome.all("change")[:200],
        backups=outcome.all("backup")[:200],
    )
    if status not in ("done", "nothing_to_do"):
        result.update(_failed(str(status), result["message"]))
    return result


def _failed(status: str, message: str) -> Data:
    return {"failed": True, "msg": f"{status}: {message}"}


def repair_diff(answer: Answer) -> list[Data]:
    """What ``--diff`` shows: for each file the lines that change. Secrets are not in it: the node does not send them."""
    files: dict[str, Data] = {}
    for section in answer.every("diff"):
        entry = files.setdefault(
            section.name, {"before_header": section.name, "after_header": section.name, "before": "", "after": ""}
        )
        for side in ("before", "after"):
            entry[side] += "".join(f"{line}\n" for line in section.all(side) if line)
    return list(files.values())


def _state(section: Section | None) -> Data:
    """The node's state: ``active`` (systemd's word for the unit), the client certificate on disk, null where it is not known, and
    ``files``, those that the act is bound to, as ``bound_to`` has them."""
    state: Data = {"active": section.one("active") if section else None, "certificate_sha256": None, "not_after": None}
    files = [line.partition(" ") for line in (section.all("file") if section else ())]
    state["files"] = {path: None if digest == "none" else digest for digest, _space, path in files if digest != "other"}
    der = section.one("cert") if section else None
    if section and der:
        pem = b"-----BEGIN CERTIFICATE-----\n" + der.encode("ascii", "replace") + b"\n-----END CERTIFICATE-----\n"
        record = _x509.first_certificate(pem) or {}
        state["certificate_sha256"] = section.one("sha256")
        state["not_after"] = record.get("not_after")
    return state


def _path(name: str, value: t.Any) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not is_plain_path(value):
        raise ValueError(f"{name} must be an absolute path of plain characters, without '..' and a slash at its end")
    return value


def _word(name: str, value: t.Any, pattern: re.Pattern[str], longest: int) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > longest or not pattern.fullmatch(value):
        raise ValueError(f"{name} is not valid")
    return value


def _names(value: t.Any) -> list[str]:
    names = [] if value is None else value
    if not isinstance(names, list) or len(names) > MAX_REMOVED:
        raise ValueError(f"parameters.remove must be a list of at most {MAX_REMOVED} names")
    for name in names:
        if not isinstance(name, str) or not DATED_FILE.fullmatch(name):
            raise ValueError("parameters.remove: only names like kubelet-client-2026-01-02-03-04-05.pem may be removed")
    return list(names)


def _ca(value: t.Any) -> str:
    """The CA certificates as one line of base64. Raises ValueError unless each is a CA that has not ended."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > MAX_PEM_CHARS or not CERTIFICATES.fullmatch(value):
        raise ValueError("parameters.ca_pem must hold CERTIFICATE blocks in PEM, and nothing else")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    for record in _x509.certificates_in(value.encode("ascii")):
        if "error" in record:
            raise ValueError("parameters.ca_pem holds a certificate that cannot be decoded")
        if not record.get("is_ca"):
            raise ValueError("parameters.ca_pem holds a certificate that is no CA")
        if str(record.get("not_after")) <= now:
            raise ValueError("parameters.ca_pem holds a certificate that has ended")
    lines = [line for line in value.split("\n") if line]
    return base64.b64encode(("\n".join(lines) + "\n").encode("ascii")).decode("ascii")


def _bound(bound_to: Data) -> dict[str, str | int]:
    """``certificate_sha256``: absent is not checked, null is *there is none*. ``files``: path → SHA-256, null is *absent*."""
    settings: dict[str, str | int] = {"KCR_BOUND_CERT": ""}
    if "certificate_sha256" in bound_to:
        settings["KCR_BOUND_CERT"] = _digest("bound_to.certificate_sha256", bound_to["certificate_sha256"])
    files = bound_to.get("files") or {}
    if not isinstance(files, dict) or len(files) > MAX_FILES:
        raise ValueError(f"bound_to.files must have at most {MAX_FILES} paths")
    for number, (path, digest) in enumerate(files.items(), 1):
        settings[f"KCR_BOUND_PATH_{number}"] = _path("bound_to.files: a path", path)
        settings[f"KCR_BOUND_SHA_{number}"] = _digest("bound_to.files: a digest", digest)
    settings["KCR_BOUND_COUNT"] = len(files)
    return settings


def _digest(name: str, value: t.Any) -> str:
    if value is None:
        return "none"
    text = value.replace(":", "").lower() if isinstance(value, str) else ""
    if not SHA256.fullmatch(text):
        raise ValueError(f"{name} must be a SHA-256 in hex, or null")
    return text
