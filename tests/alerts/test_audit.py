# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scheduled audit publishes, and what is made of it: promtool takes the metrics, the alerts and every query of the dashboard."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import metrics
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import audit_of, judged
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.history.samples import (
    audits,
    diagnosis,
    finding,
    node,
)

from .promtool import OURS, Test, run

RULES = OURS.parent / "audit-alerts.rules.yml"
DASHBOARD = json.loads((OURS.parents[1] / "grafana/kubelet-certificates-audit.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\bkubelet_certs_audit_[a-z_]+")
NAMES = "KubeletCertificateAudit.*"
DAY = 86400
HOUR = 3600


@pytest.mark.parametrize("hostile", ["", 'x"} 1\n# TYPE y counter\ny 5\\', "\x1b[2J\u202e\ud800\x00", "é" * 400])
def test_promtool_takes_the_metrics(hostile: str) -> None:
    bad = node(f"b{hostile}", "failing", finding(f"x{hostile}"), pool=hostile)
    one = diagnosis(node("a"), bad, node("c", "unknown", gone="timeout", left=None), cluster={"name": f"c{hostile}"})
    nodes, _changes = audits(one)
    text = metrics.render(audit_of([judged(one)], nodes), nodes)
    done = subprocess.run(
        [os.environ.get("PROMTOOL", "promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + text
    assert done.stdout + done.stderr == ""


def test_promtool_takes_the_alerts_and_each_has_its_place_in_the_documentation() -> None:
    run("check", "rules", str(RULES))
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    manifest = yaml.safe_load((OURS.parent / "audit-alerts.yml").read_text(encoding="utf-8"))
    assert manifest["spec"] == document
    page = (OURS.parents[1] / "audit.md").read_text(encoding="utf-8")
    for rule in document["groups"][0]["rules"]:
        assert f"\n### {rule['alert']}\n" in page
        assert "ansible-playbook kubecare.kubelet_certs." in rule["annotations"]["description"] or "report" in str(rule)
        assert set(METRIC.findall(rule["expr"])) <= {metrics.PREFIX + name for name in metrics.METRICS}


def series(name: str, values: str, **labels: str) -> tuple[str, str]:
    given = ",".join(f'{key}="{value}"' for key, value in {"cluster": "c", "instance": "audit:9100", **labels}.items())
    return f"kubelet_certs_audit_{name}{{{given}}}", values


def firing(*labels: str) -> tuple[tuple[str, int], ...]:
    return tuple((f"{{{label}}}", 1) for label in labels)


EVERY = 'count by (alertname, severity, cluster, rule, node) (ALERTS{alertstate="firing"})'


def test_an_audit_that_stopped_is_missed_though_its_machine_is_gone(tmp_path: pathlib.Path) -> None:
    """Every audit is 100 s old at first; the exporter is gone after three days."""
    test = Test(dict([series("timestamp_seconds", "-100x72 stale")]), HOUR, rules=(RULES,))
    late = 'alertname="KubeletCertificateAuditMissing",severity="warning",cluster="c"'
    test.expect(EVERY, DAY)
    test.expect(EVERY, 2 * DAY - HOUR)
    test.expect(EVERY, 2 * DAY + HOUR, *firing(late))
    test.expect(EVERY, 5 * DAY, *firing(late))
    test.run(tmp_path)


def test_nodes_that_two_nightly_audits_did_not_see(tmp_path: pathlib.Path) -> None:
    test = Test(
        dict(
            [
                series("collection_ok", "1x24 0x24 1x48", node="once"),
                series("collection_ok", "1x24 0x72", node="lost"),
                series("collection_ok", "1x96", node="seen"),
            ]
        ),
        HOUR,
        rules=(RULES,),
    )
    test.expect(EVERY, 2 * DAY)
    test.expect(
        EVERY, 3 * DAY, *firing('alertname="KubeletCertificateAuditNodeNotSeen",severity="warning",cluster="c"')
    )
    test.run(tmp_path)


def test_a_cause_is_one_alert_however_many_nodes_and_symptoms_are_none(tmp_path: pathlib.Path) -> None:
    labels = {"stage": "approval", "severity": "critical", "judged": "now", "pool": "p"}
    found = [
        series("finding", "_x2 1x50", node=f"n{number}", rule="r", role="primary", **labels) for number in range(9)
    ]
    found.append(series("finding", "1x50", node="n1", rule="s", role="symptom", **labels))
    test = Test(dict(found), HOUR, rules=(RULES,))
    cause = 'alertname="KubeletCertificateAuditFinding",severity="critical",cluster="c",rule="r"'
    test.expect(EVERY, HOUR)
    test.expect(EVERY, 4 * HOUR, *firing(cause))
    test.run(tmp_path)


def test_a_certificate_that_was_overdue_ends_and_one_that_was_not_may_have_been_replaced(
    tmp_path: pathlib.Path,
) -> None:
    """The audit was at 0 s. Lifetimes of 100 hours: one had 8 hours left then, one 20, and one has ended."""
    held = []
    for name, left in (("overdue", 8), ("rotates", 20), ("ended", -1)):
        of = {"node": name, "certificate": "client", "pool": "p"}
        held.append(series("not_after_timestamp_seconds", f"{left * HOUR}x30", **of))
        held.append(series("not_before_timestamp_seconds", f"{(left - 100) * HOUR}x30", **of))
    test = Test(dict([series("timestamp_seconds", "0x30"), *held]), HOUR, rules=(RULES,))
    ending = 'alertname="KubeletCertificateAuditEnding",severity="critical",cluster="c",node="%s"'
    test.expect(EVERY, HOUR, *firing(ending % "ended"))
    test.expect(EVERY, 6 * HOUR, *firing(ending % "ended", ending % "overdue"))
    test.expect(EVERY, 25 * HOUR, *firing(ending % "ended", ending % "overdue"))
    test.run(tmp_path)


def test_promtool_takes_every_query_of_the_dashboard(tmp_path: pathlib.Path) -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    known = {metrics.PREFIX + name for name in metrics.METRICS}
    assert set(METRIC.findall(json.dumps(DASHBOARD))) <= known | {metrics.PREFIX.rstrip("_")}
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$cluster", ".*")} for number, query in enumerate(queries)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    run("check", "rules", str(path))


def test_the_dashboards_panels_stand_side_by_side() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        assert one["x"] + one["w"] <= 24
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart
