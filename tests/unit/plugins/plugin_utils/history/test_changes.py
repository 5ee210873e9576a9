# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    SCHEMA,
    MalformedError,
    audit_of,
    judged,
    read_audit,
    read_nodes,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.trend import trend_of
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.history.samples import (
    at,
    audits,
    diagnosis,
    finding,
    node,
)

Data = dict[str, t.Any]


def names(items: list[Data]) -> list[tuple[str, str]]:
    return [(item["node"], item.get("rule", "")) for item in items]


def test_the_first_audit_has_only_new_things() -> None:
    _nodes, changes = audits(diagnosis(node("a", "failing", finding("x")), node("b")))
    assert names(changes["new"]) == [("a", "x")]
    assert [item["node"] for item in changes["joined"]] == ["a", "b"]
    assert not changes["resolved"] and not changes["worse"] and not changes["unseen"]


def test_new_resolved_and_worse() -> None:
    before = diagnosis(node("a", "failing", finding("x")), node("b"), node("c", "at_risk", finding("z", "warning")))
    after = diagnosis(node("a"), node("b", "failing", finding("y")), node("c", "failing", finding("z")))
    _nodes, changes = audits(before, after)
    assert names(changes["new"]) == [("b", "y")]
    assert names(changes["resolved"]) == [("a", "x")]
    assert [(item["node"], item["before"], item["after"]) for item in changes["worse"]] == [
        ("b", "healthy", "failing"),
        ("c", "at_risk", "failing"),
    ]


def test_a_severity_that_rises_is_worse_though_the_verdict_stays() -> None:
    bad = finding("x")
    _nodes, changes = audits(
        diagnosis(node("a", "failing", bad, finding("y", "warning"))),
        diagnosis(node("a", "failing", bad, finding("y"))),
    )
    assert [(item["before"], item["after"]) for item in changes["worse"]] == [("warning", "critical")]


def test_what_is_of_no_consequence_is_no_finding() -> None:
    _nodes, changes = audits(diagnosis(node("a")), diagnosis(node("a", "healthy", finding("x", "info"))))
    assert not any(changes.values())


def test_findings_of_a_node_that_is_not_seen_stand_until_it_is() -> None:
    """Neither resolved when it goes out of sight, nor new when it comes back with them."""
    bad, lost = node("a", "failing", finding("x")), node("a", "unknown", gone="timeout", left=None)
    nodes, changes = audits(diagnosis(bad), diagnosis(lost))
    assert not changes["resolved"] and not changes["worse"]
    assert [(item["node"], item["why"], item["standing"]) for item in changes["unseen"]] == [("a", "timeout", 1)]
    assert [(item["rule"], item["stands"]) for item in nodes[0]["findings"]] == [("x", True)]
    _nodes, changes = audits(diagnosis(bad), diagnosis(lost), diagnosis(lost))
    assert not any(changes.values())
    _nodes, changes = audits(diagnosis(bad), diagnosis(lost), diagnosis(bad))
    assert not any(changes.values())
    _nodes, changes = audits(diagnosis(bad), diagnosis(lost), diagnosis(node("a")))
    assert names(changes["resolved"]) == [("a", "x")]


def test_the_verdict_before_it_was_out_of_sight_is_what_it_is_compared_with() -> None:
    lost = diagnosis(node("a", "unknown", gone="timeout"))
    _nodes, changes = audits(diagnosis(node("a")), lost, diagnosis(node("a", "failing", finding("x"))))
    assert [(item["before"], item["after"]) for item in changes["worse"]] == [("healthy", "failing")]
    _nodes, changes = audits(diagnosis(node("a")), lost)
    assert not changes["worse"]


def test_a_rule_that_lacked_evidence_leaves_its_finding_standing() -> None:
    nodes, changes = audits(diagnosis(node("a", "failing", finding("x"))), diagnosis(node("a", skipped=["x"])))
    assert not changes["resolved"]
    assert [item["rule"] for item in nodes[0]["findings"]] == ["x"]
    assert nodes[0]["findings"][0]["as_of"] == at()


def test_a_node_that_was_not_asked_stays_as_it_was() -> None:
    first = diagnosis(node("a", "failing", finding("x")), node("b"))
    limited = diagnosis(node("b"), only_hosts=True)
    nodes, changes = audits(first, limited)
    assert not any(changes.values())
    assert [(item["name"], item["why"]) for item in nodes] == [("b", None), ("a", "not_asked")]
    _nodes, changes = audits(first, limited, diagnosis(node("a"), node("b")))
    assert names(changes["resolved"]) == [("a", "x")]
    _nodes, changes = audits(first, limited, diagnosis(node("a", "unknown", gone="timeout"), node("b")))
    assert names(changes["unseen"]) == [("a", "")]


