# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``kubelet`` and ``clock``: does a kubelet run here, since when, how did it end, and is the machine's clock right."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)

CRASH_LOOP_RESTARTS = 2
"""Restarts by systemd itself since somebody last started the unit (NRestarts) that make a crash loop, while the last is young."""

YOUNG_SECONDS = 60


def kubelet_signals(view: View) -> Data:
    """``running``, ``stopped`` (by somebody: not failed, not restarting), ``crash_looping``, its times and its version."""
    kubelet, unit = dig(view.probe, "kubelet"), dig(view.probe, "kubelet", "unit")
    state, result = dig(unit, "active_state"), dig(unit, "result")
    # A crash loop may be met between two looks: no process a moment before systemd says that it has started one again.
    running = None if kubelet is None else dig(kubelet, "pid") is not None or dig(unit, "sub_state") == "running"
    failing = state in ("activating", "failed") or dig(unit, "sub_state") == "auto-restart"
    restarts = dig(unit, "restarts")
    age = seconds_since(dig(kubelet, "started") or dig(unit, "main_started"), view.now)
    crash_looping: bool | None = None
    if state is not None:
        again = age is not None and age < YOUNG_SECONDS and (restarts or 0) >= CRASH_LOOP_RESTARTS
        crash_looping = again or (failing and result not in (None, "success"))
    return {
        "running": running,
        "crash_looping": crash_looping,
        "stopped": None if running is None or crash_looping is None else not running and not crash_looping,
        "unit": dig(unit, "name"),
        "unit_state": state,
        "unit_result": result,
        "unit_file_state": dig(unit, "unit_file_state"),
        "restarts": restarts,
        "started": dig(kubelet, "started"),
        "uptime_seconds": seconds_since(dig(kubelet, "started"), view.now),
        "inactive_since": dig(unit, "inactive_since"),
        "exit_status": dig(unit, "main_exit_status"),
        "version": dig(view.node, "kubelet_version") or dig(kubelet, "version"),
    }


def clock_signals(view: View) -> Data:
    """The node's clock against the control node's, and the API server's against the same: seconds, positive is ahead."""
    offset = dig(view.probe, "clock", "offset_seconds")
    api_offset = dig(view.cluster.control_plane_info, "api_server", "time_offset_seconds")
    return {
        "offset_seconds": offset,
        "offset_to_api_seconds": offset - api_offset if offset is not None and api_offset is not None else None,
        "synchronized": dig(view.probe, "clock", "synchronized"),
        "boot_time": dig(view.probe, "clock", "boot_time"),
    }
