# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that live from an hour to a year: silent while they rotate, overdue at 92 %, expired until a new one comes."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .promtool import CLIENT_TTL, OURS, SERVING_TTL, Test, alert, kubelet

HOUR = 3600
DAY = 24 * HOUR
BACKDATED = 300
#: How long a certificate lives in all, and how often it is looked at.
LIFETIMES = {
    "1h": (HOUR, 15),
    "24h": (DAY, 240),
    "30d": (30 * DAY, 2 * HOUR),
    "45d": (45 * DAY, 3 * HOUR),
    "1y": (365 * DAY, 5 * HOUR),
}
OVERDUE, EXPIRED = "KubeletCertificateRotationOverdue", "KubeletCertificateExpired"


class Life(t.NamedTuple):
    """A lifetime as promtool needs it: all in seconds."""

    lifetime: int
    interval: int

    def samples(self, seconds: float) -> int:
        return int(seconds // self.interval)

    def falling(self, start_used: float, end_used: float) -> str:
        """The gauge of a certificate from one share of its lifetime to another, without the sample at the end."""
        first = self.lifetime * (1 - start_used)
        return f"{first:.0f}-{self.interval}x{self.samples(self.lifetime * end_used) - self.samples(self.lifetime * start_used) - 1}"

    def rotations(self, *used: float) -> str:
        """A sawtooth: each certificate is replaced at such a share of its lifetime. A new one is 5 minutes old already."""
        return " ".join(self.falling(BACKDATED / self.lifetime, share) for share in used)

    def up(self, seconds: float) -> str:
        return f"1x{self.samples(seconds)}"


@pytest.fixture(params=LIFETIMES)
def life(request: pytest.FixtureRequest) -> Life:
    return Life(*LIFETIMES[request.param])


def test_silent_while_kubelets_rotate(life: Life, tmp_path: pathlib.Path) -> None:
    """Each is seen through one whole certificate, and some of those before and after."""
    end = life.lifetime * 1.25
    down = life.samples(min(life.lifetime * 0.03, 4 * HOUR))
    test = Test({}, life.interval, rules=(OURS,))
    for node, share in {"early": 0.7, "late": 0.88, "latest": 0.9}.items():
        for metric in (CLIENT_TTL, SERVING_TTL):
            test.series[kubelet(metric, node)] = f"{life.falling(0.6, share)} {life.rotations(share, share)}"
        test.series[kubelet("up", node)] = life.up(end)
    test.series[kubelet(CLIENT_TTL, "first-seen-late")] = f"{life.falling(0.85, 0.9)} {life.rotations(0.9, 0.9)}"
    test.series[kubelet("up", "first-seen-late")] = life.up(end)
    # A kubelet that is restarted, one that cannot be scraped for a while, with and without the target's staleness.
    for node, gap in (("restarted", "stale"), ("scrape-lost", "_"), ("down-for-long", f"stale _x{down}")):
        parts = [
            life.falling(BACKDATED / life.lifetime, 0.4),
            gap,
            life.falling(0.4, 0.8),
            gap,
            life.falling(0.81, 0.86),
        ]
        test.series[kubelet(CLIENT_TTL, node)] = " ".join([*parts, life.rotations(0.88)])
        test.series[kubelet("up", node)] = life.up(end)
    test.never(end)
    test.run(tmp_path)


def test_overdue_then_expired_and_neither_clears(life: Life, tmp_path: pathlib.Path) -> None:
    """One kubelet is scraped all the time; one is not once its certificate has expired; one was switched off before it was due."""
    before = life.lifetime * 0.1
    failing = f"{life.falling(0.7, 0.8)} {life.falling(BACKDATED / life.lifetime, 1)}"
    after = life.samples(life.lifetime * 0.3)
    up = life.samples(before + life.lifetime - BACKDATED)
    test = Test({}, life.interval, rules=(OURS,))
    for metric in (CLIENT_TTL, SERVING_TTL):
        test.series[kubelet(metric, "scraped")] = f"{failing} Inf+0x{after}"
        test.series[kubelet(metric, "lost")] = f"{failing} stale _x{after}"
        test.series[kubelet(metric, "off")] = (
            f"{life.falling(0.7, 0.8)} {life.falling(BACKDATED / life.lifetime, 0.5)} stale"
        )
    test.series[kubelet("up", "scraped")] = f"1+0x{up + after}"
    test.series[kubelet("up", "lost")] = f"1+0x{up} 0+0x{after}"
    test.series[kubelet("up", "off")] = f"1+0x{up // 2} 0+0x{up - up // 2 + after}"

    def both(name: str, severity: str) -> list[str]:
        return [
            alert(name, severity, node, kind) for node in ("lost", "off", "scraped") for kind in ("client", "serving")
        ]

    warning, critical, expired = both(OVERDUE, "warning"), both(OVERDUE, "critical"), both(EXPIRED, "critical")

    def at(used: float) -> int:
        """When the second certificate has used such a share of its lifetime, on the grid of evaluations."""
        return life.samples(before + life.lifetime * used - BACKDATED) * life.interval

    margin = max(0.004, 2 * life.interval / life.lifetime)
    test.never(at(0.9))
    test.firing(at(0.92 - margin))
    test.firing(at(0.92 + margin), *warning)
    test.firing(at(0.97 + margin), *warning, *critical)
    for used in (1 + margin, 1.1, 1.25):
        test.firing(at(used), *warning, *critical, *expired)
    test.run(tmp_path)


@pytest.mark.parametrize("life", ["1h", "45d"], indirect=True)
def test_a_new_certificate_ends_it(life: Life, tmp_path: pathlib.Path) -> None:
    expired = f"{life.falling(0.7, 1)} Inf+0x{life.samples(life.lifetime * 0.1)}"
    test = Test({}, life.interval, rules=(OURS,))
    test.series[kubelet(CLIENT_TTL, "mended")] = f"{expired} {life.rotations(0.85)}"
    test.series[kubelet(CLIENT_TTL, "removed")] = f"{expired} stale"
    ends = life.lifetime * 0.4
    test.series[kubelet("up", "mended")] = life.up(life.lifetime)
    test.series[kubelet("up", "removed")] = f"1+0x{life.samples(ends)} stale"
    moment = life.samples(ends) * life.interval
    failing = [(OVERDUE, "critical"), (OVERDUE, "warning"), (EXPIRED, "critical")]
    test.firing(moment - 3 * life.interval, *(alert(*kind, node) for kind in failing for node in ("mended", "removed")))
    for later in (3 * life.interval, life.lifetime // 2):
        test.firing(moment + later)
    test.run(tmp_path)
