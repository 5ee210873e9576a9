# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a node everything about its kubelet's certificates in one round trip: a POSIX-shell script on stdin, one answer."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._secrets import without_secrets
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import CRYPTOGRAPHY_IMPORT_ERROR
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError, deadline
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import node_file
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import identity
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import (
    CUT,
    build_evidence,
    unreachable,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    MAX_ANSWER_CHARS,
    build_script,
    plain,
    read_answer,
)

Data = dict[str, t.Any]

GRACE_SECONDS = 20
"""What the control side allows beyond the node's own time limit, for the way there and back."""

ARGUMENT_SPEC: t.Final[Data] = {
    "dest": {"type": "path"},
    "node_name": {"type": "str"},
    "timeout": {"type": "int", "default": 60},
    "log_since_seconds": {"type": "int", "default": 86400},
    "log_lines": {"type": "int", "default": 40},
    "log_file": {"type": "str"},
    "kubelet_unit": {"type": "str"},
    "kubeconfig": {"type": "str"},
    "kubelet_config": {"type": "str"},
    "pki_path": {"type": "str"},
    "manifests_path": {"type": "str"},
    "proc_path": {"type": "str", "default": "/proc"},
    "api_probe": {"type": "bool", "default": True},
}

_LIMITS = {"timeout": (5, 3600), "log_since_seconds": (60, 31 * 86400), "log_lines": (0, 1000)}


class ActionModule(ActionBase):
    """The action behind the module of the same name."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Data | None = None) -> Data:
        """Probes the node; a node that cannot be probed is a result, not a failure."""
        super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        for name, (low, high) in _LIMITS.items():
            if not low <= options[name] <= high:
                raise AnsibleActionFail(f"{name} must be between {low} and {high}")
        if CRYPTOGRAPHY_IMPORT_ERROR is not None:
            raise AnsibleActionFail("the Python package cryptography is needed on the control node")
        host = str((task_vars or {}).get("inventory_hostname") or "localhost")
        evidence = {**self._probe(host, options), "inventory_node": options["node_name"]}
        result: Data = {
            "changed": False,
            "reachable": evidence["reachable"],
            "identity": identity(evidence),
            "not_seen": evidence["not_seen"],
        }
        if not options["dest"]:
            return {**result, "evidence": evidence}
        path = node_file(os.path.expanduser(options["dest"]), host)
        try:
            write_json(path, evidence)
        except OSError as error:
            raise AnsibleActionFail(f"{path}: cannot be written: {error.strerror}") from error
        return {**result, "dest": path}

    def _probe(self, host: str, options: Data) -> Data:
        nonce = secrets.token_hex(12)
        try:
            script = build_script(nonce, _settings(options))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        sent_at = time.time()
        try:
            with deadline(options["timeout"] + GRACE_SECONDS):
                reply = self._low_level_execute_command("/bin/sh", in_data=script)
        except NoAnswerInTimeError as error:
            seconds = options["timeout"] + GRACE_SECONDS
            _end_process(error)
            message = f"no answer within {seconds} seconds"
            return self._what_came(error, nonce, host, sent_at, options, "timeout", message)
        except AnsibleConnectionFailure as error:
            message = self._harmless(error)
            return self._what_came(error, nonce, host, sent_at, options, _reason(message, "unreachable"), message)
        except AnsibleError as error:
            message = self._harmless(error)
            return unreachable(host, time.time(), _reason(message, "error"), message)
        answered_at = time.time()
        said = str(reply.get("stdout") or "")
        answer = read_answer(said, nonce)
        if not answer.started:
            complaint = without_secrets(str(reply.get("stderr") or "").strip()[-65536:])  # whole, before it is cut
            words = self._harmless(complaint[-600:] or _not_the_probe(said))
            message = f"the probe did not run (status {reply.get('rc')}): {words}"
            reason = "too_large" if len(said) > MAX_ANSWER_CHARS else _reason_of_status(reply.get("rc"))
            return unreachable(host, answered_at, _reason(words, reason), message)
        late = answered_at - sent_at >= options["timeout"]
        return build_evidence(answer, host, sent_at, answered_at, options["log_lines"], "timeout" if late else "error")

    def _what_came(
        self, error: Exception, nonce: str, host: str, sent_at: float, options: Data, reason: str, message: str
    ) -> Data:
        """The evidence of a host whose answer broke off: the part that came, else that it could not be reached."""
        now = time.time()
        said = _received(error)
        answer = read_answer(said[: MAX_ANSWER_CHARS * 2].decode("utf-8", "surrogateescape"), nonce)
        if not answer.sections:
            message += f"; {len(said)} bytes came, none of them the probe's" if said.strip() else ""
            return unreachable(host, now, reason, message)
        evidence = build_evidence(answer, host, sent_at, now, options["log_lines"], reason)
        for entry in evidence["not_seen"]:
            if entry["message"] == CUT:
                entry["message"] = f"{CUT}: {message}"
        return evidence

    def _harmless(self, error: Exception | str) -> str:
        """An error's text without the passwords of the connection, on one line."""
        text = error if isinstance(error, str) else str(getattr(error, "message", "") or error)
        for holder in (self._connection, getattr(self._connection, "become", None)):
            for option in ("password", "become_pass", "private_key_passphrase"):
                try:
                    secret = holder.get_option(option) if holder is not None else None
                except (AnsibleError, KeyError, AttributeError):
                    continue
                if secret:
                    text = text.replace(str(secret), "[removed]")
        return plain(" ".join(text.split()))[:400]


