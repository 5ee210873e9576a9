# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Text for people: hostile characters made visible, columns counted, durations and times in words."""

from __future__ import annotations

import typing as t
import unicodedata

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import parse_time

if t.TYPE_CHECKING:
    from datetime import datetime

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories a terminal obeys or a reader cannot see: controls, bidi, zero-width, surrogates, unassigned."""

_MAX_MARKS = 2
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def neutral(value: t.Any, limit: int = 4000, newlines: bool = False) -> str:
    """One line of text that neither a terminal nor a browser obeys, at most ``limit`` characters long.

    Control, bidi, zero-width and unassigned characters become visible escapes (``\\x1b``, ``\\u202e``); line ends and
    tabs become blanks (line ends stay with ``newlines``); combining marks are kept up to two a letter.
    """
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text.strip()  # most are
    cut = len(text) > limit
    out: list[str] = []
    marks = 0
    for char in text[:limit].replace("\r\n", "\n"):
        if " " <= char <= "~":
            marks = 0
            out.append(char)
            continue
        if char == "\n":
            out.append("\n" if newlines else " ")
            continue
        if char == "\t":
            out.append(" ")
            continue
        category = unicodedata.category(char)
        if category in _HIDDEN:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MAX_MARKS:
            out.append(char)
    return "".join(out).strip() + ("…" if cut else "")


def width(text: str) -> int:
    """Columns that a neutral text takes on a terminal: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def shorten(text: str, columns: int) -> str:
    """The text if it fits, else its start with an ellipsis, never wider than ``columns``."""
    if width(text) <= columns:
        return text
    out, used = [], 0
    for char in text:
        used += width(char)
        if used > columns - 1:
            break
        out.append(char)
    return "".join(out).rstrip() + "…"


def wrap(text: str, columns: int, rows: int) -> list[str]:
    """The text in at most ``rows`` lines of ``columns``, broken at blanks if it can be; the last one is shortened."""
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < rows - 1 and width(rest) > columns:
        cut, used, blank = 0, 0, 0
        for position, char in enumerate(rest):
            used += width(char)
            if used > columns + (char == " "):
                break
            cut = position + 1
            if char == " ":
                blank = position
        cut = blank if blank > cut // 2 else max(cut, 1)
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        lines.append(shorten(rest, columns))
    return lines


def duration(seconds: float) -> str:
    """A length of time in its two largest units: ``3 d 4 h``, ``25 min``, ``0 s``. The sign is dropped."""
    left = int(abs(seconds))
    for index, (name, size) in enumerate(_UNITS):
        if left >= size or size == 1:
            count, rest = divmod(left, size)
            text = f"{count} {name}"
            if size in (86400, 3600) and count < 30:
                small_name, small_size = _UNITS[index + 1]
                if rest >= small_size:
                    text += f" {rest // small_size} {small_name}"
            return text
    return "0 s"


def moment(value: t.Any) -> datetime | None:
    """The time of an RFC 3339 text, or None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        return None


def clock(value: t.Any, now: datetime | None = None) -> str:
    """``20:05`` on the day of ``now``, else ``2026-11-23 20:05``; the neutral text itself when it is no time."""
    when = moment(value)
    if when is None:
        return neutral(value, 40)
    if now is not None and when.date() == now.date():
        return when.strftime("%H:%M")
    return f"{when.year:04d}-{when.strftime('%m-%d %H:%M')}"


def ago(value: t.Any, now: datetime | None) -> str:
    """``25 min ago`` or ``in 3 d``; empty when either time is unknown."""
    when = moment(value)
    if when is None or now is None:
        return ""
    seconds = (now - when).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(seconds)}"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
