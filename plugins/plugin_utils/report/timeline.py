# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Where everything of a timeline goes: lanes, bars, points, labels, ticks. Geometry only; the template draws it.

A certificate lives for a year and breaks within minutes, so there may be two pictures: the whole time, and the time
around the first failure. Lengths are pixels of a picture ``WIDTH`` wide; times are UTC.
"""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import KINDS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import moment, shorten, width

WIDTH = 1120
LEFT = 104
RIGHT = WIDTH - 12
TOP = 44
ROW = 22
MAX_ROWS = 4
MAX_EVENTS = 400
LANES = {
    "certificate": "certificates",
    "ca": "CA",
    "kubelet": "kubelet",
    "version": "versions",
    "node": "node",
    "event": "events",
    "csr": "requests",
    "log": "log",
    "rbac": "RBAC",
    "manifest": "manifests",
}

_CHARACTER = 6.7
_LABEL_COLUMNS = 64
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    1,
    5,
    15,
    30,
    *(m * _MINUTE for m in (1, 2, 5, 10, 15, 30)),
    *(h * _HOUR for h in (1, 2, 3, 6, 12)),
    *(d * _DAY for d in (1, 2, 7, 14)),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200)
_ZOOMS = tuple(m * _MINUTE for m in (10, 30, 60, 180, 720, 1440, 4320, 10080, 43200, 129600))


class Item(t.NamedTuple):
    """An event with its times parsed; ``end`` is None for a point."""

    start: datetime
    end: datetime | None
    event: Record


def pictures(node: Record, now_text: str | None) -> list[Record]:
    """The pictures of a node's timeline: none, the whole, or the whole and the time around the first failure."""
    now = moment(now_text)
    items = _items(node["timeline"])
    if not items:
        return []
    failure = moment(node["first_failure"]) or next((item.start for item in items if item.event["first_failure"]), None)
    stamps = [when for item in items for when in (item.start, item.end) if when] + [
        when for when in (now, failure) if when
    ]
    first, last = min(stamps), max(stamps)
    whole = _padded(first, last)
    zoom = _zoom(items, failure or now, now, last - first)
    result = [{**_draw(items, whole, now, failure, zoom), "title": "The whole time"}]
    if zoom:
        around = "Around the first failure" if failure else "The latest"
        result.append({**_draw(items, zoom, now, failure, None), "title": around})
    return result


def _items(events: list[Record]) -> list[Item]:
    items = []
    for event in events:
        start, end = moment(event["time"]), moment(event["end"])
        if start is not None:
            items.append(Item(start, end if end is not None and end > start else None, event))
    if len(items) > MAX_EVENTS:
        items.sort(
            key=lambda item: (not item.event["first_failure"], item.event["kind"] == "log", -item.start.timestamp())
        )
    return sorted(items[:MAX_EVENTS], key=lambda item: item.start)