def _settings(options: Data) -> dict[str, str | int]:
    return {
        "KCP_TIMEOUT": options["timeout"],
        "KCP_LOG_SINCE": options["log_since_seconds"],
        "KCP_LOG_LINES": options["log_lines"],
        "KCP_LOG_FILE": options["log_file"] or "",
        "KCP_UNIT": options["kubelet_unit"] or "",
        "KCP_KUBECONFIG": options["kubeconfig"] or "",
        "KCP_CONFIG": options["kubelet_config"] or "",
        "KCP_PKI": options["pki_path"] or "",
        "KCP_MANIFESTS": options["manifests_path"] or "",
        "KCP_PROC": options["proc_path"],
        "KCP_API_PROBE": "yes" if options["api_probe"] else "no",
    }


def _reason(message: str, otherwise: str) -> str:
    text = message.lower()
    if re.search(r"timed out|timeout", text):
        return "timeout"
    if re.search(r"permission denied \(|authentication fail|invalid/incorrect password|too many authentication", text):
        return "unauthorized"
    if re.search(r"sudo|become|a password is required|not in the sudoers|must be run from a terminal", text):
        return "not_permitted"
    return otherwise


def _connection_locals(error: BaseException) -> t.Iterator[Data]:
    """The variables of the connection plugin's functions that ``error`` went through: it hands on nothing of a broken answer."""
    step = error.__traceback__
    while step is not None:
        if "/plugins/connection/" in step.tb_frame.f_code.co_filename.replace(os.sep, "/"):
            yield step.tb_frame.f_locals
        step = step.tb_next


def _received(error: BaseException) -> bytes:
    """What the node had said when the connection ended in ``error``; empty where the connection plugin does not keep it."""
    longest = b""
    for names in _connection_locals(error):
        whole = names.get("return_tuple")
        for found in (names.get("b_stdout"), whole[1] if isinstance(whole, tuple) and len(whole) == 3 else None):
            if isinstance(found, bytes) and len(found) > len(longest):
                longest = found
    return longest


def _end_process(error: BaseException) -> None:
    """Ends the connection's own program, which would else wait for the node as long as the node pleases."""
    for names in _connection_locals(error):
        process = names.get("p")
        if isinstance(process, subprocess.Popen) and process.poll() is None:
            with contextlib.suppress(OSError):
                process.kill()


def _not_the_probe(said: str) -> str:
    """What is to be said of an answer without a line of the probe's."""
    return f"{len(said)} characters came, none of them the probe's" if said.strip() else "the node said nothing"


def _reason_of_status(status: t.Any) -> str:
    return "missing_tool" if status in (126, 127) else "error"
