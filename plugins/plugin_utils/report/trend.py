# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Where everything of the trend's pictures goes: one a pool, all over the same time. Geometry only; the template draws it.

Up is the share of a lifetime that is left, so that certificates of an hour and of a year are comparable, and the marks that matter are the
same for all: from 30 % on a kubelet rotates, below 10 % it is overdue. Lengths are pixels of a picture ``WIDTH`` wide.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import moment

WIDTH = 560
HEIGHT = 96
LEFT = 34
RIGHT = WIDTH - 10
TOP = 8
BOTTOM = HEIGHT - 20
POOLS = 24
"""Pictures on a page."""
ROTATES_FROM, OVERDUE = 30, 10
"""Percent of the lifetime that is left when a kubelet may rotate, and when it must have."""


def pictures(trend: list[Record]) -> list[Record]:
    """The pictures of the first ``POOLS`` pools: ``{pool, least, median, points, start, end}``, lines as lists of SVG points.

    ``least`` and ``median`` are broken where a pool was not seen; ``points`` are the audits, each with its words.
    """
    shown = [pool for pool in trend[:POOLS] if pool["points"]]
    times = [when for pool in shown for point in pool["points"] if (when := moment(point["time"]))]
    if not times:
        return []
    start, end = min(times), max(times)
    span = (end - start).total_seconds()

    def across(text: str) -> float:
        when = moment(text)
        part = (when - start).total_seconds() / span if when and span else 1.0
        return round(LEFT + part * (RIGHT - LEFT), 1)

    return [
        {
            "pool": pool,
            "least": _lines(pool["points"], "least_percent", across),
            "median": _lines(pool["points"], "median_percent", across),
            "points": [
                {
                    "x": across(point["time"]),
                    "y": up(point["least_percent"]),
                    "time": point["time"],
                    "percent": point["least_percent"],
                    "state": _state(point["least_percent"]),
                }
                for point in pool["points"]
                if point["least_percent"] is not None
            ],
            "start": start.strftime("%Y-%m-%d" if span > 172800 else "%m-%d %H:%M"),
            "end": end.strftime("%Y-%m-%d" if span > 172800 else "%m-%d %H:%M"),
        }
        for pool in shown
    ]


def up(percent: float) -> float:
    """The height of a share; one beyond 0 to 100 % is at the edge."""
    return round(BOTTOM - min(max(percent, 0.0), 100.0) / 100 * (BOTTOM - TOP), 1)


def _lines(points: list[Record], key: str, across: t.Callable[[str], float]) -> list[str]:
    """The runs of known values, each as the text of a polyline; a run of one is no line."""
    runs: list[list[str]] = [[]]
    for point in points:
        if point[key] is None:
            runs.append([])
        else:
            runs[-1].append(f"{across(point['time'])},{up(point[key])}")
    return [" ".join(run) for run in runs if len(run) > 1]


def _state(percent: float) -> str:
    return "ended" if percent <= 0 else "due" if percent < OVERDUE else "good"
