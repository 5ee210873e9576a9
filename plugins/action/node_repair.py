# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts one thing about a node's kubelet certificates right: a POSIX-shell script on stdin, as the probe sends it, and one answer."""

from __future__ import annotations

import secrets
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import CRYPTOGRAPHY_IMPORT_ERROR
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._connection import end_process, harmless
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError, deadline
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import read_answer
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.repair.exchange import (
    ACTS,
    LIMIT_BEYOND_TIMEOUT,
    repair_diff,
    repair_result,
    repair_script,
    repair_settings,
)

Data = dict[str, t.Any]

GRACE_SECONDS = 60
"""What the control side allows beyond the node's own limit: the time to put things back, and the way there and back."""

ARGUMENT_SPEC: t.Final[Data] = {
    "act": {"type": "str", "required": True, "choices": list(ACTS)},
    "parameters": {"type": "dict", "default": {}},
    "bound_to": {"type": "dict", "default": {}},
    "bootstrap_token": {"type": "str", "no_log": True},
    "timeout": {"type": "int", "default": 180},
}


class ActionModule(ActionBase):
    """The action behind the module of the same name."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Data | None = None) -> Data:
        """Repairs the node; the token goes on the script's stdin and nowhere else."""
        super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        if not 5 <= options["timeout"] <= 3600:
            raise AnsibleActionFail("timeout must be between 5 and 3600")
        if CRYPTOGRAPHY_IMPORT_ERROR is not None:
            raise AnsibleActionFail("the Python package cryptography is needed on the control node")
        check = bool(self._task.check_mode)
        nonce, token = secrets.token_hex(12), options["bootstrap_token"] or None
        try:
            settings = repair_settings(
                options["act"], options["parameters"], options["bound_to"], token, options["timeout"], check
            )
            script = repair_script(nonce, settings)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        try:
            with deadline(options["timeout"] + LIMIT_BEYOND_TIMEOUT + GRACE_SECONDS):
                reply = self._low_level_execute_command("/bin/sh", in_data=script)
        except NoAnswerInTimeError as error:
            end_process(error)
            raise AnsibleActionFail("the node did not answer in time; what was changed there is not known") from None
        except AnsibleError as error:
            raise AnsibleActionFail(harmless(error, self._connection, token)) from None
        answer = read_answer(_without(str(reply.get("stdout") or ""), token), nonce)
        if not answer.started:
            complaint = harmless(str(reply.get("stderr") or ""), self._connection, token, end=True)
            words = complaint or "the node said nothing"
            raise AnsibleActionFail(f"the repair did not run (status {reply.get('rc')}): {words}")
        result = repair_result(answer, options["act"], check)
        if self._task.diff:
            result["diff"] = repair_diff(answer)
        return result


def _without(text: str, token: str | None) -> str:
    return text.replace(token, "[removed]") if token else text
