# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What lies ahead of a node: when its next rotation opens and closes, when its certificate ends, and what will stop that rotation."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import Rule
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

OVERDUE = "rotation-overdue"
"""A cause that accounts for an overdue rotation is one that the next rotation cannot succeed past."""


def blocking_rules(rules: t.Iterable[Rule]) -> frozenset[str]:
    """The ids of the rules that the next rotation cannot succeed past."""
    return frozenset(rule.id for rule in rules if OVERDUE in rule.explains)


def foresight(signals: Data, findings: t.Sequence[Data], blocking: frozenset[str]) -> Data:
    """The record ``foresight`` of ``docs/diagnosis.md``. Times are seconds from now, negative for what is past, None where unknown.

    The window is 70 to 90 % of the certificate's own lifetime, so that an hour's and a year's certificate are judged alike.
    ``blocked_by`` holds causes (no symptoms, no remarks), the primary one first.
    """
    certificate = signals["client_certificate"]
    return {
        "rotation_opens_in_seconds": certificate["rotation_opens_in_seconds"],
        "rotation_closes_in_seconds": certificate["rotation_closes_in_seconds"],
        "expires_in_seconds": certificate["seconds_left"],
        "blocked_by": [
            finding["rule"]
            for finding in findings
            if finding["rule"] in blocking and finding["role"] != "symptom" and finding["severity"] != "info"
        ],
    }
