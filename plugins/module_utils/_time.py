# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""One form of time everywhere: RFC 3339 in UTC with whole seconds, ``2026-11-23T20:05:00Z``."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta, timezone

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> str:
    """The machine's own time now. Only collectors may call this; judging takes the time as an argument."""
    return format_time(datetime.now(timezone.utc))


def format_time(moment: datetime) -> str:
    """Formats a moment; a naive one is taken as UTC (as cryptography's and Kubernetes' are)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    moment = moment.astimezone(timezone.utc)
    return f"{moment.year:04d}{moment.strftime(_FORMAT[2:])}"


@functools.lru_cache(maxsize=16384)
def parse_time(text: str) -> datetime:
    """Parses RFC 3339 with any offset and any fraction of a second. Remembers what it parsed: evidence says most times often.

    Raises:
        ValueError: the text is not a time, or it names no offset.
    """
    value = text.strip()
    if value[-1:] in ("Z", "z"):
        value = value[:-1] + "+00:00"
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset from UTC")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError(f"{text!r} is no time in the years 1 to 9999") from error


def from_epoch(seconds: float) -> str:
    """Formats seconds since 1970-01-01 UTC. Raises ValueError when no such year exists."""
    try:
        return format_time(datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds))
    except OverflowError as error:
        raise ValueError(f"{seconds!r} is no time in the years 1 to 9999") from error


def seconds_between(earlier: str, later: str) -> int:
    """Whole seconds from ``earlier`` to ``later`` (negative when they are the other way round)."""
    return int((parse_time(later) - parse_time(earlier)).total_seconds())
