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
MAX_ALIKE = 5
"""Lines kept that belong to the same categories: more of them say nothing new, and their count is known."""


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
        **dict.fromkeys(("first", "last", "lines", "counts", "entries", "dropped", "longest_down")),
    }
    if not section.one("complete"):
        return result
    zone = section.one("zone") or "+0000"
    counts: dict[str, Data] = {}
    entries: dict[tuple[str | None, str], Data] = {}
    matching = 0
    for value in section.all("shape"):
        number, first, last, text = ([*value.split(" ", 3), "", "", ""])[:4]
        count = whole_number(number) or 0
        begin, end, names = log_time(first, now, zone), log_time(last, now, zone), categories_of(text)
        if not names:
            continue
        matching += count
        entries[end, text] = {"time": end, "categories": names, "message": _clip(text)}
        for name in names:
            entry = counts.setdefault(name, {"count": 0, "first": begin, "last": end})
            entry["count"] += count
            entry["first"] = min(filter(None, (entry["first"], begin)), default=None)
            entry["last"] = max(filter(None, (entry["last"], end)), default=None)
    for value in section.all("line"):
        moment, _space, text = value.partition(" ")
        names = categories_of(text)
        if names:
            end = log_time(moment, now, zone)
            entries.setdefault((end, text), {"time": end, "categories": names, "message": _clip(text)})
    kept = _choose(list(entries.values()), cap)
    result.update(
        first=log_time(section.one("first") or "", now, zone),
        last=log_time(section.one("last") or "", now, zone),
        lines=None if section.one("partial") else section.number("lines"),
        counts=counts,
        longest_down=_down(section),
        entries=kept,
        dropped=max(matching - len(kept), 0) + (section.number("over") or 0),
    )
    return result


def _down(section: Section) -> Data | None:
    """The longest time within the window in which the journal says that the kubelet, or its machine, was down."""
    begin, _space, end = (section.one("down") or "").partition(" ")
    return {"from": epoch(begin), "to": epoch(end)} if epoch(begin) and epoch(end) else None


def _choose(entries: list[Data], cap: int) -> list[Data]:
    """The newest of each set of categories, at most ``cap`` in all, in the order of time (klog writes the fraction of the second
    into the line, after the letter of the severity)."""

    def moment(entry: Data) -> tuple[str, str]:
        return entry["time"] or "", entry["message"][1:21]

    kept: list[Data] = []
    of_set: dict[tuple[str, ...], int] = {}
    for entry in sorted(entries, key=moment, reverse=True):
        names = tuple(entry["categories"])
        of_set[names] = of_set.get(names, 0) + 1
        if of_set[names] <= MAX_ALIKE:
            kept.append(entry)
    firsts = {tuple(entry["categories"]): entry for entry in reversed(kept)}
    rest = [entry for entry in kept if firsts[tuple(entry["categories"])] is not entry]
    return sorted([*firsts.values(), *rest][:cap], key=moment)


def _clip(text: str) -> str:
    """The beginning and the end: the end holds the error."""
    if len(text) <= MAX_MESSAGE_CHARS:
        return text
    half = MAX_MESSAGE_CHARS // 2 - 2
    return f"{text[:half]} … {text[-half:]}"
