# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a run folder (documentation: plugins/modules/diagnose.py). Runs on the control node and connects to nothing."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._diagnosis_file import write_diagnosis
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import gather
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import Judgement
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import JMESPATH_IMPORT_ERROR
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import chosen_rules

_ARGUMENTS = {
    "run_dir": {"type": "path", "required": True},
    "now": {"type": "str"},
    "rule_dirs": {"type": "list", "elements": "path", "default": []},
    "rule_overrides": {"type": "dict", "default": {}},
    "only_hosts": {"type": "bool", "default": False},
    "pool_label": {"type": "str"},
}


class ActionModule(ActionBase):
    """See the documentation of M(kubecare.kubelet_certs.diagnose) in plugins/modules/diagnose.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Writes the diagnosis; raises AnsibleActionFail with what is wrong."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        if JMESPATH_IMPORT_ERROR:
            raise AnsibleActionFail("the Python library jmespath is needed on the control node")
        run_dir = str(options["run_dir"])
        try:
            rules = chosen_rules(options["rule_dirs"], options["rule_overrides"])
            judgement = Judgement(
                gather(run_dir), rules, options["now"] or None, options["only_hosts"], options["pool_label"]
            )
            path, fleet = write_diagnosis(run_dir, judgement)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        except OSError as error:
            path = os.path.join(run_dir, "diagnosis.json")
            raise AnsibleActionFail(f"{path}: cannot be written: {error.strerror}") from error
        result.update(changed=False, path=path, verdicts=fleet["verdicts"])
        return result
