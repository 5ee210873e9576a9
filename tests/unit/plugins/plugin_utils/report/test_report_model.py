# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import _model, console, html
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "missing"),
        ([], "a list"),
        ({}, "schema is missing"),
        ({"schema": "kubecare.kubelet_certs/diagnosis/2"}, "diagnosis/2"),
        ({"schema": _model.SCHEMA, "fleet": {}, "cluster": {}}, "nodes is missing"),
        ({"schema": _model.SCHEMA, "nodes": [], "fleet": 3, "cluster": {}}, "fleet is a number"),
        ({"schema": _model.SCHEMA, "nodes": [{"name": None}], "fleet": {}, "cluster": {}}, r"nodes\[0\]"),
    ],
)
def test_what_is_no_diagnosis_is_refused_with_the_reason(value: t.Any, says: str) -> None:
    with pytest.raises(_model.MalformedDiagnosisError, match=says):
        _model.read(value)


def test_nodes_are_worst_first_and_counted() -> None:
    nodes = [
        samples.healthy("a"),
        samples.unknown("b"),
        samples.at_risk("c"),
        samples.failing("d"),
        samples.expired("e"),
    ]
    model = _model.read(samples.diagnosis(nodes))
    assert [node["name"] for node in model["nodes"]] == ["e", "d", "c", "b", "a"]
    assert model["verdicts"] == {"expired": 1, "failing": 1, "at_risk": 1, "unknown": 1, "healthy": 1}


def test_an_unknown_verdict_and_a_missing_state_are_unknown_and_never_healthy() -> None:
    node = {"name": "n", "verdict": "splendid", "stages": [{"stage": "use", "state": "fine"}]}
    model = _model.read(samples.diagnosis([{**node, "primary": None, "certificates": {"client": None}}]))
    assert model["nodes"][0]["verdict"] == "unknown"
    assert {stage["state"] for stage in model["nodes"][0]["stages"]} == {"unknown"}
    assert len(model["nodes"][0]["stages"]) == 9


JUNK = (None, 0, -1.5, True, "text", [], [None, 3, "x", [], {}], {}, {"a": {"b": []}}, float("nan"), 10**400)


def _places(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from _places(child, (*path, key))


def _with(value: t.Any, path: tuple[t.Any, ...], junk: t.Any) -> t.Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = junk if len(path) == 1 else _with(value[path[0]], path[1:], junk)
    return copy


def test_junk_anywhere_is_shown_or_refused_but_breaks_nothing() -> None:
    sample = samples.diagnosis([samples.failing("worker-7")])
    shown = refused = 0
    for index, path in enumerate(_places(sample)):
        junk = JUNK[index % len(JUNK)]
        try:
            value = _with(sample, path, junk)
            assert console.render(value)
            assert html.render(value).startswith("<!DOCTYPE html>")
            shown += 1
        except _model.MalformedDiagnosisError:
            refused += 1
            assert path[0] in ("schema", "nodes", "fleet", "cluster"), path
    assert shown > 100
    assert 0 < refused < 12
