# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections that fail, as both action plugins meet them: no password or token in the words, no program left running."""

from __future__ import annotations

import subprocess
import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.kubecare.kubelet_certs.plugins.action import node_probe, node_repair
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils import _connection
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._deadline import NoAnswerInTimeError

TOKEN = "abcdef.0123456789abcdef"
SECRETS = ("hunter2 of ssh", "hunter3-of-sudo", "hunter4-of-key", TOKEN)


class Holder:
    """A connection or become plugin with these options; it knows no others."""

    def __init__(self, become: Holder | None = None, **options: str) -> None:
        self.become, self.options = become, options
        self._shell = types.SimpleNamespace(tmpdir="/")

    def get_option(self, name: str) -> str:
        return self.options[name]


CONNECTION = Holder(
    Holder(become_pass=SECRETS[1]), password=SECRETS[0], private_key_passphrase=SECRETS[2], become_pass=""
)


def failing(error: Exception, process: subprocess.Popen[bytes] | None = None) -> t.Callable[..., t.Any]:
    """A function that fails inside of a file of a connection plugin, with ``process`` as the program that it runs."""
    code = compile("def run(*_, **__):\n    p = process\n    raise error\n", "/x/plugins/connection/ssh.py", "exec")
    names: dict[str, t.Any] = {"error": error, "process": process}
    exec(code, names)  # noqa: S102
    return t.cast("t.Callable[..., t.Any]", names["run"])


def action(plugin: t.Any, run: t.Callable[..., t.Any], **arguments: t.Any) -> t.Any:
    """The action plugin before a node that is reached by ``run``."""
    task = types.SimpleNamespace(
        args=arguments, check_mode=False, diff=False, async_val=0, action="x", delegate_to=None, environment=None
    )
    made = plugin.ActionModule(task, CONNECTION, None, None, None, None)
    made._low_level_execute_command = run
    made.validate_argument_spec = lambda argument_spec: (
        None,
        {**{name: spec.get("default") for name, spec in argument_spec.items()}, **arguments},
    )
    return made


REPAIR = {"act": "rebootstrap", "parameters": {"node": "worker-7"}, "bound_to": {}, "bootstrap_token": TOKEN}
plugins = pytest.mark.parametrize("plugin", [node_probe, node_repair], ids=["probe", "repair"])


def test_words_without_secrets_on_one_line() -> None:
    text = f"\x1b[2Jno\n {' and '.join(SECRETS)} password=swordfish\u202e " + "x" * 5000
    words = _connection.harmless(text, CONNECTION, TOKEN)
    assert words.startswith("?[2Jno [removed] and [removed] and [removed] and [removed] password=[removed]")
    assert len(words) == 400
    assert _connection.harmless(AnsibleConnectionFailure(text), CONNECTION, TOKEN, None) == words
    assert _connection.harmless("", CONNECTION) == ""


def test_the_end_of_a_long_complaint_without_what_is_left_of_a_secret() -> None:
    text = "y" * 70_000 + f" {SECRETS[0]} " + "z" * 390 + " it failed\n"
    words = _connection.harmless(text, CONNECTION, end=True)
    assert words.endswith("z it failed")
    assert len(words) == 400
    assert "hunter2" not in words and "of ssh" not in words


@plugins
def test_the_connections_program_is_ended_when_the_time_is_over(plugin: t.Any) -> None:
    process = subprocess.Popen(["sleep", "100"])
    try:
        run = failing(NoAnswerInTimeError(), process)
        if plugin is node_repair:
            with pytest.raises(AnsibleActionFail, match="did not answer in time; what was changed there is not known"):
                action(plugin, run, **REPAIR).run(task_vars={})
        else:
            assert action(plugin, run, timeout=5).run(task_vars={})["reachable"] is False
        assert process.wait(5) == -9
    finally:
        process.kill()
        process.wait()


@plugins
@pytest.mark.parametrize("error", [True, False])
def test_no_secret_of_a_failed_connection_is_told(plugin: t.Any, error: bool) -> None:
    text = f"Failed: {' '.join(SECRETS)} --token swordfish"
    reply = {"rc": 255, "stdout": "", "stderr": text}
    run = failing(AnsibleConnectionFailure(text)) if error else lambda *_words, **_more: reply
    if plugin is node_repair:
        with pytest.raises(AnsibleActionFail) as failed:
            action(plugin, run, **REPAIR).run(task_vars={})
        words = str(failed.value)
    else:
        words = str(action(plugin, run).run(task_vars={}))
    assert "Failed: [removed]" in words
    assert "swordfish" not in words
    assert [secret for secret in SECRETS if secret in words and (secret != TOKEN or plugin is node_repair)] == []
