# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a node everything about its kubelet's certificates in one round trip: a POSIX-shell script on stdin, one answer.

The script goes by the host's own connection, or through a probe pod; of a node where neither is to be had, the API tells what it can.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import ALIASES, API_ARGUMENTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import CRYPTOGRAPHY_IMPORT_ERROR
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._connection import (
    end_process,
    harmless,
    received,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError, deadline
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import node_file
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import identity
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import unreachable
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    MAX_ANSWER_CHARS,
    build_script,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways.reply import Reply, evidence_of, reason_of

Data = dict[str, t.Any]

GRACE_SECONDS = 20
"""What the control side allows beyond the node's own time limit, for the way there and back."""

WAYS = ("ssh", "pod", "api")
"""In the order in which ``auto`` tries them: who sees most comes first."""

ARGUMENT_SPEC: t.Final[Data] = {
    **API_ARGUMENTS,
    "way": {"type": "str", "choices": [*WAYS, "auto"], "default": "ssh"},
    "pod_namespace": {"type": "str", "default": "kubelet-certs-probe"},
    "pod_selector": {"type": "str", "default": "app.kubernetes.io/name=kubelet-certs-probe"},
    "dest": {"type": "path"},
    "node_name": {"type": "str"},
    "access": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 60},
    "log_since_seconds": {"type": "int", "default": 86400},
    "log_lines": {"type": "int", "default": 40},
    "log_file": {"type": "str"},
    "kubelet_unit": {"type": "str"},
    "kubelet_kubeconfig": {"type": "str"},
    "kubelet_config": {"type": "str"},
    "pki_path": {"type": "str"},
    "manifests_path": {"type": "str"},
    "proc_path": {"type": "str", "default": "/proc"},
    "api_probe": {"type": "bool", "default": True},
}

_LIMITS = {
    "timeout": (5, 3600),
    "log_since_seconds": (60, 31 * 86400),
    "log_lines": (0, 1000),
    "request_timeout": (1, 3600),
}


class ActionModule(ActionBase):
    """The action behind the module of the same name."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _api: t.Any = None

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
        options.update(_access(options["access"]))
        evidence = {**self._by_ways(host, options), "inventory_node": options["node_name"]}
        result: Data = {
            "changed": False,
            "reachable": evidence["reachable"],
            "way": evidence["way"],
            "tried": evidence["tried"],
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

    def _by_ways(self, host: str, options: Data) -> Data:
        """The evidence by the first way on which the node answers. ``tried`` says of the ways before it why they were left."""
        tried: list[Data] = []
        automatic = options["way"] == "auto"
        with contextlib.ExitStack() as ending:
            for way in WAYS if automatic else (options["way"],):
                evidence = (
                    self._by_connection(host, options, automatic)
                    if way == "ssh"
                    else self._through_api(way, host, options, automatic, ending)
                )
                if evidence["reachable"]:
                    return {**evidence, "way": way, "tried": tried}
                tried.append({"way": way, **{key: evidence["not_seen"][0][key] for key in ("reason", "message")}})
        if automatic:
            evidence["not_seen"] = [
                {"subject": "node", "reason": entry["reason"], "message": f"by {entry['way']}: {entry['message']}"}
                for entry in tried
            ]
        return {**evidence, "way": None, "tried": tried}

    def _through_api(self, way: str, host: str, options: Data, automatic: bool, ending: contextlib.ExitStack) -> Data:
        """By a probe pod or by the API alone. What the user has to correct fails the task, or with ``auto`` this way alone."""
        from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.ways import by_api

        try:
            if self._api is None:
                own = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
                self._api = ending.enter_context(by_api.connected(options, own))
        except ValueError as error:
            if not automatic:
                raise AnsibleActionFail(str(error)) from error
            return unreachable(host, time.time(), "error", str(error))
        if way == "api":
            return by_api.evidence_by_api(self._api, host, options)
        nonce, script = _script(options)
        return by_api.evidence_by_pod(self._api, host, options, nonce, script, options["timeout"] + GRACE_SECONDS)

    def _by_connection(self, host: str, options: Data, automatic: bool) -> Data:
        """By Ansible's own connection. On the control node itself ``auto`` does not look: a host without a login is often said to be there."""
        if automatic and self._connection.transport == "local":
            message = "its connection is local, which is the control node"
            return unreachable(host, time.time(), "disabled", message)
        nonce, script = _script(options)
        sent_at = time.time()
        limit = options["timeout"] + GRACE_SECONDS
        try:
            with deadline(limit):
                answer = self._low_level_execute_command("/bin/sh", in_data=script)
        except NoAnswerInTimeError as error:
            end_process(error)
            reply = _broken(error, sent_at, "timeout", f"no answer within {limit} seconds")
        except AnsibleConnectionFailure as error:
            message = harmless(error, self._connection)
            reply = _broken(error, sent_at, reason_of(message, "unreachable"), message)
        except AnsibleError as error:
            message = harmless(error, self._connection)
            return unreachable(host, time.time(), reason_of(message, "error"), message)
        else:
            complaint = harmless(str(answer.get("stderr") or ""), self._connection, end=True)
            said = str(answer.get("stdout") or "")
            reply = Reply(said, sent_at, time.time(), complaint=complaint, status=answer.get("rc"))
        return evidence_of(reply, nonce, host, options["timeout"], options["log_lines"])


def _access(given: Data) -> Data:
    """The options of ``access``, checked. Raises AnsibleActionFail naming the one that is wrong."""
    checked = ArgumentSpecValidator(API_ARGUMENTS).validate(given)
    if checked.error_messages:
        raise AnsibleActionFail(f"option access: {'; '.join(checked.error_messages)}")
    names = [ALIASES.get(name, name) for name in given]
    return {name: checked.validated_parameters[name] for name in names}


def _script(options: Data) -> tuple[str, bytes]:
    """``(nonce, script)``; a new nonce each time."""
    nonce = secrets.token_hex(12)
    try:
        return nonce, build_script(nonce, _settings(options))
    except ValueError as error:
        raise AnsibleActionFail(str(error)) from error


def _broken(error: BaseException, sent_at: float, reason: str, message: str) -> Reply:
    """The reply of a connection that ended in ``error``, with what had come by then."""
    came = received(error)[: MAX_ANSWER_CHARS * 2].decode("utf-8", "surrogateescape")
    return Reply(came, sent_at, time.time(), broke=(reason, message))


def _settings(options: Data) -> dict[str, str | int]:
    return {
        "KCP_TIMEOUT": options["timeout"],
        "KCP_LOG_SINCE": options["log_since_seconds"],
        "KCP_LOG_LINES": options["log_lines"],
        "KCP_LOG_FILE": options["log_file"] or "",
        "KCP_UNIT": options["kubelet_unit"] or "",
        "KCP_KUBECONFIG": options["kubelet_kubeconfig"] or "",
        "KCP_CONFIG": options["kubelet_config"] or "",
        "KCP_PKI": options["pki_path"] or "",
        "KCP_MANIFESTS": options["manifests_path"] or "",
        "KCP_PROC": options["proc_path"],
        "KCP_API_PROBE": "yes" if options["api_probe"] else "no",
    }
