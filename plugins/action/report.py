# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows a diagnosis (documentation: plugins/modules/report.py). Runs on the control node and connects to nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible itself names it
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import (
    RunFolderError,
    read_json,
    read_listed,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console, html
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import (
    MalformedDiagnosisError,
    read,
    row,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import read_listed as model_of_list
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
}
_OWN_LINES = 8
"""Lines of a screen that Ansible itself needs: banners, the result, the recap."""


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
        source = os.path.join(os.path.abspath(run_dir), "diagnosis.json") if run_dir else None
        try:
            model = _load(source) if source else read(options["diagnosis"])
        except MalformedDiagnosisError as error:
            raise AnsibleActionFail(f"{source or 'diagnosis'} is not a diagnosis: {error}") from error
        paths: dict[str, str] = {}
        if "html" in formats:
            paths["html"] = _write(dest, "report.html", [html.page(model)])
        if "json" in formats:
            path = os.path.join(os.path.abspath(dest), "diagnosis.json")
            kept = source is not None and os.path.realpath(path) == os.path.realpath(source)
            paths["json"] = path if kept else _write(dest, "diagnosis.json", _text_of(source, options["diagnosis"]))
        if "console" in formats:
            _show(model, paths.get("html"), options["color"] == "auto")
        result.update(changed=False, paths=paths, verdicts=model["verdicts"])
        return result


def _load(path: str) -> Record:
    """The diagnosis in a file, as ``_model.read`` gives it; of a fleet only what is shown is held."""
    if not os.path.exists(path):
        raise AnsibleActionFail(f"{path} does not exist: run the role diagnose first, or name another run_dir")
    listed = read_listed(path, "nodes", _row)
    try:
        return read(read_json(path)) if listed is None else model_of_list(*listed)
    except RunFolderError as error:
        raise AnsibleActionFail(str(error)) from error


def _row(node: t.Any) -> Record:
    """Raises ValueError where it is no node; then all of the file is read, to say which."""
    if not isinstance(node, dict) or not isinstance(node.get("name"), str):
        raise ValueError("no mapping with a name")
    return row(node)


def _text_of(source: str | None, diagnosis: t.Any) -> t.Iterator[str]:
    if source is None:
        yield json.dumps(diagnosis, indent=1, default=str) + "\n"
        return
    with open(source, encoding="utf-8") as stream:
        yield from iter(lambda: stream.read(1024 * 1024), "")


def _write(folder: str, name: str, pieces: t.Iterable[str]) -> str:
    """Replaces the file in one step; a link of that name is replaced and not followed. Returns its path."""
    path = os.path.join(os.path.abspath(folder), name)
    part = f"{path}.{secrets.token_hex(6)}.part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666),
                "w",
                encoding="utf-8",
                errors="backslashreplace",
            ) as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            if os.path.lexists(part):
                os.unlink(part)
    except OSError as error:
        raise AnsibleActionFail(f"{path} cannot be written: {error.strerror}") from error
    return path


def _show(model: Record, report: str | None, color: bool) -> None:
    """Displays the summary as raw text, in one call so that nothing gets between its lines; the log gets no colours."""
    size = shutil.get_terminal_size((80, 24))
    columns = min(max(size.columns, 80), 100)
    rows = min(max(size.lines - _OWN_LINES, 24), 50)
    lines = console.lines_of(model, report, columns, rows)
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
