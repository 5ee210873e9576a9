# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import _model, timeline
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report.samples import at, event


def pictures(node: samples.Record) -> list[samples.Record]:
    model = _model.read(samples.diagnosis([node]))
    return timeline.pictures(model["nodes"][0], model["now"])


def with_events(events: list[samples.Record], first_failure: str | None = None) -> samples.Record:
    return {**samples.healthy("n"), "timeline": events, "first_failure": first_failure}


def test_a_year_and_its_last_minutes_are_two_pictures() -> None:
    whole, near = pictures(samples.failing("n"))
    assert [lane["kind"] for lane in whole["lanes"]][:2] == ["certificate", "ca"]
    assert whole["window"]["width"] < 30
    assert whole["window"]["x"] < whole["marks"][0]["x"] < whole["window"]["x"] + whole["window"]["width"]
    assert near["title"] == "Around the first failure"
    assert [mark["label"] for mark in near["marks"]] == ["first failure 19:40", "now 20:05"]
    certificate = near["lanes"][0]["items"][0]
    assert certificate["cut_left"]
    assert certificate["width"] == timeline.RIGHT - timeline.LEFT


@pytest.mark.parametrize(
    ("span", "ticks"),
    [
        ({"minutes": 4}, ["20:01", "20:05"]),
        ({"hours": 5}, ["16:00", "20:00"]),
        ({"days": 5}, ["19 Nov", "23 Nov"]),
        ({"days": 200}, ["Jun", "Nov"]),
        ({"days": 3600}, ["2018", "2026"]),
    ],
)
def test_ticks_are_whole_units_from_minutes_to_years(span: dict[str, float], ticks: list[str]) -> None:
    start = at(**{unit: -number for unit, number in span.items()})
    (picture,) = pictures(with_events([event(start, "kubelet", "started"), event(at(), "kubelet", "again")]))[:1]
    labels = [tick["label"] for tick in picture["ticks"]]
    assert 3 <= len(labels) <= 10
    assert set(ticks) <= set(labels)


def overlaps(picture: samples.Record) -> list[tuple[str, str]]:
    boxes = []
    for lane in picture["lanes"]:
        for item in lane["items"]:
            if item["label"]:
                size = len(item["label"]) * 6
                left = item["label_x"] if item["anchor"] == "start" else item["label_x"] - size
                boxes.append((item["y"], left, left + size, item["label"]))
    return [
        (one[3], two[3])
        for index, one in enumerate(boxes)
        for two in boxes[:index]
        if abs(one[0] - two[0]) < 12 and one[1] < two[2] and two[1] < one[2]
    ]


def test_labels_never_overlap_and_crowded_events_stay_as_marks() -> None:
    crowd = [event(at(seconds=-index * 7), "log", f"line {index} of a busy minute") for index in range(60)]
    node = with_events([*crowd, *samples.failing("n")["timeline"]], at(minutes=-25))
    for picture in [*pictures(node), *pictures(samples.failing("n")), *pictures(samples.expired("n"))]:
        assert overlaps(picture) == []
    log = next(lane for lane in pictures(node)[0]["lanes"] if lane["kind"] == "log")
    assert log["unlabelled"] > 40
    assert len(log["items"]) == 61
    assert all(timeline.LEFT <= item["x"] <= timeline.RIGHT for item in log["items"])


def test_the_first_failure_is_marked_and_always_labelled() -> None:
    crowd = [event(at(minutes=-25, seconds=index), "csr", f"request {index}") for index in range(50)]
    crowd[30]["first_failure"] = True
    items = pictures(with_events(crowd))[0]["lanes"][0]["items"]
    assert [item["label"] for item in items if item["class"] == "failure"] == ["request 30"]


def test_odd_times_make_a_picture_or_none() -> None:
    assert pictures(with_events([])) == []
    assert pictures(with_events([{**event(at(), "log", "x"), "time": None}])) == []
    assert pictures(with_events([event("0001-01-01T00:00:00Z", "ca", "old", "9999-12-31T23:59:59Z")]))[0]["ticks"]
    backwards = pictures(with_events([event(at(), "csr", "x", at(days=-3))]))[0]["lanes"][0]["items"][0]
    assert backwards["span"] is False


def test_many_events_are_capped_and_the_first_failure_kept() -> None:
    many = [event(at(seconds=-index), "log", "x", first_failure=index == 999) for index in range(1000)]
    picture = pictures(with_events(many))[0]
    assert picture["events"] == timeline.MAX_EVENTS
    assert any(item["class"] == "failure" for item in picture["lanes"][0]["items"])
