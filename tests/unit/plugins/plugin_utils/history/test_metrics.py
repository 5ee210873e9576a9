# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import metrics
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import audit_of, judged
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.history.samples import (
    at,
    audits,
    diagnosis,
    finding,
    node,
)

SAMPLE = re.compile(
    r'kubelet_certs_audit_[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\[\\n"])*"(,[a-z_]+="(?:[^"\\\n]|\\[\\n"])*")*\})? -?[0-9]+'
)


def rendered(*diagnoses: dict[str, object]) -> list[str]:
    nodes, _changes = audits(*diagnoses)
    return metrics.render(audit_of([judged(diagnoses[-1])], nodes), nodes).splitlines()


def test_ends_are_absolute_and_what_is_unknown_has_no_series() -> None:
    lines = rendered(diagnosis(node("a", left=50), node("b", "unknown", gone="timeout", left=None)))
    assert [line for line in lines if "not_after_timestamp_seconds{" in line] == [
        'kubelet_certs_audit_not_after_timestamp_seconds{cluster="api:6443",node="a",pool="workers",certificate="client"} 1799892000'
    ]
    assert 'kubelet_certs_audit_collection_ok{cluster="api:6443",node="b",pool="workers"} 0' in lines
    assert 'kubelet_certs_audit_nodes{cluster="api:6443",verdict="unknown"} 1' in lines
    assert 'kubelet_certs_audit_timestamp_seconds{cluster="api:6443"} 1795572000' in lines


def test_an_end_whose_beginning_is_unknown_has_its_series() -> None:
    lines = rendered(diagnosis({**node("a"), "certificates": {"client": {"not_after": at(days=1)}}}))
    assert len([line for line in lines if "not_after_timestamp_seconds{" in line]) == 1
    assert not [line for line in lines if "not_before_timestamp_seconds{" in line]


def test_a_finding_that_stands_keeps_its_series() -> None:
    lines = rendered(diagnosis(node("a", "failing", finding("x"))), diagnosis(node("a", "unknown", gone="timeout")))
    (line,) = (line for line in lines if "finding{" in line)
    assert (
        'node="a",pool="workers",rule="x",stage="approval",severity="critical",role="primary",judged="earlier"} 1'
        in line
    )


def test_every_family_is_in_one_piece_and_the_text_ends() -> None:
    lines = rendered(diagnosis(node("a", "failing", finding("x")), node("b")))
    order = [re.split(r"[ {]", line.removeprefix("# HELP ").removeprefix("# TYPE "))[0] for line in lines[:-1]]
    assert list(dict.fromkeys(order)) == [metrics.PREFIX + name for name in metrics.METRICS]
    assert order == sorted(order, key=list(dict.fromkeys(order)).index)
    assert lines[-1] == "# EOF"


def test_hostile_texts_stay_in_their_labels() -> None:
    hostile = 'a"} 1\nkubelet_certs_audit_nodes{verdict="healthy"} 99\\ \x1b[2J \u2028 \ud800 é'
    lines = rendered(diagnosis(node(hostile, "failing", finding(hostile), pool=hostile), cluster={"name": hostile}))
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not SAMPLE.fullmatch(line)] == []
    assert not any("\x1b" in line or "\ud800" in line for line in lines)


def test_names_that_read_the_same_are_one_series() -> None:
    lines = rendered(diagnosis(node("a\n"), node("a ")))
    assert len([line for line in lines if "collection_ok{" in line]) == 1
