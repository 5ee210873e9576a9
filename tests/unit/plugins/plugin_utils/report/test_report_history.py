# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import re
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console, history, html, trend
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import width
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report.history_samples import (
    change,
    hostile,
    pool,
    value,
)

Record = dict[str, t.Any]


def read(**more: t.Any) -> Record:
    result = history.read(value(**more))
    assert result is not None
    return result


def text(record: Record, columns: int = 80) -> str:
    return console.plain(history.lines(record, columns))


def test_a_healthy_fleet_is_one_line() -> None:
    record = read()
    assert history.is_quiet(record)
    assert (
        history.line(record)
        == "3 nodes: 3 healthy; nothing new since 2026-11-22 20:05; least time left 25 d (n1, workers)"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"verdicts": {"healthy": 2, "unknown": 1}},
        {"verdicts": {}, "nodes": 0},
        {"changes": {"new": [change("a")]}},
        {"changes": {"resolved": [change("a")]}},
        {"changes": {"worse": [{"node": "a", "before": "healthy", "after": "failing"}]}},
        {"changes": {"unseen": [{"node": "a", "why": "timeout", "standing": 0}]}},
        {"passed_over": [{"audit": "x", "why": "y"}]},
        {"without_nodes": ["prod"]},
    ],
)
def test_anything_else_is_not_quiet(more: Record) -> None:
    assert not history.is_quiet(read(**more))


def test_the_first_audit_and_what_was_not_seen_are_said() -> None:
    assert "the first audit" in history.line(read(since=None))
    assert "3 healthy; no node of prod was judged; nothing new" in history.line(read(without_nodes=["prod"]))
    assert history.line(read(gaps=2)).endswith("2 things of the cluster not seen")
    assert "a certificate ended 2 d 12 h ago" in history.line(read(trend=[pool("w", 10, -6)]))


def test_changes_are_told_by_what_is_the_same() -> None:
    record = read(
        changes={
            "new": [change(f"w{number}") for number in range(9)] + [change("w1", "A symptom", "symptom")],
            "resolved": [change("x", "The disk is full")],
            "worse": [{"node": f"w{number}", "before": "at_risk", "after": "failing"} for number in range(9)],
            "unseen": [{"node": "y", "why": "timeout", "standing": 2}],
            "joined": [{"node": "z"}],
        }
    )
    assert text(record).splitlines()[:6] == [
        "Changes   10 new findings, 1 resolved, 9 nodes worse, 1 node no longer seen sin…",
        " new      The kubelet is stopped   w0, w1 and 7 more",
        " resolved The disk is full   x",
        " worse    at risk → failing   w0, w1 and 7 more",
        " unseen   timeout, 2 findings still stand   y",
        "          new nodes   z",
    ]


def test_of_several_clusters_a_node_is_named_with_its_own() -> None:
    two = [pool("w", 50, cluster="prod"), pool("w", 60, cluster="test")]
    shown = text(read(trend=two, changes={"new": [change("n1", cluster="prod"), change("n1", cluster="test")]}))
    assert "prod/n1, test/n1" in shown
    assert [line.split()[:2] for line in shown.splitlines()[-2:]] == [["prod", "w"], ["test", "w"]]


def test_the_table_shows_each_pool_over_time_and_a_dot_for_the_unknown() -> None:
    rows = text(read(trend=[pool("gpu", 100, None, 5), pool("workers", 60, 50, None)])).splitlines()
    assert rows[-3:] == [
        "Time left pool     nodes  least of lifetime  before",
        "          gpu          3  2 d 2 h     5%     █·▁",
        "          workers      3  unknown            ▅▅·",
    ]


def test_the_page_draws_a_picture_a_pool() -> None:
    page = html.render(samples.fleet_of_41(), read(trend=[pool("gpu", 100, 90, None, 5, 4), pool("workers", 50)]))
    assert len(re.findall(r'<svg viewBox="0 0 560 96"', page)) == 2
    assert (
        len(re.findall(r'<polyline class="least"', page)) == 2
    )  # before the gap and after it; a single point is no line
    assert page.count('<circle class="due"') == 2
    assert "style=" not in page


def test_pictures_share_one_time_and_stay_within_their_frame() -> None:
    first, second = trend.pictures(read(trend=[pool("a", 120, 50, -30), pool("b", 40)])["trend"])
    assert [point["x"] for point in first["points"]] == [trend.LEFT, (trend.LEFT + trend.RIGHT) / 2, trend.RIGHT]
    assert [point["x"] for point in second["points"]] == [trend.RIGHT]
    assert all(trend.TOP <= point["y"] <= trend.BOTTOM for point in first["points"])
    assert (first["start"], first["end"]) == (second["start"], second["end"])
    assert trend.pictures([]) == []


@pytest.mark.parametrize("columns", [80, 100])
def test_hostile_texts_are_shown_and_obeyed_by_nobody(columns: int) -> None:
    record = history.read(hostile())
    assert record is not None
    shown, page = text(record, columns), html.render(samples.one_failing(), record)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown + page)
    assert [line for line in shown.splitlines() if width(line) > columns] == []
    assert "<script>document" not in page and "<img src" not in page and "<svg onload" not in page


@pytest.mark.parametrize("rubbish", [None, 5, "x", [], {}, [5], [[]], [{}], {"a": 5}, float("inf"), True])
def test_rubbish_in_any_place_is_shown_as_unknown(rubbish: t.Any) -> None:
    whole = value(changes={"new": [change("a")], "unseen": [{"node": "a", "why": "b", "standing": 1}], "worse": [{}]})
    places = [(key,) for key in whole if key != "schema"] + [("changes", key) for key in whole["changes"]]
    places += [("trend", 0, key) for key in whole["trend"][0]] + [
        ("trend", 0, "points", 0, key) for key in ("time", "least_percent")
    ]
    for place in places:
        damaged = copy.deepcopy(whole)
        inner: t.Any = damaged
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = rubbish
        record = history.read(damaged)
        assert record is not None
        text(record), history.line(record), html.render(samples.one_failing(), record)


def test_what_is_no_history_is_none() -> None:
    for other in (None, [], {}, {"schema": "kubecare.kubelet_certs/history/2"}):
        assert history.read(other) is None
