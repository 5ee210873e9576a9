# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""promtool's rule tests, written in Python: series in promtool's notation, and which alerts fire when.

``PROMTOOL`` names the program; ``make check`` sets it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import typing as t

import yaml

HERE = pathlib.Path(__file__).resolve().parent
OURS = HERE.parents[1] / "docs/manifests/alerts.rules.yml"
MIXIN = HERE / "mixin.rules.yml"
CLIENT_TTL = "kubelet_certificate_manager_client_ttl_seconds"
SERVING_TTL = "kubelet_certificate_manager_server_ttl_seconds"
FIRING = 'count by (alertname, severity, certificate, node) (ALERTS{alertstate="firing",alertname=~"%s"})'
#: Those of ours that are about one kubelet's certificate.
OUR_KUBELET_ALERTS = "KubeletCertificate.*"


@dataclasses.dataclass
class Test:
    """One test: ``series`` maps a selector to its values; ``interval`` (seconds) is that of scrapes and of rules."""

    __test__ = False

    series: dict[str, str]
    interval: int
    rules: tuple[pathlib.Path, ...] = (OURS, MIXIN)
    checks: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    #: promtool's ``alert_rule_test``, which compares annotations too.
    messages: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def expect(self, expression: str, at: float, *samples: tuple[str, float]) -> None:
        """At ``at`` seconds, the expression gives these (labels, value) and no others."""
        exp = [{"labels": labels, "value": value} for labels, value in samples]
        self.checks.append({"expr": expression, "eval_time": f"{round(at * 1000)}ms", "exp_samples": exp})

    def firing(self, at: float, *alerts: str, names: str = OUR_KUBELET_ALERTS) -> None:
        """At ``at`` seconds, of the alerts whose names match, these are firing (as ``{labels}``), and no others."""
        self.expect(FIRING % names, at, *((alert, 1) for alert in alerts))

    def never(self, at: float, names: str = OUR_KUBELET_ALERTS, nodes: str = ".*") -> None:
        """Until ``at`` seconds, no alert of such a name was firing or pending for such a node, at any evaluation."""
        self.expect(f'count_over_time(ALERTS{{alertname=~"{names}",node=~"{nodes}"}}[100y])', at)

    def run(self, folder: pathlib.Path) -> None:
        """Have promtool judge; ``AssertionError`` with what it printed."""
        document = {
            "rule_files": [str(path) for path in self.rules],
            "evaluation_interval": f"{self.interval}s",
            "tests": [
                {
                    "interval": f"{self.interval}s",
                    "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
                    "promql_expr_test": self.checks,
                    "alert_rule_test": self.messages,
                }
            ],
        }
        path = folder / "test.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False, width=10**9), encoding="utf-8")
        run("test", "rules", str(path))


def run(*arguments: str) -> None:
    """One run of promtool, which has to succeed."""
    done = subprocess.run(
        [os.environ.get("PROMTOOL", "promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:5000]


def kubelet(metric: str, node: str) -> str:
    """A series of a kubelet, with the labels that kube-prometheus gives it."""
    return f'{metric}{{job="kubelet",metrics_path="/metrics",instance="{node}:10250",node="{node}"}}'


def alert(name: str, severity: str, node: str, certificate: str = "client") -> str:
    """The labels that :meth:`Test.firing` compares."""
    return f'{{alertname="{name}",severity="{severity}",certificate="{certificate}",node="{node}"}}'
