# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What came back of the probe's script, by whichever way it went, as the evidence of one node."""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import (
    CUT,
    build_evidence,
    unreachable,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import (
    MAX_ANSWER_CHARS,
    read_answer,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data


@dataclasses.dataclass
class Reply:
    """``said``: standard output as far as it came; ``complaint``: why else nothing came, without secrets, on one line.

    ``status`` is the script's exit status, None where the way broke off; then ``broke`` is the reason (``docs/evidence.md``) and the
    message. ``sent_at`` and ``answered_at`` are this machine's clock in seconds since 1970.
    """

    said: str
    sent_at: float
    answered_at: float
    complaint: str = ""
    status: int | None = None
    broke: tuple[str, str] | None = None


def evidence_of(reply: Reply, nonce: str, host: str, timeout: int, log_lines: int) -> Data:
    """The evidence of a host that was sent the script: of the whole answer, of the part that came, or that there was none."""
    answer = read_answer(reply.said, nonce)
    if reply.broke is not None:
        reason, message = reply.broke
        if not answer.sections:
            if reply.said.strip():
                message += f"; {len(reply.said)} characters came, none of them the probe's"
            return unreachable(host, reply.answered_at, reason, message)
        evidence = build_evidence(answer, host, reply.sent_at, reply.answered_at, log_lines, reason)
        for entry in evidence["not_seen"]:
            if entry["message"] == CUT:
                entry["message"] = f"{CUT}: {message}"
        return evidence
    if not answer.started:
        words = reply.complaint or _not_the_probe(reply.said)
        message = f"the probe did not run (status {reply.status}): {words}"
        otherwise = "missing_tool" if reply.status in (126, 127) else "error"
        otherwise = "too_large" if len(reply.said) > MAX_ANSWER_CHARS else otherwise
        return unreachable(host, reply.answered_at, reason_of(words, otherwise), message)
    late = reply.answered_at - reply.sent_at >= timeout
    return build_evidence(answer, host, reply.sent_at, reply.answered_at, log_lines, "timeout" if late else "error")


def reason_of(message: str, otherwise: str) -> str:
    """The reason that the words of ssh, of sudo or of a connection plugin speak for; ``otherwise`` where they speak for none."""
    text = message.lower()
    if re.search(r"timed out|timeout", text):
        return "timeout"
    if re.search(r"permission denied \(|authentication fail|invalid/incorrect password|too many authentication", text):
        return "unauthorized"
    if re.search(r"sudo|become|a password is required|not in the sudoers|must be run from a terminal", text):
        return "not_permitted"
    return otherwise


def _not_the_probe(said: str) -> str:
    """What is to be said of an answer without a line of the probe's."""
    return f"{len(said)} characters came, none of them the probe's" if said.strip() else "the node said nothing"
