# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figure and the table of docs/alerts.md, from what Prometheus saw in the lab (``tests/alerts/recording.py``)."""

from __future__ import annotations

import html
import re

from alerts.recording import Recording

WIDTH, LEFT, RIGHT = 960, 330, 20
PLOT_TOP, PLOT_HEIGHT = 40, 170
LANE = 24
INK, GREY, OURS, MIXIN = "#1f2933", "#7b8794", "#c0392b", "#2f6f9f"
#: The alerts shown, with the severity where there are two of a name: those of the failing node's client certificate, and the cluster's.
LANES = (
    ("KubeletCertificateRotationOverdue", "warning", OURS),
    ("KubeletCertificateRotationOverdue", "critical", OURS),
    ("KubeletCertificateExpired", "critical", OURS),
    ("CertificateSigningRequestPending", "warning", OURS),
    ("KubeletClientCertificateExpiration", "warning", MIXIN),
    ("KubeletClientCertificateExpiration", "critical", MIXIN),
    ("KubeletClientCertificateRenewalErrors", "warning", MIXIN),
    ("KubeletInstanceUnreachable", "warning", MIXIN),
    ("KubeClientCertificateExpiration", "critical", MIXIN),
)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def lane_spans(recording: Recording, name: str, severity: str) -> list[tuple[int, int]]:
    """When such an alert was firing for the failing node's client certificate, or for no node."""
    found: list[tuple[int, int]] = []
    for text, spans in recording.alerts.items():
        labels = dict(LABEL.findall(text))
        mine = labels.get("node", recording.node) == recording.node and labels.get("certificate") != "serving"
        if (labels["alertname"], labels["severity"]) == (name, severity) and mine:
            found += spans
    return sorted(found)


def gauge(recording: Recording) -> list[float | None]:
    """The client certificate's gauge of the failing node; None where it was absent."""
    text = next(
        values
        for name, values in recording.series.items()
        if "client_ttl_seconds" in name and f'node="{recording.node}"' in name
    )
    samples: list[float | None] = []
    for word in text.split():
        if word == "stale":
            samples.append(None)
        elif word.startswith("_"):
            samples += [None] * int(word[2:])
        else:
            start, step, count = re.fullmatch(r"(Inf|[\d.e+]+?)(?:([+-][\d.]+)x(\d+))?", word).groups()  # type: ignore[union-attr]
            samples += [float(start) + float(step or 0) * index for index in range(int(count or 0) + 1)]
    return samples


def used(recording: Recording, moment: float) -> float:
    """The share of the last certificate's lifetime that is over."""
    return 1 - (recording.not_after - moment) / recording.lifetime


def table(recording: Recording) -> str:
    """Markdown: at shares of the lifetime, what the gauge said and what was firing."""
    samples = gauge(recording)
    lines = ["| lifetime used | gauge | firing of ours | firing of the mixin's |", "|---|---|---|---|"]
    for share in (0.65, 0.8, 0.91, 0.95, 0.98, 1.02, 1.1, 1.2, 1.3, 1.6, 1.8, "mended"):
        if share == "mended":
            moment, label = float(recording.end - recording.interval), f"{share}"
        else:
            moment, label = recording.not_after - (1 - float(share)) * recording.lifetime, f"{float(share):.0%}"
        value = samples[int(moment // recording.interval)]
        shown = "absent" if value is None else "+Inf" if value == float("inf") else f"{value:.0f} s"
        cells: list[str] = []
        for colour in (OURS, MIXIN):
            firing: dict[str, list[str]] = {}
            for name, severity, whose in LANES:
                if whose == colour and any(a <= moment <= b for a, b in lane_spans(recording, name, severity)):
                    firing.setdefault(name, []).append(severity)
            cells.append("<br>".join(f"{name} ({', '.join(kinds)})" for name, kinds in firing.items()) or "nothing")
        lines.append(f"| {label} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(recording: Recording) -> str:
    """SVG: the gauge over time, and below it a lane for each alert, filled while it was firing."""
    lanes_top = PLOT_TOP + PLOT_HEIGHT + 30
    height = lanes_top + LANE * len(LANES) + 40
    scale = (WIDTH - LEFT - RIGHT) / recording.end
    top_value = recording.lifetime - 300

    def x(moment: float) -> str:
        return f"{LEFT + moment * scale:.1f}"

    def y(value: float) -> str:
        return f"{PLOT_TOP + PLOT_HEIGHT * (1 - min(value, top_value) / top_value):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="{PLOT_TOP + 12}">Gauge of {html.escape(recording.node)}, seconds</text>',
        f'<text x="10" y="{PLOT_TOP + 30}" fill="{GREY}">kubelet_certificate_manager_client_ttl_seconds</text>',
    ]
    for tick in (0, 60, 120, 180):
        parts.append(f'<path d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}" stroke="#e4e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{float(y(tick)) + 4:.1f}" text-anchor="end" fill="{GREY}">{tick}</text>')
    pen_down, path, infinite = False, "", []
    for index, value in enumerate(gauge(recording)):
        if value is None or value == float("inf"):
            pen_down = False
            if value is not None:
                infinite.append(index * recording.interval)
            continue
        path += f"{'L' if pen_down else 'M'}{x(index * recording.interval)} {y(value)}"
        pen_down = True
    parts.append(f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.5"/>')
    if infinite:
        parts.append(
            f'<path d="M{x(infinite[0])} {PLOT_TOP - 8}H{x(infinite[-1])}" stroke="{INK}" stroke-width="3"/>'
            f'<text x="{x(infinite[0])}" y="{PLOT_TOP - 14}">+Inf, then absent</text>'
        )
    for row, (name, severity, colour) in enumerate(LANES):
        line = lanes_top + row * LANE
        parts.append(f'<text x="10" y="{line + 12}">{name} <tspan fill="{GREY}">{severity}</tspan></text>')
        parts.append(f'<rect x="{LEFT}" y="{line}" width="{WIDTH - LEFT - RIGHT}" height="{LANE - 8}" fill="#f0f2f5"/>')
        for start, end in lane_spans(recording, name, severity):
            width = f"{max(end - start, recording.interval) * scale:.1f}"
            parts.append(f'<rect x="{x(start)}" y="{line}" width="{width}" height="{LANE - 8}" fill="{colour}"/>')
    bottom = lanes_top + LANE * len(LANES)
    marks = {**recording.events, "expired": recording.not_after}
    for row, (event, moment) in enumerate(sorted(marks.items(), key=lambda mark: mark[1])):
        parts.append(f'<path d="M{x(moment)} {PLOT_TOP}V{bottom}" stroke="{GREY}" stroke-dasharray="4 3"/>')
        anchor = "end" if row == 0 or moment > 0.8 * recording.end else "start"
        parts.append(f'<text x="{x(moment)}" y="{bottom + 14 + 14 * (row % 2)}" text-anchor="{anchor}">{event}</text>')
    parts.append(
        f'<text x="10" y="{bottom + 14}"><tspan fill="{OURS}">ours</tspan>, <tspan fill="{MIXIN}">kubernetes-mixin</tspan></text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"
