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
    if dig(view.probe, "way") == "api" and dig(view.probe, "healthz", "answer") == "answered":
        running = True
    failing = state in ("activating", "failed") or dig(unit, "sub_state") == "auto-restart"
    restarts = dig(unit, "restarts")
    started = dig(kubelet, "started") or dig(view.probe, "metrics", "started")
    age = seconds_since(started or dig(unit, "main_started"), view.now)
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
        "started": started,
        "uptime_seconds": seconds_since(started, view.now),
        "inactive_since": dig(unit, "inactive_since"),
        "exit_status": dig(unit, "main_exit_status"),
        "version": dig(view.node, "kubelet_version") or dig(kubelet, "version"),
        "state": dig(kubelet, "state"),
        "healthz": dig(view.probe, "healthz", "answer"),
        "healthz_url": _healthz_url(dig(view.probe, "healthz")),
        "responding": _responding(kubelet, dig(view.probe, "healthz"), age),
    }


START_SECONDS = 120
"""How long a kubelet may take until its health endpoint listens. One that accepts a connection and says nothing is stuck at any age."""


def _responding(kubelet: Data | None, healthz: Data | None, age: int | None) -> bool | None:
    answer = dig(healthz, "answer")
    if dig(kubelet, "pid") is None or answer is None:
        return None
    if answer == "refused":
        return None if age is None or age < START_SECONDS else False
    return bool(answer == "answered" and dig(healthz, "http_status") == 200)


def _healthz_url(healthz: Data | None) -> str | None:
    return f"http://{healthz.get('address')}:{healthz.get('port')}/healthz" if healthz else None


def clock_signals(view: View) -> Data:
    """The node's clock against the control node's, and the API server's against the same: seconds, positive is ahead."""
    offset = dig(view.probe, "clock", "offset_seconds")
    api_offset = dig(view.cluster.control_plane_info, "api_server", "time_offset_seconds")
    return {
        "offset_seconds": offset,
        "offset_to_api_seconds": offset - api_offset if offset is not None and api_offset is not None else None,
        "synchronized": dig(view.probe, "clock", "synchronized"),
        "api_offset_seconds": api_offset,
        "boot_time": dig(view.probe, "clock", "boot_time"),
        "suspended_seconds": dig(view.probe, "clock", "suspended_seconds"),
        "stepped_seconds": _stepped(view.probe),
    }


def _stepped(probe: Data | None) -> int | None:
    """How far the clock was set forward since the kubelet started: its start counted back from now, less the one that systemd wrote down."""
    counted, written = dig(probe, "kubelet", "started"), dig(probe, "kubelet", "unit", "main_started")
    return seconds_since(written, counted) if written and counted else None


def timer_signals(view: View, client_certificate: Data) -> Data:
    """Signals ``timer``: the time that the kubelet's timers have lost since its start, and whether that made it miss its rotation.

    Go's timers follow the monotonic clock, which stands still while a machine is suspended and does not follow a clock that is set. A
    deadline is at most ``rotation_until``, so the kubelet must have started before that, and have lost as much as has passed since.
    """
    clock = clock_signals(view)
    lost = {"suspended": clock["suspended_seconds"], "a clock set forward": clock["stepped_seconds"]}
    most = max((name for name in lost if lost[name] is not None), key=lambda name: lost[name], default=None)
    seconds = None if most is None else lost[most]
    until, started = (
        client_certificate["rotation_until"],
        dig(view.probe, "kubelet", "unit", "main_started") or dig(view.probe, "kubelet", "started"),
    )
    late = seconds_since(until, view.now) if until else None
    missed = None
    if seconds is not None and late is not None and started is not None:
        missed = late > 0 and started < until and seconds >= max(late, LOST_SECONDS)
    return {"lost_seconds": seconds, "lost_to": most, "missed": missed}


LOST_SECONDS = 60
"""Less may be a second of rounding here and there, or a clock that is kept right by slewing."""


def down_signals(view: View, client_certificate: Data) -> Data:
    """Signals ``down``: the time without a kubelet that lies over most of the window in which it should have rotated this certificate.

    From the unit (its last stop and start), the journal's longest silence behind an end, and the machine's last boot. ``from`` and ``to``
    are None where no such time is known, ``seen`` is None where none of the three could be read.
    """
    unit, log = dig(view.probe, "kubelet", "unit"), dig(view.probe, "log")
    spans = [
        (dig(unit, "inactive_since"), dig(unit, "active_since"), "unit"),
        (dig(log, "longest_down", "from"), dig(log, "longest_down", "to"), "journal"),
        (dig(view.probe, "clock", "previous_boot_end"), dig(view.probe, "clock", "boot_time"), "boot"),
    ]
    if (
        dig(unit, "inactive_since")
        and not dig(view.probe, "kubelet", "pid")
        and dig(unit, "active_state") == "inactive"
    ):
        spans[0] = (dig(unit, "inactive_since"), view.now, "unit")
    opens, closes = client_certificate["rotation_from"], client_certificate["rotation_until"]
    window = seconds_since(opens, closes) if opens and closes else None
    found: Data = {"from": None, "to": None, "lasted_seconds": None, "source": None, "percent_of_window": 0}
    for begin, end, source in spans:
        if not begin or not end or not window or begin >= end:
            continue
        covered = seconds_since(max(begin, opens), min(end, closes)) or 0
        percent = round(max(covered, 0) * 100 / window)
        if end >= closes and percent > found["percent_of_window"]:
            found = {
                "from": begin,
                "to": end,
                "lasted_seconds": seconds_since(begin, end),
                "source": source,
                "percent_of_window": percent,
            }
    seen = unit is not None or log is not None
    return {**found, "through_window": found["percent_of_window"] >= MOST_PERCENT if seen and window else None}


MOST_PERCENT = 50
