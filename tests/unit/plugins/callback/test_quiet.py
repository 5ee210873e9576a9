# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.callback import quiet

SHAPES = [("result", "task", "host"), ("_result", "_task", "_host")]
"""As ansible-core 2.19 names the parts of a result, and as it did before."""


class Said:
    """The callback, and what it displayed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []
        self.plugin = quiet.CallbackModule()
        self.plugin._display = SimpleNamespace(
            display=lambda text, color=None, stderr=False: self.lines.append((text, stderr)),
            warning=lambda text, **_more: self.lines.append((f"warning: {text}", True)),
        )


def result(names: tuple[str, str, str], **values: t.Any) -> SimpleNamespace:
    parts = (values, SimpleNamespace(get_name=lambda: "Do it"), SimpleNamespace(get_name=lambda: "web\x1b[2J1"))
    return SimpleNamespace(**dict(zip(names, parts, strict=True)))


@pytest.mark.parametrize("names", SHAPES)
def test_a_failure_is_one_line_that_no_terminal_obeys(names: tuple[str, str, str]) -> None:
    said = Said()
    said.plugin.v2_runner_on_failed(result(names, msg="not\nso"))
    said.plugin.v2_runner_on_unreachable(result(names, msg="no route"))
    said.plugin.v2_runner_on_failed(result(names, censored="hidden", msg=None))
    looped = [{"failed": False, "msg": "fine"}, {"failed": True, "msg": "the second"}]
    said.plugin.v2_runner_on_failed(result(names, msg="One or more items failed", results=looped))
    assert said.lines == [
        ("failed: Do it [web\\x1b[2J1]: not so", True),
        ("unreachable: Do it [web\\x1b[2J1]: no route", True),
        ("failed: Do it [web\\x1b[2J1]: hidden", True),
        ("failed: Do it [web\\x1b[2J1]: the second", True),
    ]


@pytest.mark.parametrize("names", SHAPES)
def test_what_goes_well_and_what_is_ignored_is_silent(names: tuple[str, str, str]) -> None:
    said = Said()
    said.plugin.v2_runner_on_ok(result(names, changed=True, msg="done"))
    said.plugin.v2_runner_on_failed(result(names, msg="no"), ignore_errors=True)
    assert said.lines == []


def test_a_play_without_hosts_is_said() -> None:
    said = Said()
    said.plugin.v2_playbook_on_no_hosts_matched()
    assert [text.split(":")[0] for text, stderr in said.lines if stderr] == ["failed"]
