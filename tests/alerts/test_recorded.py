# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both sets of rules on what a Prometheus saw in the lab: promtool finds firing what was firing then."""

from __future__ import annotations

import os
import pathlib
import re

import pytest

from .promtool import HERE, Test
from .recording import Recording, notation, spans

EVERY = 'count by (alertname, severity, certificate, node) (ALERTS{alertstate="firing"})'
KEPT = re.compile(r'\b(alertname|certificate|node|severity)="[^"]*"')


def load(name: str) -> Recording:
    return Recording.load(HERE / f"recorded/{name}.json")


def rotation_failure() -> Recording:
    """The one kept here, or the one that ``make lab-alerts`` has just made."""
    new = os.environ.get("RECORDING")
    return Recording.load(pathlib.Path(new)) if new else load("rotation-failure")


def labels(text: str) -> str:
    return "{" + ",".join(sorted(match[0] for match in KEPT.finditer(text))) + "}"


def settled(recording: Recording) -> list[int]:
    """Every half minute, but for the moments at which an alert had just begun or ended: scrapes were not on the grid."""
    edges = [edge for found in recording.alerts.values() for span in found for edge in span]
    margin = 3 * recording.interval
    return [moment for moment in range(30, recording.end, 30) if all(abs(moment - edge) > margin for edge in edges)]


def test_a_rotation_that_failed(tmp_path: pathlib.Path) -> None:
    recording = rotation_failure()
    test = Test(recording.series, recording.interval)
    moments = settled(recording)
    assert len(moments) >= 15
    for moment in moments:
        test.expect(EVERY, moment, *((labels(name), 1) for name in recording.firing(moment)))
    test.run(tmp_path)


def test_what_fired_then() -> None:
    """The statements of docs/alerts.md about that recording."""
    recording = rotation_failure()
    expired = recording.not_after

    def names(moment: float, node: str) -> set[str]:
        found = (dict(re.findall(r'(\w+)="([^"]*)"', name)) for name in recording.firing(moment))
        return {
            f"{entry['alertname']} {entry['severity']}"
            for entry in found
            if entry.get("node", node) == node and entry.get("certificate") != "serving"
        }

    ours = {f"KubeletCertificateRotationOverdue {severity}" for severity in ("warning", "critical")}
    before = names(expired - 10, recording.node)
    after = [names(expired + later, recording.node) for later in (30, 120, 240, 360)]
    assert ours <= before
    assert "KubeletClientCertificateExpiration critical" in before
    for firing in after:
        assert ours | {"KubeletCertificateExpired critical"} <= firing
        assert "CertificateSigningRequestPending warning" not in before  # five minutes are longer than what is left
        assert not {name for name in firing if name.startswith("KubeletClientCertificate")}
    healthy = range(60, next(iter(recording.events.values())), 10)
    assert not [
        name for moment in healthy for name in names(moment, recording.node) if name.startswith("KubeletCertificate")
    ]
    assert all("KubeletClientCertificateExpiration critical" in names(moment, recording.node) for moment in healthy)
    assert not [name for name in names(recording.end, recording.node) if name.startswith("KubeletCertificate")]


def test_a_request_that_was_never_approved(tmp_path: pathlib.Path) -> None:
    """A kubelet with a certificate of 24 hours, of which 95 % were over, waited 15 minutes, twice."""
    recording = load("never-approved")
    test = Test(recording.series, recording.interval)
    at = recording.end
    fault = next(iter(recording.events.values()))
    errors = "kubelet_certificate_manager_client_expiration_renew_errors"
    test.expect(f"max by (node) ({errors})", fault + 840, (f'{{node="{recording.node}"}}', 0))
    test.expect(f"max by (node) ({errors})", at, (f'{{node="{recording.node}"}}', 2))
    # The mixin's alert on these errors did not fire, ours on the request that waits did.
    fired = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[100y]))'
    test.expect(
        f'{fired} and on (alertname) label_replace(vector(1), "alertname", "KubeletClientCertificateRenewalErrors", "", "")',
        at,
    )
    pending = '{alertname="CertificateSigningRequestPending",severity="warning"}'
    for moment in range(fault + 360, at, 60):
        test.firing(moment, pending, names="CertificateSigningRequestPending")
    test.run(tmp_path)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([3, 2, 1, None, None, float("inf"), float("inf")], "3-1x2 stale _x1 Inf+0x1"),
        ([None, None, 7], "_x2 7"),
        ([1, None], "1 stale"),
        ([0, 0, 5.5], "0+0x1 5.5"),
    ],
)
def test_notation(samples: list[float | None], expected: str) -> None:
    assert notation(samples) == expected


def test_spans() -> None:
    assert spans([None, 1, 1, None, 1], 5) == [(5, 10), (20, 20)]
