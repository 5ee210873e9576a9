# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A callback that says nothing while all goes well."""

from __future__ import annotations

DOCUMENTATION = r"""
name: quiet
type: stdout
short_description: Says nothing but failures, warnings, and what a task itself displays
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - For plays that a scheduler starts. Of the playbook C(kubecare.kubelet_certs.audit) on a healthy fleet one line is left.
  - A failed task is one line with its message.
requirements:
  - To be set as the callback for stdout, with E(ANSIBLE_STDOUT_CALLBACK).
"""

import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible itself names it
from ansible.plugins.callback import CallbackBase
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import neutral

_RED: str = getattr(C, "COLOR_ERROR")  # noqa: B009 - made at run time from Ansible's settings


class CallbackModule(CallbackBase):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "kubecare.kubelet_certs.quiet"

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._say(result, "failed")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._say(result, "unreachable")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._handle_warnings(_value(result, "result"))

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._display.display(
            "failed: no host of the inventory is in the play, so nothing was done", color=_RED, stderr=True
        )

    def _say(self, result: t.Any, what: str) -> None:
        values = _value(result, "result")
        self._handle_warnings(values)
        items = values.get("results") or []
        failed = next((item for item in items if isinstance(item, dict) and item.get("failed")), values)
        message = failed.get("msg") or failed.get("censored") or "no message"
        task, host = _value(result, "task"), _value(result, "host")
        text = f"{what}: {neutral(task.get_name(), 200)} [{neutral(host.get_name(), 253)}]: {neutral(message)}"
        self._display.display(text, color=_RED, stderr=True)


def _value(result: t.Any, name: str) -> t.Any:
    """A part of a result: ansible-core 2.19 made them public, 2.23 takes the private names away."""
    return getattr(result, name, None) or getattr(result, f"_{name}")
