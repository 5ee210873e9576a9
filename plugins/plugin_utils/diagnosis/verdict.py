# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The verdict on one node, the state of each stage, and what was missing to say more."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import fill, search
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import ORDER, STAGES, Stage
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

VERDICTS = ("expired", "failing", "at_risk", "unknown", "healthy")
"""Worst first."""

ESSENTIAL = ("client_certificate.used_percent", "rotation.client")
"""What must be known of a node before it may be called healthy; the latter where the kubelet rotates. When the certificate ends is not
enough: whether its rotation is late is a matter of its whole life."""


def verdict_of(signals: Data, findings: list[Data]) -> str:
    """One of VERDICTS. Absent evidence is never healthy."""
    severities = {finding["severity"] for finding in findings}
    if signals["client_certificate"]["expired"]:
        return "expired"
    if "critical" in severities:
        return "failing"
    if "warning" in severities:
        return "at_risk"
    if any(search(path, signals) is None for path in _essential(signals)):
        return "unknown"
    return "healthy"


def primary_of(findings: list[Data]) -> Data | None:
    """The finding with the role primary, if any."""
    return next((finding for finding in findings if finding["role"] == "primary"), None)


def stages_of(signals: Data, findings: list[Data], verdict: str) -> list[Data]:
    """All nine stages with their state; those behind the first broken one wait."""
    primary = primary_of(findings)
    broken_at = ORDER[primary["stage"]] if primary and verdict in ("failing", "expired") else len(STAGES)
    return [_stage(stage, index, broken_at, signals, findings) for index, stage in enumerate(STAGES)]


def _stage(stage: Stage, index: int, broken_at: int, signals: Data, findings: list[Data]) -> Data:
    here = [finding for finding in findings if finding["stage"] == stage.name and finding["severity"] != "info"]
    causes = {finding["severity"] for finding in here if finding["role"] != "symptom"}
    if "critical" in causes:
        state = "broken"
    elif "warning" in causes:
        state = "at_risk"
    elif here:
        state = "affected"
    elif index > broken_at:
        state = "waiting"
    elif all(search(path, signals) is None for path in stage.deciders):
        state = "unknown"
    else:
        state = "ok"
    return {
        "stage": stage.name,
        "title": stage.title,
        "question": stage.question,
        "state": state,
        "facts": [fact for fact in (fill(template, signals) for template in stage.facts) if fact],
        "findings": [finding["rule"] for finding in here],
    }


def summary_of(signals: Data, findings: list[Data], verdict: str) -> str:
    """One line for a person: what is wrong, or when the next rotation is due."""
    primary = primary_of(findings)
    if primary:
        return str(primary["title"])
    if verdict == "unknown":
        without = "without root " if signals["node"]["as_root"] is False else ""
        return f"not enough could be seen {without}to judge this node"
    if verdict == "expired":
        return "the client certificate has expired"
    window = fill(
        "next rotation between {client_certificate.rotation_from} and {client_certificate.rotation_until}", signals
    )
    return window or fill("a restart renews the certificate from {renewal.due_since}", signals) or "nothing found"


def _essential(signals: Data) -> tuple[str, ...]:
    """Nodes that authenticate by an exec plugin or a token (EKS) have no client certificate to rotate."""
    if signals["kubeconfig"]["user_kind"] in ("exec", "token", "token_file"):
        return ()
    return ESSENTIAL if signals["distribution"]["by_kubelet"] else ESSENTIAL[:1]
