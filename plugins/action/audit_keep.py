# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps an audit in the history (documentation: plugins/modules/audit_keep.py). Runs on the control node and connects to nothing."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_text
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, read_json
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import folder, metrics
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    MalformedError,
    read_audit,
    read_nodes,
)

_ARGUMENTS = {
    "run_dir": {"type": "path", "required": True},
    "history_dir": {"type": "path", "required": True},
    "keep": {"type": "int", "default": 400},
    "keep_days": {"type": "int", "default": 0},
    "keep_runs": {"type": "int", "default": 7},
    "metrics_file": {"type": "path"},
}


class ActionModule(ActionBase):
    """See the documentation of M(kubecare.kubelet_certs.audit_keep) in plugins/modules/audit_keep.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Keeps, publishes, then removes what is old; raises AnsibleActionFail with what is wrong."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        for name in ("keep", "keep_days", "keep_runs"):
            if options[name] < 0:
                raise AnsibleActionFail(f"{name} is {options[name]} and must not be negative")
        run_dir, history_dir = (os.path.abspath(options[name]) for name in ("run_dir", "history_dir"))
        try:
            audit, nodes = (read_json(os.path.join(run_dir, "audit", f"{name}.json")) for name in ("audit", "nodes"))
            known, node_list = read_audit(audit), read_nodes(nodes)
        except RunFolderError as error:
            raise AnsibleActionFail(f"{error}: run audit_compare first, or name another run_dir") from error
        except MalformedError as error:
            raise AnsibleActionFail(f"{run_dir}/audit is not what audit_compare writes: {error}") from error
        name = folder.name_of(run_dir, known["time"])
        path = os.path.join(history_dir, "audits", name)
        if self._task.check_mode:
            result.update(changed=not os.path.isdir(path), path=path, removed=[])
            return result
        try:
            kept = folder.keep(history_dir, name, audit, nodes)
        except OSError as error:
            raise AnsibleActionFail(
                f"{path} cannot be written: {error.strerror}. Earlier audits are untouched."
            ) from error
        published = self._publish(options["metrics_file"], metrics.render(known, node_list))
        try:
            removed = folder.prune(history_dir, options["keep"], options["keep_days"], options["keep_runs"])
        except OSError as error:
            raise AnsibleActionFail(f"{history_dir} cannot be cleaned: {error.strerror}") from error
        result.update(changed=bool(kept or published or removed), path=path, removed=removed)
        return result

    def _publish(self, path: str | None, text: str) -> bool:
        """Whether the file was changed."""
        if path is None:
            return False
        try:
            with open(path, encoding="utf-8") as stream:
                if stream.read() == text:
                    return False
        except (OSError, ValueError):
            pass  # to be written anew
        try:
            write_text(os.path.abspath(path), [text])
        except OSError as error:
            raise AnsibleActionFail(f"{path} cannot be written: {error.strerror}") from error
        return True
