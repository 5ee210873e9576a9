# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions as functions give what jmespath gives: each that the collection uses, over signals that were recorded or are of odd kinds."""

from __future__ import annotations

import typing as t

import jmespath
import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis import diagnose as diagnosing
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.distribution_files import (
    built_in_distributions,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import (
    compiled,
    conjuncts,
    getter,
    is_false,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import expressions
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import built_in_rules
from jmespath.exceptions import JMESPathError

from .evidence_builder import changed

Data = dict[str, t.Any]

CASES: list[Data] = [
    {},
    {"client_used": 95, "csrs": [{"age": 60}, {"state": "denied"}], "log": {"store_failed": 5}},
]
ODD = [None, True, False, 0, 1, -1, 1.5, "", "a", "10", [], [None, 0, "x", {"a": 1}], {}, {"a": {"b": 0}}]
OF_KINDS = [
    "a", "a.b", "a.b.c", "a == `1`", "a != `true`", "a == `false`", "a == 'x'", "a == `null`", "a != `null`", "a == b", "a < b",
    "a >= `1`", "!a", "!(a && b)", "a && b", "a || b", "a && b && c", "a[0]", "a[-1].b", "a[*].b", "a[]", "a[?b].c", "a[?b == `1`] | [0]",
    "length(a)", "contains(a, 'x')", "a | length(@)", "sort_by(a, &b)", "max_by(a, &b).b", "[a, b]", "{x: a}", "@", "a.*", "a[1:]", "not_null(a, b)",
]  # fmt: skip


def by_jmespath(expression: str, data: t.Any) -> t.Any:
    try:
        return jmespath.compile(expression).search(data)
    except JMESPathError:
        return None


def recorded_signals(monkeypatch: pytest.MonkeyPatch) -> list[Data]:
    found: list[Data] = []
    original = diagnosing.node_signals_of

    def keep(view: t.Any, shared: Data) -> Data:
        found.append(original(view, shared))
        return found[-1]

    monkeypatch.setattr(diagnosing, "node_signals_of", keep)
    for case in CASES:
        diagnosing.diagnose(changed(case), built_in_rules())
    return found


def test_every_expression_of_rules_and_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [quote.text for rule in built_in_rules() for quote in rule.evidence]
    texts += [step["text"] for rule in built_in_rules() for step in rule.fix["steps"]]
    asked = {expression for text in texts for expression in expressions(text)}
    asked |= {one for rule in built_in_rules() for one in (rule.when, rule.critical_when, *rule.needs) if one}
    asked |= {quote.each for rule in built_in_rules() for quote in rule.evidence if quote.each}
    asked |= {hint["when"] for distribution in built_in_distributions() for hint in distribution.recognised_by}
    signals = recorded_signals(monkeypatch)
    assert len(asked) > 400
    for expression in asked:
        for data in [*signals, *ODD]:
            assert getter(expression)(data) == by_jmespath(expression, data), expression


@pytest.mark.parametrize("expression", OF_KINDS)
def test_every_kind_of_expression_over_odd_values(expression: str) -> None:
    for a in ODD:
        for b in ODD:
            data = {"a": a, "b": b, "c": [a, b]}
            try:
                wanted = by_jmespath(expression, data)
            except TypeError:  # jmespath's own, for "a" < 1
                with pytest.raises(TypeError):
                    getter(expression)(data)
            else:
                found = getter(expression)(data)
                assert (found, type(found)) == (wanted, type(wanted)), (expression, data)


def test_none_of_the_parts_of_a_conjunction_may_be_false() -> None:
    parts = conjuncts("a.b && length(c) > `1` && !(d || [0]) && @")
    assert [roots for _part, roots in parts] == [{"a"}, {"c"}, None, None]
    data = {"a": {"b": 1}, "c": [1], "d": None}
    assert [is_false(part(data)) for part, _roots in parts] == [False, True, False, False]


def test_what_is_no_expression_is_said() -> None:
    with pytest.raises(ValueError, match="no JMESPath"):
        compiled("a ==")
