# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rule files: what is refused, and with which words; overrides; texts."""

from __future__ import annotations

import copy
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import compiled
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import (
    duration,
    fill,
    fill_command,
    search,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import (
    BUILT_IN,
    RuleError,
    apply_overrides,
    built_in_rules,
    load_rules,
    parse_rule,
)

RULE: dict[str, t.Any] = {
    "id": "my-rule",
    "title": "T",
    "stage": "storage",
    "severity": "warning",
    "needs": ["storage.full"],
    "when": "storage.full",
    "evidence": [{"text": "{storage.path} is full", "source": "node_probe"}],
    "shows": "S",
    "why": "W",
    "fix": {"steps": [{"text": "X", "command": "df {storage.path}"}], "risk": "low"},
}


def test_a_good_rule_is_read() -> None:
    rule = parse_rule(copy.deepcopy(RULE))
    assert (rule.id, rule.needs, rule.evidence[0].source, rule.fix["risk"]) == (
        "my-rule",
        ("storage.full",),
        "node_probe",
        "low",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"when": None}, "key 'when' is missing"),
        ({"wehn": "x"}, "unknown key 'wehn'"),
        ({"stage": "later"}, "stage 'later' is none of kubelet"),
        ({"severity": "bad"}, "severity 'bad' is none of critical, warning, info"),
        ({"id": "My Rule"}, "is no slug"),
        ({"when": "storage.full ="}, "is no JMESPath expression"),
        ({"when": "!storage.full"}, r"write !\(a.b\)"),
        ({"evidence": [{"text": "x"}]}, "has text and source"),
        ({"evidence": [{"text": "{a b}", "source": "s"}]}, "is no JMESPath expression"),
        ({"fix": {"steps": [], "risk": "none"}}, "fix: has steps"),
        ({"fix": {"steps": [{"command": "x"}], "risk": "low"}}, "has a text"),
    ],
)
def test_a_bad_rule_is_refused_with_a_reason(change: dict[str, t.Any], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse_rule({**copy.deepcopy(RULE), **change})


def test_a_folder_of_rules_names_the_file_that_is_wrong(tmp_path: t.Any) -> None:
    (tmp_path / "my-rule.yml").write_text(yaml.safe_dump(RULE))
    assert [rule.id for rule in load_rules([str(tmp_path)])] == ["my-rule"]
    (tmp_path / "other.yml").write_text(yaml.safe_dump(RULE))
    with pytest.raises(RuleError, match=r"other.yml: the file of rule 'my-rule' must be named my-rule.yml"):
        load_rules([str(tmp_path)])
    (tmp_path / "other.yml").write_text("a: [")
    with pytest.raises(RuleError, match=r"other.yml: cannot be read"):
        load_rules([str(tmp_path)])
    with pytest.raises(RuleError, match="rule folder '/nowhere' cannot be read"):
        load_rules(["/nowhere"])


def test_overrides() -> None:
    rules = built_in_rules()
    excluded = apply_overrides(rules, {"csr-pending": {"exclude": True, "reason": "r"}})
    assert "csr-pending" not in {rule.id for rule in excluded} and len(excluded) == len(rules) - 1
    changed = apply_overrides(rules, {"csr-pending": {"severity": "info", "reason": "r"}})
    assert next(rule for rule in changed if rule.id == "csr-pending").severity == "info"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"nope": {"exclude": True, "reason": "r"}}, "there is no rule 'nope'"),
        ({"csr-pending": {"exclude": True}}, "csr-pending: give a reason"),
        ({"csr-pending": {"severity": "low", "reason": "r"}}, "severity 'low' is none of"),
        ({"csr-pending": {"colour": "red", "reason": "r"}}, "takes severity or exclude"),
    ],
)
def test_bad_overrides_are_refused(overrides: dict[str, t.Any], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        apply_overrides(built_in_rules(), overrides)


@pytest.mark.parametrize(
    "path", ["a", "a.b", "a.b.c", "a.list", "a.list.b", "a.text.b", "a.zero", "none.b", "gone", "a.gone.b"]
)
def test_a_plain_path_gives_what_jmespath_gives(path: str) -> None:
    data = {"a": {"b": {"c": [1]}, "list": [{"b": 1}], "text": "b", "zero": 0, "false": False}, "none": None}
    assert search(path, data) == compiled(path).search(data)


def test_a_text_is_filled_only_with_what_is_known() -> None:
    data = {"a": {"b": 1, "wait_seconds": 3700, "on": False, "names": ["x", "y"], "none": []}}
    assert fill("b is {a.b}, waits {a.wait_seconds}, on: {a.on}", data) == "b is 1, waits 1 h 1 min, on: no"
    assert fill("{a.names} and {a.none}", data) == "x, y and none"
    assert fill("{a.c} is unknown", data) is None
    assert fill("a jsonpath {.status} stays", data) == "a jsonpath {.status} stays"


def test_a_value_that_looks_like_a_placeholder_is_not_read_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


def test_a_command_is_quoted_for_the_shell() -> None:
    assert fill_command("kubectl get csr {csr}", {"csr": "x; rm -rf /"}) == "kubectl get csr 'x; rm -rf /'"
    assert fill_command("kubectl get csr {csr.newest.name}", {}) == "kubectl get csr <name>"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (3700, "1 h 1 min"), (86400, "1 d"), (-90, "-1 min 30 s")]
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("task", ["run_shell", [], ["restart_kubelet", "run_shell"], {"act": "restart_kubelet"}])
def test_a_task_is_a_known_act_or_a_list_of_them(task: object) -> None:
    known = next(rule for rule in built_in_rules() if rule.fix["task"])
    assert isinstance(known.fix["task"], list)
    path = f"{BUILT_IN}/{known.id}.yml"
    with open(path, encoding="utf-8") as stream:
        data = yaml.safe_load(stream)
    data["fix"]["task"] = task
    with pytest.raises(RuleError, match="fix: task"):
        parse_rule(data)
