# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A control node whose own clock is wrong: the evidence as it would be had the clock been right."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import dig

Data = dict[str, t.Any]

TOLERANCE_SECONDS = 60
"""As the rules of stage connection have it; what is measured over SSH on a busy machine is off by a few."""


def control_node_offset(probes: t.Mapping[str, Data], results: t.Mapping[str, Data]) -> int:
    """Seconds by which the control node's clock must be set forward; 0 when it may be right.

    It is wrong only when the API server and every node that was asked are off by the same, a worker among them: a control-plane node alone may
    well share the API server's wrong clock.
    """
    api = dig(results.get("control_plane_info"), "api_server", "time_offset_seconds")
    offsets = {host: dig(probe, "clock", "offset_seconds") for host, probe in probes.items()}
    known = {host: offset for host, offset in offsets.items() if offset is not None}
    workers = [host for host in known if not dig(probes[host], "control_plane")]
    if api is None or abs(api) < TOLERANCE_SECONDS or not workers:
        return 0
    return int(api) if all(abs(offset - api) < TOLERANCE_SECONDS for offset in known.values()) else 0


def corrected(part: Data, offset: int) -> Data:
    """A module's or a node's evidence with its time of collection, and the offsets measured against it, set right."""
    fixed = dict(part)
    if fixed.get("collected_at"):
        try:
            fixed["collected_at"] = format_time(parse_time(fixed["collected_at"]) + timedelta(seconds=offset))
        except OverflowError:
            return part
    for section, key in (("clock", "offset_seconds"), ("api_server", "time_offset_seconds")):
        if dig(part, section, key) is not None:
            fixed[section] = {**part[section], key: part[section][key] - offset}
    if "api_server" in fixed:
        side = "behind" if offset > 0 else "ahead of"
        message = f"the control node's clock is {abs(offset)} s {side} that of the API server and the nodes; corrected"
        gap = {"subject": "collected_at", "reason": "malformed", "message": message}
        fixed["not_seen"] = [*(part.get("not_seen") or ()), gap]
    return fixed
