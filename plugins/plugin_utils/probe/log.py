# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The kubelet's log: counts of each category over all lines of the window, and the newest lines."""

from __future__ import annotations

from datetime import datetime

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._log_categories import categories_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Section, whole_number
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data, epoch, log_time

MAX_MESSAGE_CHARS = 400


def log(section: Section | None, cap: int, now: datetime) -> Data | None:
    """Evidence of the log.

    The node sends lines grouped by shape (a line without its numbers) with count, first and last time and one of them in full, and
    the newest lines one by one. A shape's lines are of the same categories, so that the counts are over all of them.
    """
    if section is None:
        return None
    source = section.name.partition(" ")[0]
    result: Data = {
        "source": source if source in ("journal", "file") else "none",
        "since": epoch(section.number("since")),
        **dict.fromkeys(("first", "last", "lines", "counts", "entries", "dropped")),
    }
    if not section.one("complete"):
        return result
    counts: dict[str, Data] = {}
    entries: dict[tuple[str | None, str], Data] = {}
    matching = 0
    for value in section.all("shape"):
        number, first, last, text = ([*value.split(" ", 3), "", "", ""])[:4]
        count = whole_number(number) or 0
        begin, end, names = log_time(first, now), log_time(last, now), categories_of(text)
        if not names:
            continue
        matching += count
        entries[end, text] = {"time": end, "categories": names, "message": _clip(text)}
        for name in names:
            entry = counts.setdefault(name, {"count": 0, "first": begin, "last": end})
            entry["count"] += count
            entry["first"] = min(filter(None, (entry["first"], begin)), default=None)
            entry["last"] = max(filter(None, (entry["last"], end)), default=None)
    kept = list(entries.values())[:cap]
    present = {(entry["time"], entry["message"]) for entry in kept}
    for value in section.all("line"):
        if len(kept) >= cap:
            break
        moment, _space, text = value.partition(" ")
        entry = {"time": log_time(moment, now), "categories": categories_of(text), "message": _clip(text)}
        if entry["categories"] and (entry["time"], entry["message"]) not in present:
            kept.append(entry)
    kept.reverse()
    result.update(
        first=log_time(section.one("first") or "", now),
        last=log_time(section.one("last") or "", now),
        lines=None if section.one("partial") else section.number("lines"),
        counts=counts,
        entries=sorted(kept, key=lambda entry: entry["time"] or ""),
        dropped=max(matching - len(kept), 0) + (section.number("over") or 0),
    )
    return result


def _clip(text: str) -> str:
    """The beginning and the end: the end holds the error."""
    if len(text) <= MAX_MESSAGE_CHARS:
        return text
    half = MAX_MESSAGE_CHARS // 2 - 2
    return f"{text[:half]} … {text[-half:]}"
