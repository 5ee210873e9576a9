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
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, read_json
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import folder
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.diff import compare
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    SCHEMA,
    MalformedError,
    audit_of,
    cluster_name,
    nodes_of,
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
        path = os.path.join(run_dir, "diagnosis.json")
        try:
            diagnosis = read_json(path)
            found = _compared(diagnosis, history_dir, options["cluster"])
        except RunFolderError as error:
            raise AnsibleActionFail(f"{error}: run the role diagnose first, or name another run_dir") from error
        except MalformedError as error:
            raise AnsibleActionFail(f"{path} is not a diagnosis: {error}") from error
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


def _compared(diagnosis: t.Any, history_dir: str, cluster: str | None) -> dict[str, t.Any]:
    """``{audit, nodes, history}``: what is to be kept, and what ``history.json`` says."""
    time = str(diagnosis.get("now")) if isinstance(diagnosis, dict) else ""
    nodes_of(diagnosis, "")  # before its time is used
    audits, passed_over = folder.read_audits(history_dir, time, AUDITS)
    name = cluster or cluster_name(diagnosis) or _only_cluster(audits) or ""
    nodes, unjudged = nodes_of(diagnosis, name)
    earlier, times = [], []
    for each in sorted({node["cluster"] for node in nodes} or {name}):
        last, when, unreadable = folder.read_last(history_dir, audits, each)
        passed_over += [item for item in unreadable if item not in passed_over]
        earlier += last
        times += [when] if when else []
    complete = diagnosis.get("only_hosts") is not True and _nodes_were_listed(diagnosis)
    merged, changes = compare(nodes, unjudged, earlier, complete)
    audit = audit_of(diagnosis, merged, complete)
    history = {
        "schema": words.SCHEMA,
        "since": max(times, default=None),
        **{key: audit[key] for key in ("time", "complete", "verdicts", "nodes", "gaps")},
        "changes": changes,
        "trend": trend_of(audits.values(), audit),
        "passed_over": passed_over,
    }
    return {"audit": audit, "nodes": merged, "history": history}


def _only_cluster(audits: t.Mapping[str, t.Any]) -> str | None:
    """The cluster of all earlier audits, where an API server that does not answer left this one without a name."""
    names = {name for audit in audits.values() for name in audit["clusters"]}
    return names.pop() if len(names) == 1 else None


def _nodes_were_listed(diagnosis: dict[str, t.Any]) -> bool:
    cluster = diagnosis.get("cluster")
    gaps = cluster.get("not_seen") if isinstance(cluster, dict) else None
    subjects = {str(gap.get("subject")) for gap in gaps or () if isinstance(gap, dict)}
    return not subjects & {"node_info", "node_info.nodes"}
