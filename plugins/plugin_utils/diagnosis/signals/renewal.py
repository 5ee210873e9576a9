# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``renewal``: where another than the kubelet renews the client certificate, whether that is due, and whether it could be.

K3s and RKE2 renew at a start of their service, in the last 120 days of a certificate's 365 (90 in older releases). A certificate of
another lifetime is judged by the same share of it, or by the days where those are fewer.
"""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

OF_THE_KUBELET = frozenset(("rotation.client", "client_certificate.overdue", "bootstrap.needed", "bootstrap.possible"))
"""Signals that mean something only where the kubelet rotates; see ``of_another_rotator``."""
USUAL_LIFETIME_DAYS = 365
SOON_PERCENT = 80
"""So much of its lifetime used, a certificate that nobody renews by itself is worth a word."""
LATE_PERCENT = 90


def renewal_signals(distribution: Data, client: Data, kubelet: Data, now: str) -> Data:
    """``due``: a start of the service now would renew it; ``due_since``; ``started_since``: the service started after that and did not.

    All None where the kubelet rotates, or nothing is known of the certificate.
    """
    lifetime, not_after = client["lifetime_seconds"], client["not_after"]
    known = not distribution["by_kubelet"] and lifetime is not None and not_after is not None
    days = distribution["renewal_days"] if known else None
    due_since = None
    if days is not None:
        window = min(days * 86400, lifetime * days // USUAL_LIFETIME_DAYS)
        due_since = format_time(parse_time(not_after) - timedelta(seconds=window))
    started = kubelet["started"]
    used = client["used_percent"] if known else None
    return {
        "days": days,
        "due_since": due_since,
        "due": None if due_since is None else due_since <= now,
        "started_since": None if due_since is None or started is None else started > due_since,
        "soon": None if used is None else used >= SOON_PERCENT,
        "late": None if used is None else used >= LATE_PERCENT,
    }


def of_another_rotator(rotation: Data, client: Data, bootstrap: Data) -> None:
    """Where the kubelet is not the one who rotates, its flags for that, its deadline and its bootstrap kubeconfig say nothing: None."""
    nothing = {"overdue": None, "rotation_from": None, "rotation_until": None}
    rotation.update(client=None, client_source=None)
    client.update(nothing, rotated={**client["rotated"], **nothing})
    bootstrap.update(needed=None, possible=None)