@pytest.mark.parametrize("subject", ["node_info", "node_info.nodes"])
def test_where_nodes_could_not_be_listed_none_is_gone(subject: str) -> None:
    first = diagnosis(node("a"), node("b"))
    _nodes, changes = audits(first, diagnosis(node("b")))
    assert names(changes["gone"]) == [("a", "")]
    _nodes, changes = audits(first, diagnosis(node("b"), cluster={"not_seen": [{"subject": subject}]}))
    assert not changes["gone"]
    assert [(item["node"], item["why"]) for item in changes["unseen"]] == [("a", "not_listed")]


def test_a_pool_is_remembered_while_labels_are_not_seen() -> None:
    nodes, _changes = audits(diagnosis(node("a")), diagnosis(node("a", pool=None)))
    assert nodes[0]["pool"] == "workers"


def test_a_cluster_is_named_by_itself_or_by_its_address_without_the_user() -> None:
    assert judged(diagnosis(node("a"))).cluster == "api:6443"
    assert judged(diagnosis(node("a"), cluster={"name": "prod"})).cluster == "prod"
    assert judged(diagnosis(node("a")), "mine").cluster == "mine"
    assert judged(diagnosis(node("a"), cluster={"api_url": "https://[bad"})).cluster == ""


def test_pools_know_the_least_and_the_median_of_what_was_seen() -> None:
    part = judged(
        diagnosis(
            node("a", left=10), node("b", left=30), node("c", left=90), node("d", "unknown", gone="timeout", left=None)
        )
    )
    (pool,) = audit_of([part], part.nodes)["pools"]
    assert (pool["nodes"], pool["known"], pool["least_node"]) == (4, 3, "a")
    assert (pool["least_percent"], pool["median_percent"], pool["least_seconds"]) == (10.0, 30.0, 864000)


def test_a_trend_has_a_gap_where_a_pool_was_not_seen_and_the_pool_with_the_least_comes_first() -> None:
    def audit(day: int, *nodes: Data) -> Data:
        part = judged(diagnosis(*nodes, now=at(days=day)))
        return audit_of([part], part.nodes)

    def gpu(left: float | None) -> Data:
        return node("g", pool="gpu", left=left)

    days = [audit(0, node("a"), gpu(60)), audit(1, node("a"), gpu(None)), audit(2, node("a", left=90))]
    now = audit(3, node("a", left=89), gpu(40))
    gpus, workers = trend_of(reversed([read_audit(day) for day in days]), now)
    assert (gpus["pool"], workers["pool"]) == ("gpu", "workers")
    assert [point["least_percent"] for point in gpus["points"]] == [60.0, None, None, 37.0]
    assert [point["least_percent"] for point in workers["points"]] == [50.0, 49.0, 88.0, 86.0]
    assert [point["time"] for point in gpus["points"]] == [at(days=day) for day in range(4)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"schema": SCHEMA},
        {"schema": SCHEMA, "time": 5, "nodes": []},
        {"schema": "other", "time": at(), "nodes": []},
        {"schema": SCHEMA, "time": at(), "nodes": {}},
        {"schema": SCHEMA, "time": at(), "nodes": [5]},
        {"schema": SCHEMA, "time": at(), "nodes": [{"name": ""}]},
    ],
)
def test_what_is_no_file_of_the_history_is_refused(value: t.Any) -> None:
    with pytest.raises(MalformedError):
        read_nodes(value)
    with pytest.raises(MalformedError):
        judged(value)


@pytest.mark.parametrize("rubbish", [None, 5, "x", [], {}, [5], {"a": 5}, float("nan"), 10**400, "\ud800", True])
def test_rubbish_in_any_place_becomes_unknown(rubbish: t.Any) -> None:
    """Of a diagnosis and of the history's files."""
    for key in ("pool", "verdict", "findings", "skipped", "missing", "certificates"):
        judged(diagnosis({**node("a"), key: rubbish}))
    for key in ("rule", "title", "stage", "severity", "role"):
        judged(diagnosis(node("a", "failing", {**finding("x"), key: rubbish})))
    for when in ("not_before", "not_after"):
        times = {"not_before": at(), "not_after": at(days=1), when: rubbish}
        part = judged(diagnosis({**node("a"), "certificates": {"client": times}}))
        known = part.nodes[0]["certificates"]["client"]
        assert known == (None if when == "not_after" else {"not_before": None, "not_after": at(days=1)})
        assert audit_of([part], part.nodes)["pools"][0]["known"] == 0
    for key in ("cluster", "pool", "verdict", "seen", "why", "known", "findings", "certificates"):
        read_nodes({"schema": SCHEMA, "time": at(), "nodes": [{**judged(diagnosis(node("a"))).nodes[0], key: rubbish}]})
    part = judged(diagnosis(node("a")))
    good = audit_of([part], part.nodes)
    for key in ("clusters", "pools", "complete", "gaps"):
        trend_of([read_audit({**good, key: rubbish})], good)
    for key in good["pools"][0]:
        trend_of([read_audit({**good, "pools": [{**good["pools"][0], key: rubbish}]})], good)
