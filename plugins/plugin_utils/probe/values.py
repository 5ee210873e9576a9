# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Times and certificates of the probe's lines as evidence."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, from_epoch, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import certificates_in
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Section, whole_number

Data = dict[str, t.Any]

_KLOG = re.compile(r"^[IWEF](\d\d)(\d\d)_(\d\d):(\d\d):(\d\d)")
_SYSLOG = re.compile(r"^([A-Z][a-z]{2})_(\d{1,2})_(\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def pem_of(section: Section, tag: str = "cert") -> bytes:
    """The section's certificates as one PEM text; what is no base64 stays in place and is found undecodable later."""
    blocks = [f"-----BEGIN CERTIFICATE-----\n{body or '!'}\n-----END CERTIFICATE-----\n" for body in section.all(tag)]
    return "".join(blocks).encode("ascii", "replace")


def certificates(section: Section, tag: str = "cert") -> list[Data]:
    """The section's certificates as records, in file order."""
    return certificates_in(pem_of(section, tag))


def epoch(text: str | int | None) -> str | None:
    """Seconds since 1970 as a time."""
    seconds = text if isinstance(text, int) else whole_number(text)
    try:
        return None if seconds is None else from_epoch(seconds)
    except ValueError:
        return None


def systemd_time(text: str | None) -> str | None:
    """``Mon 2026-11-23 20:05:00 UTC`` as systemctl prints it with TZ=UTC; None for ``n/a`` and nothing."""
    found = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)", text or "")
    if not found:
        return None
    try:
        return format_time(datetime.fromisoformat(f"{found.group(1)}T{found.group(2)}"))
    except ValueError:
        return None


def log_time(text: str, now: datetime, zone: str = "+0000") -> str | None:
    """The time of a log line: seconds since 1970, RFC 3339, or without a year as syslog and klog write it, in the node's ``zone`` (then the
    latest such moment that is no more than a day after ``now``)."""
    if text.isdigit():
        return epoch(text)
    try:
        found = _KLOG.match(text) or _SYSLOG.match(text)
        if not found:
            return format_time(parse_time(text))
        month, day, hour, minute, second = found.groups()
        number = int(month) if month.isdigit() else _MONTHS.index(month) + 1
        moment = datetime(now.year, number, int(day), int(hour), int(minute), int(second), tzinfo=timezone.utc)
        moment -= _offset(zone)
        return format_time(moment.replace(year=now.year - 1) if moment > now + timedelta(days=1) else moment)
    except (ValueError, IndexError):
        return None


def log_moment(text: str) -> str | None:
    """A container log's RFC 3339 time in whole seconds; None when it is no time."""
    try:
        return format_time(parse_time(text))
    except ValueError:
        return None


def _offset(zone: str) -> timedelta:
    """``+0530`` as ``date +%z`` says it; none when it is something else."""
    found = _ZONE.fullmatch(zone)
    minutes = int(found.group(2)) * 60 + int(found.group(3)) if found else 0
    return timedelta(minutes=-minutes if found and found.group(1) == "-" else minutes)
