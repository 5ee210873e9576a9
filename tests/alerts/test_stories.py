# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two files of rules are well formed, the mixin's expressions are blind where docs/alerts.md says, and ours are not."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from .promtool import CLIENT_TTL, MIXIN, OURS, Test, alert, kubelet, run

CLIENT_ERRORS = "kubelet_certificate_manager_client_expiration_renew_errors"
SERVING_ERRORS = "kubelet_server_expiration_renew_errors"
CSR = 'group="certificates.k8s.io",resource="certificatesigningrequests"'
WAITING = f'apiserver_longrunning_requests{{{CSR},verb="WATCH",scope="resource",instance="%s"}}'
CREATED = f'apiserver_request_total{{{CSR},subresource="",verb="POST",code="201",instance="%s"}}'
FAILING, PENDING = "KubeletCertificateRenewalFailing", "CertificateSigningRequestPending"
MIXIN_ERRORS = "Kubelet(Client|Server)CertificateRenewalErrors"
MIXIN_EXPIRATION = "Kubelet(Client|Server)CertificateExpiration"
DAY = 24 * 3600
MINUTE = 60


@pytest.mark.parametrize("path", [OURS, MIXIN], ids=lambda path: path.name)
def test_promtool_accepts_the_rules(path: pathlib.Path) -> None:
    run("check", "rules", str(path))


def test_the_operators_manifest_has_the_same_rules() -> None:
    manifest = yaml.safe_load((OURS.parent / "alerts.yml").read_text(encoding="utf-8"))
    assert manifest["kind"] == "PrometheusRule"
    assert manifest["spec"] == yaml.safe_load(OURS.read_text(encoding="utf-8"))


