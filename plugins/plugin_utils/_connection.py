# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What an action plugin does with a connection that failed: its words without secrets, its program ended, what had come by then."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t

from ansible.errors import AnsibleError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._secrets import REMOVED, without_secrets
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import plain

MAX_CHARS = 400
_SEARCHED_CHARS = 65_536


def harmless(said: BaseException | str, connection: t.Any, *secrets: str | None, end: bool = False) -> str:
    """The words of a connection or of a node on one line, without the connection's passwords, ``secrets`` and what is shaped like one.

    At most 400 characters, with ``end`` the last ones: standard error says why at its end.
    """
    text = said if isinstance(said, str) else str(getattr(said, "message", "") or said)
    for secret in (*secrets, *_passwords(connection)):
        if secret:
            text = text.replace(str(secret), REMOVED)
    text = text.strip()
    text = without_secrets(text[-_SEARCHED_CHARS:] if end else text[:_SEARCHED_CHARS])  # before it is cut to its length
    line = " ".join(text.split())
    return plain(line[-MAX_CHARS:] if end else line)[:MAX_CHARS]


def end_process(error: BaseException) -> None:
    """Ends the connection's own program, which would else wait for the node as long as the node pleases."""
    for names in _connection_locals(error):
        process = names.get("p")
        if isinstance(process, subprocess.Popen) and process.poll() is None:
            with contextlib.suppress(OSError):
                process.kill()


def received(error: BaseException) -> bytes:
    """What the node had said when the connection ended in ``error``; empty where the connection plugin does not keep it."""
    longest = b""
    for names in _connection_locals(error):
        whole = names.get("return_tuple")
        for found in (names.get("b_stdout"), whole[1] if isinstance(whole, tuple) and len(whole) == 3 else None):
            if isinstance(found, bytes) and len(found) > len(longest):
                longest = found
    return longest


def _passwords(connection: t.Any) -> t.Iterator[t.Any]:
    for holder in (connection, getattr(connection, "become", None)):
        for option in ("password", "become_pass", "private_key_passphrase"):
            try:
                yield holder.get_option(option) if holder is not None else None
            except (AnsibleError, KeyError, AttributeError):
                continue


def _connection_locals(error: BaseException) -> t.Iterator[dict[str, t.Any]]:
    """The variables of the connection plugin's functions that ``error`` went through: it hands on nothing of a broken answer."""
    step = error.__traceback__
    while step is not None:
        if "/plugins/connection/" in step.tb_frame.f_code.co_filename.replace(os.sep, "/"):
            yield step.tb_frame.f_locals
        step = step.tb_next
