# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What the kubelet is: node, clock, process, unit, flags."""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Answer, Section
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data, epoch, systemd_time

HEALTHZ_SECONDS = 3
_TIMED_OUT = (28, 124, 137, 143)
"""Exit statuses of curl and of ``timeout`` for a time that ran out."""

_EXIT_CODES = {"1": "exited", "2": "killed", "3": "dumped"}


def clock(node: Section, end_time: int | None, sent_at: float, answered_at: float) -> Data:
    """The node's clock; ``offset_seconds`` is its lead over this machine's (NTP's formula over both ends of the round trip)."""
    time, offset = node.number("time"), None
    if time is not None:
        offset = time - sent_at
        if end_time is not None:
            offset = (offset + end_time - answered_at) / 2
        offset = round(offset)
    return {
        "time": epoch(time),
        "offset_seconds": offset,
        "synchronized": node.yes("synchronized"),
        "source": node.one("clock_source"),
        "boot_time": epoch(node.number("btime")),
        "uptime_seconds": node.number("uptime"),
        "suspended_seconds": _suspended(node),
        "previous_boot_end": epoch(node.number("previous_boot_end")),
    }


def _suspended(node: Section) -> int | None:
    """How long the machine has been suspended since its boot: the uptime counts that time, the monotonic clock does not."""
    uptime, monotonic = node.number("uptime"), node.number("monotonic")
    return None if uptime is None or monotonic is None else max(uptime - monotonic, 0)


def kubelet(answer: Answer) -> Data:
    """The running process, else None values, and the unit."""
    process, unit = answer.first("process") or Section("process", ""), answer.first("unit")
    source = process if process.one("flags_source") else unit
    flags: dict[str, str] | None = None
    others: list[str] | None = None
    if source is not None and source.one("flags_source"):
        pairs = (value.partition(" ") for value in source.all("flag"))
        flags = {name: value.strip('"') for name, _space, value in pairs}
        others = sorted(set(source.all("other")))[:120]
    return {
        "binary": process.one("binary"),
        "exe": process.one("exe"),
        "parent": process.one("parent"),
        "data_dir": (unit or process).one("data_dir"),
        "pid": process.number("pid"),
        "state": process.one("state"),
        "started": _started(process, answer.first("node")),
        "binary_changed": epoch(process.number("binary_changed")),
        "version": (process.one("version") or "").rpartition(" ")[2] or None,
        "flags": flags,
        "flags_source": source.one("flags_source") if source is not None else None,
        "other_flags": others,
        "unit": None if unit is None else _unit(unit, process),
    }


def denials(section: Section | None) -> Data | None:
    """What SELinux or AppArmor denied the kubelet; the time is that of the audit record, or of the kernel log's line."""
    if section is None:
        return None
    lines = []
    for line in section.all("line"):
        stamp = re.search(r"audit\((\d{9,11})\.", line) or re.match(r"(\d{9,11})\.", line)
        lines.append({"time": epoch(stamp.group(1)) if stamp else None, "message": line})
    return {"selinux": section.one("enforcing"), "lines": lines}


def healthz(section: Section | None) -> Data | None:
    """What became of ``GET /healthz``: ``answer`` is answered, refused or timeout; None where it was not asked."""
    if section is None:
        return None
    status, code = section.number("status"), section.number("http")
    if code:
        return {"address": section.name, "port": section.number("port"), "answer": "answered", "http_status": code}
    answer = None if status is None else "refused"
    if status in _TIMED_OUT or (section.number("seconds") or 0) >= HEALTHZ_SECONDS:
        answer = "timeout"
    return {"address": section.name, "port": section.number("port"), "answer": answer, "http_status": None}


def _started(process: Section, node: Section | None) -> str | None:
    ticks, hertz = process.number("start_ticks"), process.number("clock_ticks")
    boot = node.number("btime") if node is not None else None
    return epoch(boot + ticks // hertz) if boot is not None and ticks is not None and hertz else None


def _unit(unit: Section, process: Section) -> Data:
    proxies: dict[str, str] = {}
    for value in [*unit.all("proxy"), *process.all("proxy")]:
        name, _space, proxy = value.partition(" ")
        proxies[name] = proxy
    return {
        "name": unit.one("p.Id") or unit.name,
        "load_state": unit.one("p.LoadState"),
        "active_state": unit.one("p.ActiveState"),
        "sub_state": unit.one("p.SubState"),
        "result": unit.one("p.Result"),
        "unit_file_state": unit.one("p.UnitFileState"),
        "restarts": unit.number("p.NRestarts"),
        "active_since": systemd_time(unit.one("p.ActiveEnterTimestamp")),
        "inactive_since": systemd_time(unit.one("p.InactiveEnterTimestamp")),
        "main_started": systemd_time(unit.one("p.ExecMainStartTimestamp")),
        "main_exited": systemd_time(unit.one("p.ExecMainExitTimestamp")),
        "main_exit_code": _EXIT_CODES.get(unit.one("p.ExecMainCode") or ""),
        "main_exit_status": unit.number("p.ExecMainStatus") if unit.one("p.ExecMainCode") in _EXIT_CODES else None,
        "fragment_path": unit.one("p.FragmentPath"),
        "drop_ins": (unit.one("p.DropInPaths") or "").split(),
        "protect_system": unit.one("p.ProtectSystem"),
        "read_only_paths": (unit.one("p.ReadOnlyPaths") or "").split()[:20],
        "read_write_paths": (unit.one("p.ReadWritePaths") or "").split()[:20],
        "inaccessible_paths": (unit.one("p.InaccessiblePaths") or "").split()[:20],
        "environment": sorted(set(unit.all("env")))[:120],
        "proxies": proxies,
    }
