# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares a run with the last audit (documentation: plugins/modules/audit_compare.py). Runs on the control node and connects to nothing."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import (
    RunFolderError,
    cluster_folders,
    read_json,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import folder
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.diff import CHANGES, compare
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    SCHEMA,
    Data,
    Judged,
    MalformedError,
    audit_of,
    judged,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.trend import AUDITS, trend_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import history as words

_ARGUMENTS = {
    "run_dir": {"type": "path", "required": True},
    "history_dir": {"type": "path", "required": True},
    "cluster": {"type": "str"},
}


class ActionModule(ActionBase):
    """See the documentation of M(kubecare.kubelet_certs.audit_compare) in plugins/modules/audit_compare.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Writes the files; raises AnsibleActionFail with what is wrong."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        run_dir, history_dir = (os.path.abspath(options[name]) for name in ("run_dir", "history_dir"))
        try:
            found = _compared(run_dir, history_dir, options["cluster"])
        except RunFolderError as error:
            raise AnsibleActionFail(f"{error}: run the role diagnose first, or name another run_dir") from error
        except OSError as error:
            raise AnsibleActionFail(f"{history_dir} cannot be read: {error.strerror}") from error
        try:
            write_json(os.path.join(run_dir, "audit", "audit.json"), found["audit"])
            write_json(
                os.path.join(run_dir, "audit", "nodes.json"),
                {"schema": SCHEMA, "time": found["audit"]["time"], "nodes": found["nodes"]},
            )
            write_json(os.path.join(run_dir, "history.json"), found["history"])
        except OSError as error:
            raise AnsibleActionFail(f"{run_dir} cannot be written to: {error.strerror}") from error
        history = words.read(found["history"])
        changes = found["history"]["changes"]
        result.update(
            changed=False,
            clusters=found["audit"]["clusters"],
            since=found["history"]["since"],
            changes={kind: len(items) for kind, items in changes.items()},
            verdicts=found["audit"]["verdicts"],
            quiet=bool(history and words.is_quiet(history)),
            text=words.line(history) if history else "",
        )
        passed_over = found["history"]["passed_over"]
        if passed_over:
            result["warnings"] = [f"the audit {item['audit']} is passed over: {item['why']}" for item in passed_over]
        return result


def _compared(run_dir: str, history_dir: str, cluster: str | None) -> dict[str, t.Any]:
    """``{audit, nodes, history}``: what is to be kept, and what ``history.json`` says."""
    folders: dict[str, str] = cluster_folders(run_dir)
    parts = [_judged(path, name) for name, path in folders.items()] or [_judged(run_dir, cluster)]
    time = max(part.time for part in parts)
    audits, passed_over = folder.read_audits(history_dir, time, AUDITS)
    if not parts[0].cluster:
        # An API server that did not say its name: that of the earlier audits, where it is one.
        names = {name for audit in audits.values() for name in audit["clusters"]}
        parts = [_judged(run_dir, names.pop())] if len(names) == 1 else parts
    nodes: list[Data] = []
    changes: dict[str, list[Data]] = {kind: [] for kind in CHANGES}
    times = []
    for part in parts:
        last, when, unreadable = folder.read_last(history_dir, audits, part.cluster)
        merged, changed = compare(part, last)
        nodes += merged
        changes = {kind: items + changed[kind] for kind, items in changes.items()}
        times += [when] if when else []
        passed_over += [item for item in unreadable if item not in passed_over]
    audit = audit_of(parts, nodes)
    history = {
        "schema": words.SCHEMA,
        "since": max(times, default=None),
        **{key: audit[key] for key in ("time", "complete", "verdicts", "nodes", "gaps")},
        "without_nodes": [part.cluster for part in parts if not part.nodes],
        "changes": changes,
        "trend": trend_of(audits.values(), audit),
        "passed_over": passed_over,
    }
    return {"audit": audit, "nodes": nodes, "history": history}


def _judged(run_dir: str, cluster: str | None) -> Judged:
    path = os.path.join(run_dir, "diagnosis.json")
    diagnosis = read_json(path)
    try:
        return judged(diagnosis, cluster)
    except MalformedError as error:
        raise RunFolderError(f"{path} is not a diagnosis ({error})") from error
