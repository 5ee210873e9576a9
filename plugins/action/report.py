# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows a diagnosis (documentation: plugins/modules/report.py). Runs on the control node and connects to nothing."""

from __future__ import annotations

import json
import os
import shutil
import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible itself names it
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_text
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import (
    RunFolderError,
    cluster_folders,
    read_json,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import clusters, console, history, html
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import MalformedDiagnosisError, read
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record

display = Display()

_COLORS: dict[str, str] = {
    style: getattr(C, f"COLOR_{name}")
    for style, name in {
        "expired": "ERROR",
        "failing": "ERROR",
        "at_risk": "CHANGED",
        "unknown": "WARN",
        "healthy": "OK",
        "dim": "SKIP",
    }.items()
}
"""The user's own colours, which can be read on the user's own background."""
_ARGUMENTS = {
    "run_dir": {"type": "path"},
    "diagnosis": {"type": "dict"},
    "formats": {
        "type": "list",
        "elements": "str",
        "choices": ["console", "html", "json"],
        "default": ["console", "html"],
    },
    "dest": {"type": "path"},
    "color": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
    "quiet": {"type": "bool", "default": False},
}
_OWN_LINES = 8
"""Lines of a screen that Ansible itself needs: banners, the result, the recap."""
_LEAST_ROWS = 14
"""Of the summary, however much changed since the last audit."""


class ActionModule(ActionBase):
    """See the documentation of M(kubecare.kubelet_certs.report) in plugins/modules/report.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Writes the files, then displays the summary; raises AnsibleActionFail with what is wrong."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            argument_spec=_ARGUMENTS,
            mutually_exclusive=[("run_dir", "diagnosis")],
            required_one_of=[("run_dir", "diagnosis")],
        )
        formats, run_dir = options["formats"], options["run_dir"]
        dest = options["dest"] or run_dir
        if dest is None and set(formats) - {"console"}:
            raise AnsibleActionFail("dest is needed to write a file of a diagnosis that comes from no run_dir")
        try:
            folders = cluster_folders(run_dir) if run_dir else {}
        except RunFolderError as error:
            raise AnsibleActionFail(str(error)) from error
        changes = _history(run_dir)
        if folders:
            result.update(changed=False, **_clusters(folders, options, dest, changes))
            return result
        source = os.path.join(os.path.abspath(run_dir), "diagnosis.json") if run_dir else None
        diagnosis = _load(source) if source else options["diagnosis"]
        paths: dict[str, str] = {}
        try:
            verdicts = read(diagnosis)["verdicts"]
            if "html" in formats:
                paths["html"] = _write(dest, "report.html", html.render(diagnosis, changes))
            if "json" in formats:
                paths["json"] = _write_json(dest, diagnosis, source)
            if "console" in formats:
                columns, rows = _screen(changes)
                _show(
                    console.render(diagnosis, paths.get("html"), columns, rows),
                    changes,
                    options["quiet"],
                    options["color"] == "auto",
                )
        except MalformedDiagnosisError as error:
            raise AnsibleActionFail(f"{source or 'diagnosis'} is not a diagnosis: {error}") from error
        result.update(changed=False, paths=paths, verdicts=verdicts)
        return result


def _clusters(folders: dict[str, str], options: Record, dest: str, changes: Record | None) -> dict[str, t.Any]:
    """Reports on several clusters (name → run folder): a page each, and one over all. Files go below ``dest`` as they lie in a run folder."""
    columns, rows = _screen(changes)
    formats = options["formats"]
    parts = []
    paths: dict[str, str] = {}
    for name, folder in folders.items():
        source = os.path.join(os.path.abspath(folder), "diagnosis.json")
        diagnosis, own_dest = _load(source), os.path.join(dest, "clusters", name)
        try:
            parts.append(clusters.part(name, diagnosis, columns, rows // len(folders)))
            if "html" in formats:
                _write(own_dest, "report.html", html.render(diagnosis))
        except MalformedDiagnosisError as error:
            raise AnsibleActionFail(f"{source} is not a diagnosis: {error}") from error
        if "json" in formats:
            _write_json(own_dest, diagnosis, source)
    if "html" in formats:
        paths["html"] = _write(dest, "report.html", clusters.page(parts, changes))
    if "json" in formats:
        paths["json"] = os.path.join(os.path.abspath(dest), "clusters")
    if "console" in formats:
        lines = clusters.lines(parts, paths.get("html"), columns)
        _show(lines, changes, options["quiet"], options["color"] == "auto")
    return {
        "paths": paths,
        "verdicts": clusters.verdicts(parts),
        "clusters": {one.name: one.model["verdicts"] for one in parts},
        "clusters_without_nodes": [one.name for one in parts if not one.nodes],
    }


def _write_json(dest: str, diagnosis: t.Any, source: str | None) -> str:
    path = os.path.join(os.path.abspath(dest), "diagnosis.json")
    if source is not None and os.path.realpath(path) == os.path.realpath(source):
        return path
    return _write(dest, "diagnosis.json", json.dumps(diagnosis, indent=1, default=str) + "\n")


def _load(path: str) -> t.Any:
    if not os.path.exists(path):
        raise AnsibleActionFail(f"{path} does not exist: run the role diagnose first, or name another run_dir")
    try:
        return read_json(path)
    except RunFolderError as error:
        raise AnsibleActionFail(str(error)) from error


def _write(folder: str, name: str, text: str) -> str:
    """Replaces the file in one step. Returns its path."""
    path = os.path.join(os.path.abspath(folder), name)
    try:
        write_text(path, text)
    except OSError as error:
        raise AnsibleActionFail(f"{path} cannot be written: {error.strerror}") from error
    return path


def _history(run_dir: str | None) -> Record | None:
    """The changes since the last audit, where the run is an audit and they can be read."""
    path = os.path.join(os.path.abspath(run_dir or ""), "history.json")
    try:
        return history.read(read_json(path)) if run_dir and os.path.exists(path) else None
    except RunFolderError as error:
        display.warning(f"{error}. The report is made without it.")
        return None


def _screen(changes: Record | None) -> tuple[int, int]:
    """Columns and rows that there are for a summary, with the changes below it."""
    size = shutil.get_terminal_size((80, 24))
    columns, rows = min(max(size.columns, 80), 100), min(max(size.lines - _OWN_LINES, 24), 50)
    return columns, max(rows - len(history.lines(changes, columns)) - 1, _LEAST_ROWS) if changes else rows


def _show(summary: list[console.Line], changes: Record | None, quiet: bool, color: bool) -> None:
    """Displays it as raw text, in one call so that nothing gets between its lines; the log gets no colours."""
    lines = summary
    if changes and quiet and history.is_quiet(changes):
        lines = [[("✔ ", "healthy"), (history.line(changes), "plain")]]
    elif changes:
        lines = [*summary, [], *history.lines(changes, _screen(None)[0])]
    text = console.plain(lines)
    if color:
        # stringc colours only where Ansible does.
        shown = "\n".join(
            "".join(
                stringc(piece, _COLORS[style]) if style in _COLORS and piece.strip() else piece for piece, style in line
            )
            for line in lines
        )
    else:
        shown = text
    display.display(f"\n{shown}\n\n", screen_only=True)
    display.display(text, log_only=True)