def _padded(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    pad = max((last - first) * 0.03, timedelta(seconds=30))
    low, high = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
    return (max(low, first) - pad if first - low > pad else low, min(high, last) + pad if high - last > pad else high)


def _zoom(
    items: list[Item], center: datetime | None, now: datetime | None, overall: timedelta
) -> tuple[datetime, datetime] | None:
    """The smallest usual window around ``center`` with most of what happened, if it is much smaller than the whole."""
    if center is None:
        return None
    points = [item.start for item in items if item.event["kind"] not in ("certificate", "ca")]
    if len(points) < 3:
        return None
    for seconds in _ZOOMS:
        near = [when for when in points if abs((when - center).total_seconds()) <= seconds]
        if len(near) >= max(3, 0.7 * len(points)):
            near.append(center)
            if now is not None and abs((now - center).total_seconds()) <= 6 * seconds:
                near.append(now)
            window = _padded(min(near), max(near))
            return window if (window[1] - window[0]) * 5 < overall else None
    return None


def _draw(
    items: list[Item], view: tuple[datetime, datetime], now: datetime | None, failure: datetime | None, zoom: t.Any
) -> Record:
    start, end = view
    scale = (RIGHT - LEFT) / max((end - start).total_seconds(), 1)

    def place(when: datetime) -> float:
        return round(LEFT + max(0.0, min((when - start).total_seconds() * scale, RIGHT - LEFT)), 1)

    lanes, y = [], float(TOP)
    for kind in KINDS:
        mine = [
            item
            for item in items
            if item.event["kind"] == kind and item.start <= end and (item.end or item.start) >= start
        ]
        if mine:
            lane = _lane(kind, mine, y, place, view, failure)
            lanes.append(lane)
            y += lane["height"]
    marks: list[Record] = []
    if failure is not None and start <= failure <= end:
        marks.append(
            {"class": "failure", "x": place(failure), "label": f"first failure {_short(failure, end - start)}", "y": 14}
        )
    if now is not None and start <= now <= end:
        marks.append({"class": "now", "x": place(now), "label": f"now {_short(now, end - start)}", "y": 30})
    for mark in marks:
        mark["anchor"] = "start" if mark["x"] < (LEFT + RIGHT) / 2 else "end"
    return {
        "width": WIDTH,
        "height": y + 40,
        "bottom": y,
        "left": LEFT,
        "right": RIGHT,
        "lanes": lanes,
        "marks": marks,
        "ticks": _ticks(start, end, place),
        "window": {"x": place(zoom[0]) - 3, "width": max(place(zoom[1]) - place(zoom[0]), 1) + 6} if zoom else None,
        "events": sum(len(lane["items"]) for lane in lanes),
    }


def _lane(
    kind: str,
    items: list[Item],
    top: float,
    place: t.Callable[[datetime], float],
    view: tuple[datetime, datetime],
    failure: datetime | None,
) -> Record:
    """One kind's events, nearest to the failure first; a label goes in the first of ``MAX_ROWS`` rows with room."""
    reference = failure or items[-1].start
    order = sorted(
        items,
        key=lambda item: (
            not item.event["first_failure"],
            item.end is None,
            abs((item.start - reference).total_seconds()),
        ),
    )
    rows: list[list[tuple[float, float]]] = []
    shapes, crowded = [], []
    for item in order:
        shape = _shape(item, place, view)
        taken = shape.pop("taken")
        row = next(
            (index for index, used in enumerate(rows) if all(taken[1] < low or taken[0] > high for low, high in used)),
            len(rows),
        )
        if row >= MAX_ROWS:
            crowded.append(shape)
            continue
        if row == len(rows):
            rows.append([])
        rows[row].append(taken)
        shapes.append({**shape, "y": top + row * ROW + ROW / 2 + 3})
    height = len(rows) * ROW + 6
    if crowded:
        shapes += [
            {**shape, "label": "", "y": top + height + 4, "class": f"{shape['class']} crowded"} for shape in crowded
        ]
        height += 14
    return {
        "kind": kind,
        "label": LANES[kind],
        "top": top,
        "height": height,
        "items": shapes,
        "unlabelled": len(crowded),
    }


def _shape(item: Item, place: t.Callable[[datetime], float], view: tuple[datetime, datetime]) -> Record:
    event = item.event
    text = event["text"] or event["kind"]
    label = shorten(text, _LABEL_COLUMNS)
    if item.end is not None and event["kind"] in ("certificate", "ca"):
        label += f" until {item.end.year:04d}-{item.end:%m-%d}"
    size = width(label) * _CHARACTER
    x = place(item.start)
    shape: Record = {
        "span": item.end is not None,
        "x": x,
        "width": max(place(item.end) - x, 4.0) if item.end is not None else 0,
        "label": label,
        "inside": False,
        "title": f"{event['time']}{' to ' + event['end'] if item.end is not None else ''}: {text}",
        "class": "failure" if event["first_failure"] else event["kind"],
        "cut_left": item.start < view[0],
        "cut_right": item.end is not None and item.end > view[1],
    }
    shape["width"] = round(shape["width"], 1)
    stop = x + shape["width"]
    if shape["width"] > size + 16:
        shape.update(inside=True, label_x=x + 10, anchor="start", taken=(x - 4, stop + 4))
    elif stop + 10 + size <= RIGHT:
        shape.update(label_x=stop + 9, anchor="start", taken=(x - 8, stop + 14 + size))
    elif x - 10 - size >= LEFT:
        shape.update(label_x=x - 9, anchor="end", taken=(x - 14 - size, stop + 8))
    else:
        shape.update(label_x=LEFT + 4, anchor="start", inside=True, taken=(LEFT, stop + 4 + size))
    return shape


def _ticks(start: datetime, end: datetime, place: t.Callable[[datetime], float]) -> list[Record]:
    """About eight ticks at whole units; a date stands under the first tick and where the day (or year) changes."""
    span = (end - start).total_seconds()
    stamps: list[datetime] = []
    step = next((size for size in _STEPS if span / size <= 9), None)
    if step is not None:
        zero = datetime(1970, 1, 1, tzinfo=UTC)
        at = -(-int((start - zero).total_seconds()) // step) * step
        while at <= (end - zero).total_seconds():
            stamps.append(zero + timedelta(seconds=at))
            at += step
    else:
        months = next((size for size in _MONTHS if span / (size * 30.4 * _DAY) <= 9), _MONTHS[-1])
        index = -(-(start.year * 12 + start.month) // months) * months
        while index // 12 <= min(end.year, 9998):
            stamps.append(datetime(max(index // 12, 1), index % 12 + 1, 1, tzinfo=UTC))
            index += months
        stamps = [when for when in stamps if start <= when <= end]
    ticks, before = [], ""
    for when in stamps:
        if step is not None and step < _DAY:
            label, under = when.strftime("%H:%M:%S" if step < _MINUTE else "%H:%M"), f"{when.day} {when:%b} {when.year}"
        elif step is not None or months < 12:
            label, under = (f"{when.day} {when:%b}" if step is not None else f"{when:%b}"), str(when.year)
        else:
            label, under = str(when.year), ""
        ticks.append({"x": place(when), "label": label, "under": under if under != before else ""})
        before = under
    return ticks


def _short(when: datetime, span: timedelta) -> str:
    if span < timedelta(days=1):
        return when.strftime("%H:%M")
    return f"{when.day} {when:%b} {when:%H:%M}" if span < timedelta(days=60) else f"{when.day} {when:%b} {when.year}"