def test_every_alert_says_what_to_do_and_has_a_place_in_the_documentation() -> None:
    page = (OURS.parents[1] / "alerts.md").read_text(encoding="utf-8")
    groups = yaml.safe_load(OURS.read_text(encoding="utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == {
        "KubeletCertificateExpired",
        "KubeletCertificateRotationOverdue",
        FAILING,
        PENDING,
    }
    for rule in alerts:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert "ansible-playbook kubecare.kubelet_certs.diagnose" in rule["annotations"]["description"]
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/alerts.md#{rule['alert'].lower()}")
        assert f"\n### {rule['alert']}\n" in page


def test_what_a_person_reads(tmp_path: pathlib.Path) -> None:
    labels = {"severity": "warning", "certificate": "client", "job": "kubelet", "metrics_path": "/metrics"}
    description = (
        "The client certificate of the kubelet on n has used 93.33% of its lifetime; a healthy kubelet replaces it before 90%. "
        "Find out why: ansible-playbook kubecare.kubelet_certs.diagnose --limit n"
    )
    annotations = {
        "summary": "A kubelet did not rotate its certificate when it was due.",
        "description": description,
        "runbook_url": "https://kubecare.invalid/kubelet_certs/docs/alerts.md#kubeletcertificaterotationoverdue",
    }
    test = Test({kubelet(CLIENT_TTL, "n"): "8700-60x150", kubelet("up", "n"): "1x150"}, 60)
    firing = {"exp_labels": {**labels, "node": "n", "instance": "n:10250"}, "exp_annotations": annotations}
    test.messages.append(
        {"eval_time": "135m", "alertname": "KubeletCertificateRotationOverdue", "exp_alerts": [firing]}
    )
    test.run(tmp_path)


def test_f1_the_mixins_expiration_clears_at_expiry_and_ours_does_not(tmp_path: pathlib.Path) -> None:
    """A certificate of a year, looked at every five minutes over its last two days: the gauge jumps to +Inf at its end."""
    test = Test({kubelet(CLIENT_TTL, "n"): "172800-300x575 Inf+0x100", kubelet("up", "n"): "1x700"}, 300)
    before, after = 2 * DAY - 600, 2 * DAY + 600
    warning = alert("KubeletClientCertificateExpiration", "warning", "n").replace('certificate="client",', "")
    critical = warning.replace("warning", "critical")
    test.firing(before, warning, critical, names=MIXIN_EXPIRATION)
    test.firing(after, names=MIXIN_EXPIRATION)
    test.firing(after, alert("KubeletCertificateExpired", "critical", "n"), names="KubeletCertificateExpired")
    test.run(tmp_path)


def test_f2_a_request_that_nobody_approves(tmp_path: pathlib.Path) -> None:
    """One failure in 15 minutes for six hours: the mixin's errors alert is pending now and then, and never fires."""
    hours = 6
    test = Test({}, 30)
    for metric in (CLIENT_ERRORS, SERVING_ERRORS):
        steps = " ".join(f"{count}x30" for count in range(hours * 4))  # 31 samples of 30 seconds: a wait and a pause
        test.series[kubelet(metric, "n")] = steps
    test.series[kubelet("up", "n")] = f"1x{hours * 120}"
    end = hours * 3600
    test.expect(f'count_over_time(ALERTS{{alertname=~"{MIXIN_ERRORS}",alertstate="firing"}}[100y]) > 0', end)
    test.expect(
        f'count(count_over_time(ALERTS{{alertname=~"{MIXIN_ERRORS}",alertstate="pending"}}[100y]) > 0)', end, ("{}", 2)
    )
    test.never(25 * MINUTE)
    for moment in (50 * MINUTE, 2 * 3600, end):
        test.firing(moment, *(alert(FAILING, "warning", "n", kind) for kind in ("client", "serving")))
    test.run(tmp_path)


def test_failures_that_come_at_once_fire_in_both(tmp_path: pathlib.Path) -> None:
    """A forbidden request: one failure in 32 seconds."""
    test = Test({kubelet(CLIENT_ERRORS, "n"): "0x20 1+1x100", kubelet("up", "n"): "1x200"}, 30)
    mixin = alert("KubeletClientCertificateRenewalErrors", "warning", "n").replace('certificate="client",', "")
    test.firing(30 * MINUTE, alert(FAILING, "warning", "n"), names=FAILING)
    test.firing(30 * MINUTE, mixin, names=MIXIN_ERRORS)
    test.run(tmp_path)


def test_failures_before_a_rotation_that_succeeded_are_over(tmp_path: pathlib.Path) -> None:
    """The API server was away for five minutes just when the certificate was due; then it was replaced."""
    ttl = f"{30 * DAY // 10 * 2}-30x100 {30 * DAY - 300}-30x300"
    errors = "0x89 1x0 3x0 5+1x8 13x300"
    test = Test({kubelet(CLIENT_TTL, "n"): ttl, kubelet(CLIENT_ERRORS, "n"): errors, kubelet("up", "n"): "1x400"}, 30)
    test.expect(f"increase({kubelet(CLIENT_ERRORS, 'n')}[1h]) > bool 1.5", 80 * MINUTE, (kubelet("", "n"), 1))
    test.never(150 * MINUTE)
    test.run(tmp_path)


def test_f4_a_healthy_certificate_of_a_month_fires_the_mixins_expiration(tmp_path: pathlib.Path) -> None:
    """30 days, replaced at 80 %: six days are left then."""
    hour = 3600
    life = f"{30 * DAY - 300}-{hour}x{30 * 24 * 8 // 10}"
    test = Test({kubelet(CLIENT_TTL, "n"): f"{life} {life}", kubelet("up", "n"): "1x1100"}, hour)
    warning = alert("KubeletClientCertificateExpiration", "warning", "n").replace('certificate="client",', "")
    test.firing(23.9 * DAY // hour * hour, warning, names=MIXIN_EXPIRATION)
    test.never(45 * DAY)
    test.run(tmp_path)


def test_a_kubelet_that_has_no_certificate_and_was_never_seen_with_one(tmp_path: pathlib.Path) -> None:
    test = Test({kubelet(CLIENT_TTL, "n"): "Inf+0x20 3300-30x20", kubelet("up", "n"): "1x60"}, 30)
    test.firing(5 * MINUTE, alert("KubeletCertificateExpired", "critical", "n"))
    test.firing(15 * MINUTE)
    test.run(tmp_path)


def test_rotation_that_is_off_is_no_alert(tmp_path: pathlib.Path) -> None:
    """Then the kubelet has none of these metrics."""
    test = Test({kubelet("up", "n"): "1x60", 'up{job="node-exporter",instance="n:9100"}': "1x60"}, 30)
    test.never(30 * MINUTE)
    test.run(tmp_path)


def test_a_pending_request_fires_through_the_kubelets_retries(tmp_path: pathlib.Path) -> None:
    """One kubelet waits 15 minutes, then makes another request half a minute later; one of two API servers serves it."""
    test = Test({}, 30)
    test.series[WAITING % "a"] = "0x20 " + "1x29 0x0 " * 6
    test.series[WAITING % "b"] = "0x250"
    test.series[CREATED % "a"] = "7x20 " + " ".join(f"{8 + count}x30" for count in range(6))
    labels = f'{{alertname="{PENDING}",severity="warning"}}'
    test.firing(12 * MINUTE, names=PENDING)
    for moment in (15 * MINUTE, 20 * MINUTE, 27 * MINUTE, 42 * MINUTE, 80 * MINUTE):
        test.firing(moment, labels, names=PENDING)
    test.run(tmp_path)


def test_many_requests_that_are_signed_at_once_are_no_alert(tmp_path: pathlib.Path) -> None:
    """A thousand requests in five minutes, each waits for a second: three wait at any time."""
    test = Test({WAITING % "a": "3x100", CREATED % "a": "0+100x100"}, 30)
    test.firing(40 * MINUTE, names=PENDING)
    test.expect("kubelet_certs:requests_waiting:avg5m", 40 * MINUTE, ("kubelet_certs:requests_waiting:avg5m{}", 3))
    test.run(tmp_path)


def test_single_requests_that_are_signed_at_once_are_no_alert(tmp_path: pathlib.Path) -> None:
    """A scrape that happens to see one waiting, now and then; the API server has just started, and counted no request yet."""
    test = Test({WAITING % "a": "0x5 " + "1x0 0x8 " * 10}, 30)
    test.firing(20 * MINUTE, names=PENDING)
    test.run(tmp_path)
